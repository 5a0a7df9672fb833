"""Event model: per-frame accuracy x frame rate -> recall, precision and F1 of events.

Given p = per-frame accuracy, q = per-frame false positive rate, L = event length (ms), e = event frequency, rho =
correlation of successive analysed frames, X = votes, S = stream fps, r = target fps. A window of length L holds
nbar = L/1000 r analysed frames on average: n = floor(nbar) or n + 1, mixed so that the mean is nbar.

Successive frames are a two-state Markov chain whose first frame hits with p:

    P(hit | hit)  = p + (1-p) rho = h        P(hit | miss) = p (1-rho) = a

A window is detected when X frames in a row hit. For X = 1 that fails with probability (1-p) (1-a)^(n-1). For X > 1
let z_j be the probability that frame j misses and nothing has been detected, and s_j = a z_(j-1), s_1 = p, that a
run of hits starts at frame j with nothing detected before. Then frame j is the one that detects with probability

    f_j = h^(X-1) s_(j-X+1),    and    z_j = (1-a) z_(j-1) + (1-h) R_(j-1),

where R_j = sum_(k=0..X-2) h^k s_(j-k), which is h R_(j-1) + s_j - f_j, is the probability of an undetected run. f_j is
a product of positive terms, so tiny probabilities keep their digits. The difference in R_j loses digits of z only, and
z is at least as large as what is lost. One pass over f_1 + ... + f_n, the detected share, serves all rates of an app.

    recall = E_n[detected | p]
    precision = recall / (recall + alarms), 1 when that is 0/0
    F1 = harmonic mean = 2 recall / (1 + recall + alarms)

where `alarms` is the number of false alarms for each event: the windows or gaps without an event, times
E_n[detected | q]. Their chain may have a correlation of its own. The event model decides how many frames there are,
what P(hit | miss) is and where alarms come from, see :mod:`mainstream.event_models`. Where events differ from each
other, all this is a mean over them, see :mod:`mainstream.event_windows`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mainstream.apps import NO_VOTE, Apps, IntArray
from mainstream.description import one_of, shown
from mainstream.errors import ProblemError
from mainstream.event_kernels import MOST_VOTES, RECALL
from mainstream.event_windows import EventColumns, windows_of
from mainstream.extensions import EVENT_MODELS, EventModel
from mainstream.problem import FloatArray, Objective
from mainstream.ranges import PARAMETERS, numbers

METRICS: Final[tuple[str, ...]] = get_args(Objective)
_VOTES: Final = replace(PARAMETERS["x_vote"], high=MOST_VOTES)
_CODES: Final[Mapping[str, Mapping[float, str]]] = {
    "false_positive_rate": {np.nan: "none"},
    "event_frequency": {np.nan: "none"},
    "correlation_fps": {np.nan: "not known"},
    "false_correlation": {np.nan: "that of events"},
    "x_vote": {NO_VOTE: "no voting"},
}
"""Parameter -> the value that means "none" in arrays."""


class EventMetrics(NamedTuple):
    """Recall, precision and F1 of events, arrays of one shape; precision and F1 are NaN where not defined."""

    recall: FloatArray
    precision: FloatArray
    f1: FloatArray


def event_metrics(
    accuracy: ArrayLike,
    false_positive_rate: ArrayLike,
    *,
    event_length_ms: ArrayLike,
    event_frequency: ArrayLike,
    correlation: ArrayLike,
    stream_fps: ArrayLike,
    target_fps: ArrayLike,
    x_vote: ArrayLike = 0,
    correlation_fps: ArrayLike = np.nan,
    accuracy_spread: ArrayLike = 0.0,
    false_correlation: ArrayLike = np.nan,
    event_lengths_ms: ArrayLike | None = None,
    event_model: str | EventModel = "windowed",
) -> EventMetrics:
    """Recall, precision and F1 of events, for arrays that broadcast.

    Parameters
    ----------
    accuracy, false_positive_rate : array
        Per-frame probabilities, in [0, 1]; a false positive rate may be NaN.
    event_length_ms : array
        Milliseconds, above 0.
    event_frequency : array
        Share of the windows that hold an event, in (0, 1], or NaN.
    correlation : array
        Of successive analysed frames, in [0, 1].
    stream_fps, target_fps : array
        Frames a second that the camera gives, and those that are analysed.
    x_vote : int array
        Consecutive positives needed; 0 for no voting.
    correlation_fps : array
        Analysed frames a second at which `correlation` was measured, or NaN. This and the next three parameters count
        only with event models that are a :class:`mainstream.extensions.Mixture`, such as "measured".
    accuracy_spread : array
        How much events differ in accuracy, in [0, 1].
    false_correlation : array
        As `correlation`, of frames without an event; NaN if it is the same.
    event_lengths_ms : (..., J) array, optional
        Lengths of events, each as frequent as the others; NaN where there are fewer.
    event_model : str or EventModel
        One of :data:`mainstream.extensions.EVENT_MODELS`.

    Raises
    ------
    ProblemError
        An argument is out of its range, or the shapes do not broadcast.
    """
    model = EVENT_MODELS.find(event_model)
    checked = checked_parameters(
        accuracy=accuracy,
        false_positive_rate=false_positive_rate,
        event_length_ms=event_length_ms,
        event_frequency=event_frequency,
        correlation=correlation,
        stream_fps=stream_fps,
        target_fps=target_fps,
        x_vote=x_vote,
        correlation_fps=correlation_fps,
        accuracy_spread=accuracy_spread,
        false_correlation=false_correlation,
    )
    shape = checked.shape[1:]
    p, q, length, frequency, rho, stream, target, votes, rho_fps, spread, false_rho = checked.reshape(11, -1)
    found = metrics_of(
        model,
        accuracy=p,
        false_positive_rate=q,
        event_length_ms=length,
        event_frequency=frequency,
        correlation=rho,
        correlation_fps=rho_fps,
        accuracy_spread=spread,
        false_correlation=false_rho,
        event_lengths_ms=checked_lengths(event_lengths_ms, shape),
        stream_fps=stream,
        target_fps=target,
        x_vote=votes,
    )
    return EventMetrics(*(metric.reshape(shape) for metric in found))


def metrics_of(
    event_model: EventModel,
    *,
    accuracy: FloatArray,
    false_positive_rate: FloatArray,
    false_correlation: FloatArray,
    stream_fps: FloatArray | float,
    target_fps: FloatArray,
    x_vote: NDArray[np.number],
    **events: FloatArray,
) -> EventMetrics:
    """As :func:`event_metrics`, for (M,) arrays that have been checked; `stream_fps` may be a number.

    `events` has the fields of :class:`~mainstream.event_windows.EventColumns`.
    """
    p, q, rho, target = (
        array[:, np.newaxis] for array in (accuracy, false_positive_rate, false_correlation, target_fps)
    )
    stream = stream_fps[:, np.newaxis] if isinstance(stream_fps, np.ndarray) else stream_fps
    windows = windows_of(event_model, EventColumns(**events), rho, x_vote, target, stream)
    # Rounding may take a mean over lengths a little above 1.
    recall = np.minimum(windows.values(RECALL, p, q)[0][:, 0, 0], 1.0)
    alarms = windows.alarms(q)[:, 0, 0]
    precision = np.divide(recall, recall + alarms, out=np.ones(len(recall)), where=recall + alarms != 0)
    return EventMetrics(recall, precision, f1=2 * recall / (1 + recall + alarms))


def metric_intervals(
    event_model: EventModel, apps: Apps, rows: IntArray, columns: IntArray, **how: Any
) -> tuple[EventMetrics, EventMetrics]:
    """The interval of each metric that follows from the intervals of M curve points.

    All three metrics rise with the accuracy, and precision and F1 fall with the false positive rate. So the low end
    has the low end of the accuracy and the high end of the false positive rate.

    Parameters
    ----------
    apps : Apps
    rows, columns : (M,) int arrays
        Indices of the apps, and of their chokepoints.
    **how
        `stream_fps`, `target_fps` and `x_vote` of :func:`metrics_of`.

    Returns
    -------
    EventMetrics, EventMetrics
        Low and high ends, (M,); NaN where an interval is not known.
    """
    points = apps.at(rows, columns)
    accuracy = apps.accuracy_intervals[rows, columns]
    alarms = apps.false_positive_intervals[rows, columns]
    low, high = (
        metrics_of(
            event_model,
            **points._replace(accuracy=accuracy[:, end], false_positive_rate=alarms[:, 1 - end])._asdict(),
            **how,
        )
        for end in (0, 1)
    )
    return low, high


def option_values(
    apps: Apps,
    rates: FloatArray,
    stream_fps: float,
    *,
    metric: str,
    event_model: str | EventModel,
    meanwhile: Callable[[], None] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """The value of each option: one metric for every app, chokepoint and frame rate.

    As an objective, precision counts as 0 where recall is 0.

    Parameters
    ----------
    apps : Apps
        N apps, F chokepoints.
    rates : (R,) array
        Frames a second, increasing.
    metric : str
        One of :data:`METRICS`.
    event_model : str or EventModel
        One of :data:`mainstream.extensions.EVENT_MODELS`.
    meanwhile : callable, optional
        Called every few hundredths of a second; it may raise to stop the work.

    Returns
    -------
    values : (N, F, R) float array
        NaN where the app has no model at that chokepoint, or the metric is not defined for it.
    votes : (N, F, R) int8 array
        0 for no voting; with "auto" the votes that give the best value, the fewest of several.

    Raises
    ------
    ProblemError
        Unknown metric or event model, rates that do not increase within (0, `stream_fps`], too many votes.
    """
    one_of("metric", metric, METRICS)
    model = EVENT_MODELS.find(event_model)
    rates = np.array(rates, dtype=np.float64)
    if (
        rates.ndim != 1
        or not rates.size
        or not (np.diff(rates, prepend=0.0, append=np.inf) > 0).all()
        or rates[-1] > stream_fps
    ):
        raise ProblemError(f"rates: got {shown(rates.tolist())}; they have to increase, above 0, up to {stream_fps:g}")
    many = apps.x_vote > MOST_VOTES
    if many.any():
        raise ProblemError(f"app {apps.id_list(many)}: x_vote: got {apps.x_vote[many][0]}; allowed is 1..{MOST_VOTES}")
    events = EventColumns(*(getattr(apps, name) for name in EventColumns._fields))
    windows = windows_of(model, events, apps.false_correlations, apps.x_vote, rates, stream_fps)
    return windows.values(METRICS.index(metric), apps.accuracies, apps.false_positive_rates, meanwhile)


def checked_parameters(**given: ArrayLike) -> FloatArray:
    """The arrays that :func:`event_metrics` takes, broadcast.

    Returns
    -------
    (K, ...) array
        In the order in which they were given.

    Raises
    ------
    ProblemError
        One is out of its range, or the shapes do not broadcast.
    """
    arrays = {name: numbers(name, values) for name, values in given.items()}
    try:
        together = np.array(np.broadcast_arrays(*arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items() if array.ndim)
        raise ProblemError(f"shapes do not broadcast: {shapes}") from None
    parameters = dict(zip(given, together, strict=True))
    for name, values in parameters.items():
        (_VOTES if name == "x_vote" else PARAMETERS[name]).check_array(name, values, _CODES.get(name))
    stream, target = parameters["stream_fps"], parameters["target_fps"]
    if (target > stream).any():
        raise ProblemError(f"target_fps: got {target[target > stream][0]:g}; allowed is above 0, up to stream_fps")
    return together


def checked_lengths(event_lengths_ms: ArrayLike | None, shape: tuple[int, ...]) -> FloatArray:
    """Lengths of events in the layout of :class:`~mainstream.event_windows.EventColumns`, for parameters of a shape.

    Returns
    -------
    (M, J) array
        M parameters, in the order in which they were given.

    Raises
    ------
    ProblemError
        A length is not above 0, or their shape does not broadcast.
    """
    if event_lengths_ms is None:
        return np.empty((math.prod(shape), 0))
    lengths = numbers("event_lengths_ms", event_lengths_ms)
    PARAMETERS["event_length_ms"].check_array("event_lengths_ms", lengths, {np.nan: "none"})
    try:
        each = np.broadcast_to(lengths, (*shape, lengths.shape[-1]))
    except (ValueError, IndexError):
        raise ProblemError(f"event_lengths_ms: shape {lengths.shape}; it has to be (..., J) for {shape}") from None
    return np.sort(each.reshape(math.prod(shape), lengths.shape[-1]), axis=1)
