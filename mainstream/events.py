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
a product of positive terms, so tiny probabilities keep their digits; the difference in R_j costs some only of z, which
is at least as large as what is lost. The detected share f_1 + ... + f_n of one pass serves all frame rates of an app.

    recall = E_n[detected | p]
    precision = recall / (recall + alarms), 1 when that is 0/0
    F1 = harmonic mean = 2 recall / (1 + recall + alarms)

where `alarms` are those for each event: windows or gaps without an event, times E_n[detected | q]. How many frames
there are, what P(hit | miss) is and where alarms come from is the event model's to say, see
:mod:`mainstream.event_models`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mainstream.apps import NO_VOTE, Apps, IntArray
from mainstream.description import one_of, shown
from mainstream.errors import ProblemError
from mainstream.event_kernels import MOST_VOTES, RECALL, PassMemory, fill_values
from mainstream.event_models import MOST
from mainstream.extensions import EVENT_MODELS, EventModel
from mainstream.problem import FloatArray, Objective
from mainstream.ranges import PARAMETERS, numbers

METRICS: Final[tuple[str, ...]] = get_args(Objective)
_VOTES: Final = replace(PARAMETERS["x_vote"], high=MOST_VOTES)
_CODES: Final[Mapping[str, Mapping[float, str]]] = {
    "false_positive_rate": {np.nan: "none"},
    "event_frequency": {np.nan: "none"},
    "x_vote": {NO_VOTE: "no voting"},
}
"""Parameter -> what stands for none of it in arrays."""


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
        Frames a second that the camera gives and that are analysed.
    x_vote : int array
        Consecutive positives needed; 0 for no voting.
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
    )
    shape = checked.shape[1:]
    p, q, length, frequency, rho, stream, target, votes = checked.reshape(8, -1)
    found = metrics_of(
        model,
        accuracy=p,
        false_positive_rate=q,
        event_length_ms=length,
        event_frequency=frequency,
        correlation=rho,
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
    event_length_ms: FloatArray,
    event_frequency: FloatArray,
    correlation: FloatArray,
    stream_fps: FloatArray | float,
    target_fps: FloatArray,
    x_vote: NDArray[np.number],
) -> EventMetrics:
    """As :func:`event_metrics`, for (M,) arrays that have been checked; `stream_fps` may be a number."""
    p, q, target = (array[:, np.newaxis] for array in (accuracy, false_positive_rate, target_fps))
    stream = stream_fps[:, np.newaxis] if isinstance(stream_fps, np.ndarray) else stream_fps
    windows = _windows(event_model, event_length_ms, event_frequency, correlation, x_vote, target, stream)
    recall = _fill(RECALL, p, q, windows)[0][:, 0, 0]
    alarm = _fill(RECALL, q, p, windows._replace(frames=windows.frames[::-1]))[0][:, 0, 0]
    alarms = windows.blame * alarm
    precision = np.divide(recall, recall + alarms, out=np.ones(len(recall)), where=recall + alarms != 0)
    return EventMetrics(recall, precision, f1=2 * recall / (1 + recall + alarms))


def option_values(
    apps: Apps, rates: FloatArray, stream_fps: float, *, metric: str, event_model: str | EventModel
) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """The value of each option: one metric for every app, chokepoint and frame rate.

    As an objective, precision counts 0 where recall is 0.

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

    Returns
    -------
    values : (N, F, R) float array
        NaN where the app has no model at that chokepoint, or the metric is not defined for it.
    votes : (N, F, R) int8 array
        0 for no voting; with "auto" the votes of the best value, the fewest on a tie.

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
    windows = _windows(
        model,
        apps.event_length_ms,
        apps.event_frequency,
        apps.correlation,
        apps.x_vote,
        rates,
        stream_fps,
    )
    return _fill(METRICS.index(metric), apps.accuracies, apps.false_positive_rates, windows)


class _Windows(NamedTuple):
    """What :func:`fill_values` needs of N apps beside their curves; its docstring says what is what."""

    frames: tuple[FloatArray, FloatArray]
    chains: tuple[FloatArray, FloatArray, IntArray]
    blame: FloatArray


def _windows(
    event_model: EventModel,
    length_ms: FloatArray,
    frequency: FloatArray,
    correlation: FloatArray,
    x_vote: NDArray[np.number],
    rates: FloatArray,
    stream_fps: FloatArray | float,
) -> _Windows:
    """All of them (N,), but for `rates`, (R,) or (N, R), and `stream_fps`, a number or (N, R)."""
    votes = x_vote.astype(np.int64)
    with np.errstate(over="ignore"):
        odds = np.minimum((1 - frequency) / frequency, MOST)
    frames = event_model.frames(length_ms[:, np.newaxis], rates, stream_fps)
    other_frames, blame = event_model.negatives(frames, odds)
    freedom = event_model.freedom(correlation, votes)
    shape = (len(length_ms), rates.shape[-1])
    for name, array, wanted in (
        ("frames()", frames, shape),
        ("negatives()", other_frames, shape),
        ("negatives()", blame, shape[:1]),
        ("freedom()", freedom, shape[:1]),
    ):
        if np.shape(array) != wanted:
            raise ProblemError(
                f"event_model {event_model.name}: {name} gave an array of shape {np.shape(array)}; "
                f"for {shape[0]} apps and {shape[1]} rates it has to be {wanted}"
            )
    return _Windows(
        frames=(_plain(frames), _plain(other_frames)),
        chains=(_plain(freedom), _plain(correlation), votes),
        blame=_plain(blame),
    )


def _fill(metric: int, p: FloatArray, q: FloatArray, apps: _Windows) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Values and votes (N, F, R)."""
    rates = apps.frames[0].shape[1]
    values = np.empty((*p.shape, rates))
    votes = np.empty((*p.shape, rates), dtype=np.int8)
    memory = PassMemory.of(rates)
    fill_values(metric, (_plain(p), _plain(q)), apps.chains, apps.frames, apps.blame, memory, (values, votes))
    return values, votes


def _plain(array: FloatArray) -> FloatArray:
    """`array` as the one type that the kernels are compiled for; itself when it is that."""
    return np.require(array, np.float64, ["C", "W"])


def checked_parameters(**given: ArrayLike) -> FloatArray:
    """The arrays that :func:`event_metrics` takes, broadcast.

    Returns
    -------
    (8, ...) array
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
