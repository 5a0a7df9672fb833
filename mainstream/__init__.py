"""Mainstream: choose, for each of many DNN applications on one camera, how much it shares and how often it looks.

A name loads what it needs when it is first used, so that ``import mainstream`` by itself takes no time.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what type checkers and editors read
    from mainstream import io as io
    from mainstream.apps import Apps as Apps
    from mainstream.errors import DeployError as DeployError
    from mainstream.errors import InfeasibleError as InfeasibleError
    from mainstream.errors import InterruptedLoop as InterruptedLoop
    from mainstream.errors import InterruptedSearch as InterruptedSearch
    from mainstream.errors import MainstreamError as MainstreamError
    from mainstream.errors import MissingExtraError as MissingExtraError
    from mainstream.errors import OutOfTimeError as OutOfTimeError
    from mainstream.errors import ProblemError as ProblemError
    from mainstream.frontiers import Frontier as Frontier
    from mainstream.history import History as History
    from mainstream.io import load_package as load_package
    from mainstream.io import load_problem as load_problem
    from mainstream.io import save_result as save_result
    from mainstream.problem import App as App
    from mainstream.problem import Model as Model
    from mainstream.problem import Video as Video
    from mainstream.schedule import Choice as Choice
    from mainstream.schedule import Result as Result
    from mainstream.schedule import Schedule as Schedule
    from mainstream.scheduler import Scheduler as Scheduler
    from mainstream.solver import Prepared as Prepared
    from mainstream.solver import frontier as frontier
    from mainstream.solver import prepare as prepare
    from mainstream.solver import solve as solve
    from mainstream.solver.capacity import Capacity as Capacity
    from mainstream.solver.capacity import capacity as capacity
    from mainstream.solver.progress import Progress as Progress
    from mainstream.stream import Stream as Stream

    __version__: str

_HOMES = {
    "mainstream.apps": ["Apps"],
    "mainstream.errors": [
        "DeployError",
        "InfeasibleError",
        "InterruptedLoop",
        "InterruptedSearch",
        "MainstreamError",
        "MissingExtraError",
        "OutOfTimeError",
        "ProblemError",
    ],
    "mainstream.frontiers": ["Frontier"],
    "mainstream.history": ["History"],
    "mainstream.io": ["load_package", "load_problem", "save_result"],
    "mainstream.problem": ["App", "Model", "Video"],
    "mainstream.schedule": ["Choice", "Result", "Schedule"],
    "mainstream.scheduler": ["Scheduler"],
    "mainstream.solver": ["Prepared", "frontier", "prepare", "solve"],
    "mainstream.solver.capacity": ["Capacity", "capacity"],
    "mainstream.solver.progress": ["Progress"],
    "mainstream.stream": ["Stream"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_HOME_OF]  # noqa: PLE0604  # they are strings


def __dir__() -> list[str]:
    return [*__all__, "io"]


if not TYPE_CHECKING:  # or every misspelt name would be one for a type checker

    def __getattr__(name: str) -> Any:
        if name in _HOME_OF:
            value = getattr(import_module(_HOME_OF[name]), name)
        elif name == "io":
            return import_module("mainstream.io")  # which puts itself here
        elif name == "__version__":
            from importlib.metadata import version

            value = version("mainstream")
        else:
            here = sys.modules[__name__]
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=here)
        globals()[name] = value
        return value
