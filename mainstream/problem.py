"""What the user describes: the applications, the base network on a device, the video stream.

Every object here is frozen and checked once, at construction. What needs all three
is checked before a solve, by :meth:`mainstream.apps.Apps.check`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from typing import Annotated, Any, ClassVar, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BeforeValidator,
    Field,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)

from mainstream.description import Description, counted, each_once, printable, refuse, shown
from mainstream.errors import ProblemError
from mainstream.ranges import PARAMETERS, WHOLE, Count, NonNegative, StreamFps, TargetFps, Whole
from mainstream.region import OfFrame

FloatArray = NDArray[np.float64]

Objective = Literal["f1", "recall", "precision"]
Aggregate = Literal["mean", "min"]
Mode = Literal["mainstream", "no-sharing", "max-sharing"]
Precision = Literal["int8"]
"""Of models; those that say none are in 32 bits."""
FLOAT32: Final = "float32"
INT8: Final = "int8"

_LONGEST_ID: Final = 100


def _id(given: Any) -> Any:
    """A number as it is; text that reads as one becomes one."""
    if WHOLE.holds(given):
        return given
    if isinstance(given, str):
        if given.isascii() and given.isdigit() and len(given) <= 15:
            return int(given)
        if given.strip() == given and given.isprintable() and 0 < len(given) <= _LONGEST_ID:
            return given
    raise refuse(
        f"it has to be a whole number, 0 or more, up to 2**53, or a name of 1 to {_LONGEST_ID} printable characters"
    )


AppId = Annotated[int | str, BeforeValidator(_id)]
"""What tells an app from the others."""


def _plain_rates(given: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """Rates that are plainly right, without a look at each by pydantic: a large problem file has a million of them."""
    if type(given) is dict and given and all(type(rate) is float and 0.0 <= rate <= 1.0 for rate in given.values()):
        try:
            keys = _whole_numbers(" ".join(given))
        except TypeError:  # not all of them are words
            return handler(given)
        if len(keys) == len(given):
            return dict(zip(keys, given.values(), strict=True))
    return handler(given)


@lru_cache(maxsize=64)
def _whole_numbers(words: str) -> tuple[int, ...]:
    """What the words are as different whole numbers; nothing where they are not. Most apps have the same ones."""
    each = words.split(" ")
    if not all(word.isascii() and word.isdecimal() and len(word) <= 15 for word in each):
        return ()
    numbers = tuple(map(int, each))
    return numbers if len({*numbers}) == len(numbers) else ()


Rates = Annotated[
    Mapping[Whole, Annotated[float, PARAMETERS["accuracy"]]],
    Field(min_length=1),
    each_once,
    WrapValidator(_plain_rates),
]
"""`num_frozen` -> a per-frame rate."""

MOST_LENGTHS: Final = 64
Lengths = Annotated[
    tuple[Annotated[float, PARAMETERS["event_length_ms"]], ...], Field(min_length=1, max_length=MOST_LENGTHS)
]
"""Lengths of events, milliseconds."""


def _ends(given: Any) -> Any:
    is_pair = isinstance(given, list | tuple) and len(given) == 2
    if is_pair and all(map(PARAMETERS["accuracy"].holds, given)) and given[0] <= given[1]:
        return given
    raise refuse("it has to be a pair: low and high, both in [0, 1]")


Intervals = Annotated[
    Mapping[Whole, Annotated[tuple[float, float], BeforeValidator(_ends)]], Field(min_length=1), each_once
]
"""`num_frozen` -> the interval that holds a per-frame rate."""

_LARGEST: Final = 1e100
"""Costs stay well inside what a float can hold."""
_MOST_RATES: Final = 1000


def _votes(given: Any) -> Any:
    if given is None or given == "auto" or PARAMETERS["x_vote"].holds(given):
        return given
    raise refuse("it has to be an integer of at least 1, or 'auto'; leave it out for no voting")


def _class(given: Any) -> Any:
    if given is None or (isinstance(given, str) and given) or WHOLE.holds(given):
        return given
    raise refuse("it has to be a whole number, 0 or more, or the name of a class")


EventClass = Annotated[int | str | None, BeforeValidator(_class)]
"""What a classifier calls the event: the number of its output, or a name."""


def _pair(given: Any) -> Any:
    if given is None or (isinstance(given, list | tuple) and len(given) == 2):
        return given
    raise refuse("it has to be a pair: num_frozen, target_fps")


def canonical(num_frozen: int) -> int:
    """`num_frozen` with 0 and 1, which are one and the same, as 0."""
    return 0 if num_frozen <= 1 else num_frozen


def curve_text(accuracies: Mapping[int, float]) -> str:
    """An accuracy curve in a few words, from its first to its last chokepoint."""
    first, last = min(accuracies), max(accuracies)
    ends = f"{accuracies[first]:.3g}" + (f" to {accuracies[last]:.3g}" if first != last else "")
    return f"accuracy {ends} at {counted(len(accuracies), 'chokepoint')}"


def differ_where_nothing_is_shared(curve: Mapping[int, Any]) -> str | None:
    """What is wrong with a curve that says one thing for `num_frozen` 0 and another for 1; None where it does not."""
    if not {0, 1} <= curve.keys() or curve[0] == curve[1]:
        return None
    given = f"{shown(curve[0])} and {shown(curve[1])}"
    return f"num_frozen 0 and 1 both mean that nothing is shared, but have {given}; give one of them"


class App(Description):
    """One application: a classifier that watches for one kind of event.

    Parameters
    ----------
    app_id : int or str
        Its number, 0 or more, or its name; different for each app.
    accuracies : mapping of int to float
        Accuracy curve: `num_frozen` -> probability that a frame of the event is classified as the event. 0 and 1 both
        mean that nothing is shared; a curve may have either, or both with equal values.
    event_length_ms : float
        Length of an event, milliseconds.
    correlation : float
        Correlation between successive analysed frames, in [0, 1]. Published name: ``correlation_coefficient``.
    event_frequency : float, optional
        Share of the windows of the event's length that hold an event, in (0, 1].
    false_positive_rates : mapping of int to float, optional
        `num_frozen` -> probability that a frame without the event is classified as the event; the keys of
        `accuracies`. Published name: ``prob_tnrs``.
    accuracy_intervals, false_positive_intervals : mapping of int to (float, float), optional
        `num_frozen` -> the interval of 95 % that holds the rate; where both are known, predictions carry intervals.
    x_vote : int or "auto", optional
        Consecutive positive frames that make a detection; "auto" chooses the best of 1..7 for each option.
    correlation_fps : float, optional
        Analysed frames a second at which the correlation was measured; it decays with the distance of frames.
    false_correlations : mapping of int to float, optional
        `num_frozen` -> correlation between successive analysed frames of no event, at the rate of `correlation`.
        Default: that of events.
    accuracy_spread : float, optional
        How much events differ in accuracy, in [0, 1]: its variance between events is this times p (1 - p).
    event_lengths_ms : sequence of float, optional
        Lengths that events have, each as often as the others; up to 64. Default: all have `event_length_ms`.
    weight : float
        Weight in the mean objective.
    pinned : (int, float), optional
        A fixed (`num_frozen`, `target_fps`).
    min_fps, max_fps : float, optional
        Least and greatest `target_fps` allowed.
    min_value : float, optional
        The app's value (what is being maximised: F1, recall or precision) has to reach this.
    optional : bool
        May be left out when it does not fit; it then counts 0.
    name : str, optional
        For people.
    model_path : mapping of int to str, optional
        `num_frozen` -> model file, by the name that the runtime knows it by.
    event_class : int or str, optional
        Which of the classifier's outputs is the event, for a runtime that tells events.
    region : (float, float, float, float), optional
        The part of the frame that it sees: x, y, width, height, as shares of the frame's width and height. Only apps
        of one region share layers. Default: the whole frame.

    Raises
    ------
    ProblemError
        A key is unknown or missing, or a value is out of its range.

    Examples
    --------
    >>> from mainstream import App
    >>> App(app_id=1, name="dogs", accuracies={0: 0.95, 40: 0.9}, event_length_ms=500)
    <App 1 'dogs': accuracy 0.95 to 0.9 at 2 chokepoints, events of 500 ms>
    """

    other_names: ClassVar[Mapping[str, str]] = {
        "correlation_coefficient": "correlation",
        "prob_tnrs": "false_positive_rates",
    }

    app_id: AppId
    accuracies: Rates
    event_length_ms: Annotated[float, PARAMETERS["event_length_ms"]]
    correlation: Annotated[float, PARAMETERS["correlation"]] = 0.0
    event_frequency: Annotated[float, PARAMETERS["event_frequency"]] | None = None
    false_positive_rates: Rates | None = None
    accuracy_intervals: Intervals | None = None
    false_positive_intervals: Intervals | None = None
    correlation_fps: Annotated[float, PARAMETERS["correlation_fps"]] | None = None
    false_correlations: Rates | None = None
    accuracy_spread: Annotated[float, PARAMETERS["accuracy_spread"]] | None = None
    event_lengths_ms: Lengths | None = None
    x_vote: Annotated[int | Literal["auto"] | None, BeforeValidator(_votes)] = None
    weight: Annotated[float, PARAMETERS["weight"]] = 1.0
    pinned: Annotated[tuple[Whole, TargetFps] | None, BeforeValidator(_pair)] = None
    min_fps: Annotated[float, PARAMETERS["min_fps"]] | None = None
    max_fps: Annotated[float, PARAMETERS["max_fps"]] | None = None
    min_value: Annotated[float, PARAMETERS["min_value"]] | None = None
    optional: bool = False
    name: str | None = None
    model_path: Annotated[Mapping[Whole, str], each_once] = Field(default_factory=dict)
    event_class: EventClass = None
    region: OfFrame = None

    def __repr__(self) -> str:
        called = "" if self.name is None else f" {shown(self.name)}"
        return (
            f"<App {shown(self.app_id)}{called}: {curve_text(self.accuracies)}, events of {self.event_length_ms:g} ms>"
        )

    @classmethod
    def _label(cls, keys: Mapping[str, Any], where: str | None = None) -> str:
        return f"app {shown(keys['app_id'])}" if "app_id" in keys else where or "app"

    @classmethod
    def each(cls, given: Iterable[App | Mapping[str, Any]]) -> tuple[App, ...]:
        """Apps from objects or plain mappings.

        Raises
        ------
        ProblemError
            It is no list, there is none in it, or one is not valid.

        Examples
        --------
        >>> App.each([{"app_id": 1, "accuracies": {0: 0.95}, "event_length_ms": 500}])
        (<App 1: accuracy 0.95 at 1 chokepoint, events of 500 ms>,)
        """
        if isinstance(given, Mapping | str) or not isinstance(given, Iterable):
            raise ProblemError(f"apps: got {shown(given)}; it has to be a list of apps")
        apps = tuple(cls.of(app, where=f"apps[{i}]") for i, app in enumerate(given))
        if not apps:
            raise ProblemError("apps: there is none; at least one is needed")
        return apps

    @field_validator(
        "accuracies",
        "false_positive_rates",
        "accuracy_intervals",
        "false_positive_intervals",
        "false_correlations",
        "model_path",
    )
    @classmethod
    def _one_key_for_nothing_shared(cls, curve: Mapping[int, Any] | None) -> Mapping[int, Any] | None:
        if curve is None or not {0, 1} <= curve.keys():
            return curve
        contradiction = differ_where_nothing_is_shared(curve)
        if contradiction is not None:
            raise refuse(contradiction)
        return {f: value for f, value in curve.items() if f != 1}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.false_positive_rates is not None and self.false_positive_rates.keys() != self.accuracies.keys():
            rates, known = {canonical(f) for f in self.false_positive_rates}, {canonical(f) for f in self.accuracies}
            if rates != known:
                raise refuse(
                    f"false_positive_rates has to have the num_frozen of accuracies; "
                    f"only one of them has {shown(sorted(rates ^ known))}"
                )
        for key, curve in (
            ("accuracy_intervals", self.accuracies),
            ("false_positive_intervals", self.false_positive_rates or {}),
        ):
            intervals = getattr(self, key)
            by_place = {canonical(f): rate for f, rate in curve.items()} if intervals else {}
            for f, (low, high) in (intervals or {}).items():
                rate = by_place.get(canonical(f))
                if rate is None or not low <= rate <= high:
                    has = "has no rate for" if rate is None else f"has {rate:g}, not {low:g} to {high:g}, for"
                    raise refuse(f"{key}: the curve {has} num_frozen {f}")
        if self.false_correlations or self.pinned is not None:
            known = {canonical(f) for f in self.accuracies}
            strange = {canonical(f) for f in self.false_correlations or {}} - known
            if strange:
                raise refuse(f"false_correlations: accuracies has no num_frozen {min(strange)}")
            if self.pinned is not None and canonical(self.pinned[0]) not in known:
                raise refuse(
                    f"pinned num_frozen {self.pinned[0]} is not in accuracies; "
                    f"allowed: {shown(sorted(self.accuracies))}"
                )
        if self.min_fps is not None and self.max_fps is not None and self.min_fps > self.max_fps:
            raise refuse(f"min_fps {self.min_fps:g} is above max_fps {self.max_fps:g}")
        return self


class Model(Description):
    """The base network, measured on a device.

    Parameters
    ----------
    total_layers : int
        Number of layers.
    layer_latencies : sequence of float, length `total_layers`
        Time that each layer takes for one frame, in `unit`.
    frozen_layer_names : mapping of int to str
        Chokepoint -> name of the tensor there, in the model files.
    layer_memory_mb : sequence of float, length `total_layers`, optional
        Megabytes that each layer takes in memory, for `memory_mb`.
    channels, height, width : int, optional
        Input size.
    name, unit, measured_on : str, optional
        What was measured, in which unit (for people), and where.
    batch, threads, cores : int, optional
        How it was measured; the cores of the device.
    engine : str, optional
        What ran it, a name of :data:`mainstream.extensions.PART_LOADERS`; another engine takes other times.
    precision : str, optional
        "int8" where models in 8 bits were measured; None for 32.
    whole_network_ms : float, optional
        Time of the network in one piece, for comparison.

    Examples
    --------
    >>> from mainstream import Model
    >>> model = Model(
    ...     total_layers=3, layer_latencies=[2, 1, 1], frozen_layer_names={0: "in", 2: "mid"}, unit="ms", cores=4
    ... )
    >>> model
    <Model: 3 layers, 4 ms a frame, 2 chokepoints>
    >>> model.prefix.tolist(), sorted(model.chokepoints), model.capacity, model.prefix_mb
    ([0.0, 2.0, 3.0, 4.0], [0, 2], 4000.0, None)
    """

    total_layers: Count
    layer_latencies: tuple[NonNegative, ...]
    frozen_layer_names: Annotated[Mapping[Whole, str], Field(min_length=1), each_once]
    layer_memory_mb: tuple[NonNegative, ...] | None = None
    channels: Count = 3
    height: Count | None = None
    width: Count | None = None
    name: str | None = None
    unit: str | None = None
    batch: Count | None = None
    threads: Count | None = None
    cores: Count | None = None
    measured_on: str | None = None
    engine: str | None = None
    precision: Precision | None = None
    whole_network_ms: NonNegative | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.layer_latencies) != self.total_layers:
            raise refuse(
                f"layer_latencies has {len(self.layer_latencies)} values, total_layers is {self.total_layers}; "
                "there has to be one for each layer"
            )
        if self.layer_memory_mb is not None:
            if len(self.layer_memory_mb) != self.total_layers:
                raise refuse(
                    f"layer_memory_mb has {len(self.layer_memory_mb)} values, total_layers is {self.total_layers}; "
                    "there has to be one for each layer"
                )
            if not sum(self.layer_memory_mb) < _LARGEST:
                raise refuse(
                    f"layer_memory_mb add up to {sum(self.layer_memory_mb):g}; less than {_LARGEST:g} is allowed"
                )
        if not sum(self.layer_latencies) < _LARGEST:
            raise refuse(f"layer_latencies add up to {sum(self.layer_latencies):g}; less than {_LARGEST:g} is allowed")
        if not sum(self.layer_latencies) > 0:
            raise refuse("layer_latencies are all 0; at least one layer has to take time")
        beyond = [f for f in self.frozen_layer_names if f > self.total_layers]
        if beyond:
            raise refuse(f"frozen_layer_names has {beyond[0]}, the network has {self.total_layers} layers")
        return self

    def __repr__(self) -> str:
        called = "" if self.name is None else f" {shown(self.name)}"
        latency = f"{sum(self.layer_latencies):.4g} {self.unit or ''}".rstrip()
        cuts = counted(len(self.chokepoints), "chokepoint")
        return f"<Model{called}: {counted(self.total_layers, 'layer')}, {printable(latency)} a frame, {cuts}>"

    @cached_property
    def prefix(self) -> FloatArray:
        """Latency of the first k layers, k = 0..total_layers; shape (total_layers + 1,)."""
        return np.concatenate([[0.0], np.cumsum(self.layer_latencies)])

    @cached_property
    def prefix_mb(self) -> FloatArray | None:
        """Megabytes of the first k layers, k = 0..total_layers; None where they are not known."""
        return None if self.layer_memory_mb is None else np.concatenate([[0.0], np.cumsum(self.layer_memory_mb)])

    @property
    def capacity(self) -> float | None:
        """Compute a second of all the device's cores; None where they are not known, or the unit is not ms."""
        return None if self.cores is None or self.unit != "ms" else 1000.0 * self.cores

    @cached_property
    def chokepoints(self) -> frozenset[int]:
        """The `num_frozen` at which the network can be cut, 0 for nothing shared."""
        return frozenset({0, *(canonical(f) for f in self.frozen_layer_names)})


