"""Mainstream: choose, for each of many DNN applications on one camera, how much it shares and how often it looks."""

from mainstream.apps import Apps
from mainstream.errors import InfeasibleError, InterruptedSearch, MainstreamError, MissingExtraError, ProblemError
from mainstream.problem import App, Model, Video
from mainstream.schedule import Choice, Result, Schedule
from mainstream.solver import solve

__all__ = [
    "App",
    "Apps",
    "Choice",
    "InfeasibleError",
    "InterruptedSearch",
    "MainstreamError",
    "MissingExtraError",
    "Model",
    "ProblemError",
    "Result",
    "Schedule",
    "Video",
    "solve",
]
