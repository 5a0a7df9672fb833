"""Mainstream: choose, for each of many DNN applications on one camera, how much it shares and how often it looks."""

from mainstream.apps import Apps
from mainstream.errors import (
    DeployError,
    InfeasibleError,
    InterruptedSearch,
    MainstreamError,
    MissingExtraError,
    OutOfTimeError,
    ProblemError,
)
from mainstream.problem import App, Model, Video
from mainstream.schedule import Choice, Frontier, Result, Schedule
from mainstream.scheduler import Scheduler
from mainstream.solver import Prepared, frontier, prepare, solve
from mainstream.stream import Stream

__all__ = [
    "App",
    "Apps",
    "Choice",
    "DeployError",
    "Frontier",
    "InfeasibleError",
    "InterruptedSearch",
    "MainstreamError",
    "MissingExtraError",
    "Model",
    "OutOfTimeError",
    "Prepared",
    "ProblemError",
    "Result",
    "Schedule",
    "Scheduler",
    "Stream",
    "Video",
    "frontier",
    "prepare",
    "solve",
]
