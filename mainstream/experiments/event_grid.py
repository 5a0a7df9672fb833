"""Random apps from measured curves and a grid of event parameters, as the published generator draws them.

Each app gets one of the curves unchanged, and an event frequency, length and correlation from the grid. All values are
equally likely and independent of the other apps. Source: the workload generator released with Jiang et al.,
"Mainstream", USENIX ATC 2018. There a grid may exceed its maximum by a step; here it never does.
"""

from __future__ import annotations

import configparser
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np
from pydantic import model_validator

from mainstream.description import Description, refuse, shown
from mainstream.errors import ProblemError
from mainstream.files import Name, mapping, naming, read_text, reason
from mainstream.io import Curve
from mainstream.problem import App, FloatArray
from mainstream.ranges import Positive, Probability, Share

_SECTION: Final = "config"
_LARGEST: Final = 1_000_000


class EventGrid(Description):
    """The event parameters that an app may get.

    Parameters
    ----------
    event_frequency_min, event_frequency_max, event_frequency_delta : float
        Smallest value, largest value and step.
    event_length_ms_min, event_length_ms_max, event_length_ms_delta : float
        The same, in milliseconds.
    correlation_min, correlation_max, correlation_delta : float
        The same.
    budget_min, budget_max, budget_delta : float, optional
        No effect; some published files have them.

    Raises
    ------
    ProblemError
        A key is unknown or missing, a value is out of its range, or a minimum is above its maximum.
    """

    parameters: ClassVar[tuple[str, ...]] = ("event_frequency", "event_length_ms", "correlation")

    event_frequency_min: Share
    event_frequency_max: Share
    event_frequency_delta: Positive
    event_length_ms_min: Positive
    event_length_ms_max: Positive
    event_length_ms_delta: Positive
    correlation_min: Probability
    correlation_max: Probability
    correlation_delta: Positive
    budget_min: Positive | None = None
    budget_max: Positive | None = None
    budget_delta: Positive | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in self.parameters:
            low, high, step = self._ends(name)
            if low > high:
                raise refuse(f"{name}_min {low:g} is above {name}_max {high:g}")
            if (high - low) / step > _LARGEST:
                raise refuse(f"{name}_delta {step:g} makes more than {_LARGEST:,} values; give a larger step")
        return self

    def _ends(self, name: str) -> tuple[float, float, float]:
        return getattr(self, f"{name}_min"), getattr(self, f"{name}_max"), getattr(self, f"{name}_delta")

    def values(self, name: str) -> FloatArray:
        """The values of a parameter, increasing; (K,) array."""
        low, high, step = self._ends(name)
        count = int((high - low) / step + 1e-9) + 1
        grid: FloatArray = np.round(low + step * np.arange(count), 10)
        return grid


def load_event_grid(path: Name) -> EventGrid:
    """Read an event grid from a published INI file, with the section ``[config]``, or from YAML or JSON.

    Raises
    ------
    ProblemError
        The file cannot be read, is in another form, or has a wrong key or value.
    """
    path = Path(path)
    if path.suffix.lower() in (".yaml", ".yml", ".json"):
        return EventGrid.of(mapping(path), where=str(path))
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(read_text(path))
    except configparser.Error as error:
        raise ProblemError(
            f"{path}: not an INI file: {reason(error)}; a YAML file's name has to end in .yaml"
        ) from None
    if parser.sections() != [_SECTION]:
        raise ProblemError(f"{path}: it has the sections {shown(parser.sections())}; it has to have only [{_SECTION}]")
    with naming(path):
        return EventGrid.of({key: _number(key, text) for key, text in parser[_SECTION].items()}, where=f"[{_SECTION}]")


def _number(key: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ProblemError(f"[{_SECTION}]: {key}: got {shown(text)}; it has to be a number") from None


def draw_apps(grid: EventGrid, curves: Sequence[Curve], n: int, random: np.random.Generator) -> tuple[App, ...]:
    """Draw n random apps, with ids 1..n and without voting.

    Parameters
    ----------
    grid : EventGrid
    curves : sequence of Curve
    n : int
    random : numpy.random.Generator

    Raises
    ------
    ProblemError
        There is no curve.
    """
    if not curves:
        raise ProblemError("curves: there is none; give at least one")
    which = random.integers(len(curves), size=n)
    drawn: dict[str, Any] = {name: random.choice(grid.values(name), n).tolist() for name in EventGrid.parameters}
    return tuple(
        App(
            app_id=i + 1,
            **{key: rates for key, rates in curves[which[i]]._asdict().items() if rates is not None},
            **{name: values[i] for name, values in drawn.items()},
        )
        for i in range(n)
    )
