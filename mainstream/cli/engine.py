"""``--engine`` of the commands that run models; also, whether the profile was measured with the same engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainstream.problem import Model


def engine_name(given: str | None) -> str:
    """The engine to run models with.

    Raises
    ------
    ProblemError
        There is none of that name.
    """
    from mainstream.extensions import PART_LOADERS
    from mainstream.onnx_graphs.auto import usual_engine

    return usual_engine() if given is None else PART_LOADERS.check_name(given)


def that_runs(engine: str) -> str:
    """The engine that a name stands for; for "auto" the one that it runs models with, where it can."""
    from mainstream.onnx_graphs.auto import faster_engine

    return faster_engine() if engine == "auto" else engine


def say_engine(say: Callable[[str], None], given: str | None, models: Iterable[Model]) -> None:
    """Say which engine "auto" chose, and say so if the profiles were measured with another one."""
    for measured in dict.fromkeys(model.engine for model in models):
        runs = that_runs(engine_name(given))
        if given == "auto":
            say(f"engine {runs}")
        if measured is not None and measured != runs:
            say(
                f"mainstream: the profile was measured with engine {measured}, and {runs} runs the models: they take "
                f"another time than predicted; measure with mainstream profile --engine {runs}"
            )