class Video(Description):
    """The camera stream.

    Parameters
    ----------
    stream_fps : float
        Frames a second that the camera gives; need not be whole.
    fps_options : sequence of float, optional
        Rates that apps may be given: increasing, positive, up to `stream_fps`. Default: 1..floor(stream_fps)
        (`stream_fps` itself when that is below 1).

    Examples
    --------
    >>> from mainstream import Video
    >>> video = Video(stream_fps=12.5)
    >>> video
    <Video: 12.5 fps, 12 rates from 1 to 12>
    """

    stream_fps: StreamFps
    fps_options: tuple[TargetFps, ...] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.fps_options is None:
            if self.stream_fps > _MOST_RATES:
                raise refuse(f"stream_fps {self.stream_fps:g} would offer every whole rate up to it; give fps_options")
            return self
        if len(self.fps_options) > _MOST_RATES:
            raise refuse(f"fps_options has {len(self.fps_options)} rates; at most {_MOST_RATES} are allowed")
        if not self.fps_options:
            raise refuse("fps_options is empty; leave it out for 1..stream_fps")
        if any(b <= a for a, b in zip(self.fps_options, self.fps_options[1:], strict=False)):
            raise refuse(f"fps_options {shown(self.fps_options)} do not increase")
        if self.fps_options[-1] > self.stream_fps:
            raise refuse(f"fps_options go up to {self.fps_options[-1]:g}, the stream has {self.stream_fps:g} fps")
        return self

    def __repr__(self) -> str:
        rates = self.rates("mainstream")
        return f"<Video: {self.stream_fps:g} fps, {counted(len(rates), 'rate')} from {rates[0]:g} to {rates[-1]:g}>"

    def rates(self, mode: str) -> FloatArray:
        """The frame rates to choose from; "no-sharing" adds 0.1..0.9 to the default ones.

        >>> Video(stream_fps=12.5, fps_options=[1, 5, 10]).rates("mainstream").tolist()
        [1.0, 5.0, 10.0]
        """
        if self.fps_options is not None:
            return np.array(self.fps_options)
        whole = [float(fps) for fps in range(1, math.floor(self.stream_fps) + 1)]
        tenths = [tenth / 10 for tenth in range(1, 10)] if mode == "no-sharing" else []
        rates = [fps for fps in tenths + whole if fps <= self.stream_fps]
        return np.array(rates or [self.stream_fps])
