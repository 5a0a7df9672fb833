"""Event simulation: draw traces frame by frame, sample and vote as the runtime does, and score the claims.

Traces. Time is cut into windows of the event's length L. Each window holds an event with probability e, independently:
events last L, and the gaps between them are whole numbers of windows with a geometric distribution. Of the stream's S
frames a second r are analysed, evenly spaced: frame j is due at (j + phase) / r with a random phase, and is the stream
frame of that moment. So a window holds floor or ceil of nbar = L/1000 r analysed frames, and nbar on average. Their
outcomes are a two-state Markov chain that starts anew in each window, with hit probability p in an event and q outside:

    P(hit | hit) = p + (1-p) rho        P(hit | miss) = p (1-rho)        the first frame of a window hits with p

A window in which X frames in a row hit is claimed to hold an event; a run of hits ends with its window. Event model
"windowed" is the expectation of this.

Decay. If the rate c at which rho was measured is given, the chain runs at the stream's rate, and frames that are d
stream frames apart have correlation rho ** (d c / S); d is the stride between two analysed frames, floor or ceil of
S/r. A unit of u stream frames is a rate of S/u. Frames that are not analysed need not be drawn: every d-th state of a
two-state chain is again a two-state chain.

False alarms. If they have a correlation of their own, the chain uses it in windows without an event.

Events that differ. If several lengths are given, each window has one of them, independently. If a spread s is given,
the hit probability of each event is drawn from the Beta distribution with mean p and variance s p (1-p). With both and
decay, event model "measured" is the expectation of this, except for strides that are not whole.

Scores. recall = found events / events, precision = found events / claims, F1 = 2 found / (events + claims) = 2 J / (1
+ J) with J = found / (events or claims), counted in windows. Windows are independent, so recall, precision and J are
shares of independent trials; their 95 % intervals are Wilson's, and F1's is the image of J's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mainstream._jit import counted
from mainstream.apps import IntArray
from mainstream.description import shown
from mainstream.errors import ProblemError
from mainstream.events import METRICS, EventMetrics, checked_lengths, checked_parameters, event_metrics
from mainstream.extensions import EVENT_MODELS
from mainstream.ids import IdArray
from mainstream.problem import FloatArray
from mainstream.ranges import POSITIVE, WHOLE, Range
from mainstream.schedule import Result
from mainstream.shares import Interval, f1_interval, share_interval
from mainstream.solver import Prepared

_FRAMES: Final = Range(1, 10**12, whole=True)
_AT_ONCE: Final = 4_000_000
"""Frames that are drawn in one call, in which Ctrl-C waits: some hundredths of a second."""


@dataclass(frozen=True, eq=False)
class Simulated:
    """Counts of a simulation, as arrays of one shape.

    Attributes
    ----------
    windows, events, found, alarms : int
        Windows, windows with an event, claimed windows with an event, and claimed windows without one.
    frames : int
        Analysed frames that were drawn.
    has_precision : bool
        Whether a false positive rate and an event frequency were given.
    """

    windows: IntArray
    events: IntArray
    found: IntArray
    alarms: IntArray
    frames: IntArray
    has_precision: NDArray[np.bool_]

    @property
    def recall(self) -> Interval:
        """Share of the events that were found, with its 95 % interval."""
        return share_interval(self.found, self.events)

    @property
    def precision(self) -> Interval:
        """Share of the claims that are right, with its 95 % interval."""
        return self._where_defined(share_interval(self.found, self.found + self.alarms))

    @property
    def f1(self) -> Interval:
        """Harmonic mean of recall and precision, with its 95 % interval."""
        return self._where_defined(f1_interval(self.found, self.events, self.found + self.alarms))

    def _where_defined(self, estimate: Interval) -> Interval:
        return Interval(*(np.where(self.has_precision, part, np.nan) for part in estimate))


@counted
def _replay(
    random: np.random.Generator,
    windows: int,
    chances: tuple[float, float, float, float],
    lengths: FloatArray,
    stride: float,
    correlations: tuple[tuple[float, float], tuple[float, float]],
    votes: int,
    first: int,
    state: FloatArray,
) -> tuple[int, int, int, int]:
    """Events, found, alarms and frames of so many windows from number `first` on.

    `chances`: p, q, e, spread; `lengths` (J,): analysed frames a window; `stride`: stream frames an analysed one;
    `correlations`: over the shorter and the longer stride, in events and outside; `state` (3,): phase, drift and the
    end of the window before, which the next call goes on from.
    """
    in_event, outside, frequency, spread = chances
    differ = spread > 0.0 and 0.0 < in_event < 1.0
    certain = 1.0 / spread - 1.0 if differ else 0.0
    longer_part = stride - np.floor(stride)
    events = found = alarms = 0
    phase, drift, due = state
    begun = frames = int(np.floor(due)) if first else 0
    for window in range(first, first + windows):
        event = random.random() < frequency
        p = in_event if event else outside
        shorter, longer = correlations[0] if event else correlations[1]
        if event and differ and certain > 0.0:
            p = random.beta(in_event * certain, (1.0 - in_event) * certain)
        elif event and differ:
            p = 1.0 if random.random() < in_event else 0.0
        if len(lengths) == 1:
            due = phase + (window + 1) * lengths[0]
        else:
            due += lengths[int(random.random() * len(lengths))]
        end = int(np.floor(due))
        claimed = False
        hit = False
        run = 0
        for frame in range(frames, end):
            drift += longer_part
            correlation = shorter
            if drift >= 1.0:
                drift -= 1.0
                correlation = longer
            threshold = p
            if frame > frames:
                threshold = p + (1.0 - p) * correlation if hit else p * (1.0 - correlation)
            hit = random.random() < threshold
            run = run + 1 if hit else 0
            claimed |= run >= votes
        frames = end
        events += event
        found += event and claimed
        alarms += claimed and not event
    state[1:] = drift, due
    return events, found, alarms, frames - begun


def simulate(
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
    windows: ArrayLike,
    seed: int,
    decay_unit: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> Simulated:
    """Draw a trace for each of the given apps, arrays that broadcast, and score it.

    Parameters
    ----------
    accuracy, false_positive_rate, event_length_ms, event_frequency, correlation, stream_fps, target_fps, x_vote,
    correlation_fps, accuracy_spread, false_correlation, event_lengths_ms
        As in :func:`mainstream.events.event_metrics`.
    windows : int array
        Length of the traces, in windows.
    seed : int
        The k-th app's trace depends only on the seed, k and its own parameters.
    decay_unit : float, optional
        Distance in stream frames at which `correlation` holds, for apps whose `correlation_fps` is NaN; it then decays
        with distance. Without either, it holds between successive analysed frames, whatever their distance.
    progress : callable, optional
        Gets the share of all frames that is drawn, 0..1, some times a second.

    Raises
    ------
    ProblemError
        An argument is out of its range, or the shapes do not broadcast.
    """
    check_draw(1, seed, decay_unit)
    parameters = checked_parameters(
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
    shape = parameters.shape[1:]
    many_lengths = checked_lengths(event_lengths_ms, shape)
    lengths = np.asarray(windows)
    if lengths.dtype.kind not in "iu" or lengths.shape not in ((), shape) or (lengths < 1).any():
        raise ProblemError(f"windows: got {shown(lengths.tolist())}; allowed are integers of at least 1")
    lengths = np.broadcast_to(lengths, shape)
    counts = np.zeros((4, lengths.size), dtype=np.int64)
    _, _, length_ms, _, _, _, target_fps, *_ = parameters
    each = np.maximum(length_ms / 1000 * target_fps, 1.0)  # a window without a frame takes its time, too
    work, drawn = float((lengths * each).sum()), 0.0
    for k, (p, q, length, frequency, rho, stream, target, votes, rho_fps, spread, false_rho) in enumerate(
        parameters.reshape(11, -1).T
    ):
        stride = stream / target
        distances = np.floor(stride) + np.array([0.0, 1.0])
        unit = decay_unit if np.isnan(rho_fps) else stream / rho_fps
        steps = np.ones(2) if unit is None else distances / unit
        inside, outside = rho**steps, (rho if np.isnan(false_rho) else false_rho) ** steps
        own_lengths = many_lengths[k][~np.isnan(many_lengths[k])]
        random = np.random.default_rng([seed, k])
        phase, drift = random.random(2)
        state = np.array([phase, drift, phase])
        at_once = max(1, int(_AT_ONCE / each.flat[k]))
        for first in range(0, int(lengths.flat[k]), at_once):
            of_these = min(at_once, int(lengths.flat[k]) - first)
            counts[:, k] += _replay(
                random,
                of_these,
                (p, 0.0 if np.isnan(q) else q, 1.0 if np.isnan(frequency) else frequency, spread),
                (own_lengths if own_lengths.size else np.array([length])) / 1000 * target,
                stride,
                ((inside[0], inside[1]), (outside[0], outside[1])),
                max(1, int(votes)),
                first,
                state,
            )
            drawn += of_these * float(each.flat[k])
            if progress is not None:
                progress(drawn / work)
    events, found, alarms, frames = counts.reshape(4, *shape)
    return Simulated(
        windows=lengths.astype(np.int64),
        events=events,
        found=found,
        alarms=alarms,
        frames=frames,
        has_precision=~np.isnan(parameters[1] + parameters[3]),
    )


class Off(NamedTuple):
    """How far an event model's metric is from the simulated one: mean and largest difference over a schedule's apps."""

    event_model: str
    metric: str
    mean: float
    largest: float


@dataclass(frozen=True, eq=False)
class Replay:
    """The M admitted apps of a schedule, predicted and simulated.

    Attributes
    ----------
    app_ids, target_fps, x_vote : (M,) arrays
    predicted : mapping of str to EventMetrics
        Event model -> its predictions; arrays (M,).
    simulated : Simulated
        Arrays (M,).
    """

    app_ids: IdArray
    target_fps: FloatArray
    x_vote: IntArray
    predicted: Mapping[str, EventMetrics]
    simulated: Simulated

    def off(self) -> list[Off]:
        """For each event model and each metric that some app has, how far the prediction is from the simulation."""
        rows = []
        for event_model, metric in ((model, metric) for model in self.predicted for metric in METRICS):
            distance = np.abs(getattr(self.predicted[event_model], metric) - getattr(self.simulated, metric).value)
            distance = distance[~np.isnan(distance)]
            if distance.size:
                rows.append(Off(event_model, metric, float(distance.mean()), float(distance.max())))
        return rows


def check_draw(frames: int, seed: int, decay_unit: float | None) -> None:
    """Raise :class:`ProblemError` if these are out of range, before anything is solved or drawn."""
    _FRAMES.check("frames", frames)
    WHOLE.check("seed", seed)
    if decay_unit is not None:
        POSITIVE.check("decay_unit", decay_unit)


def simulate_schedule(
    result: Result,
    prepared: Prepared,
    *,
    frames: int,
    seed: int,
    decay_unit: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> Replay:
    """Simulate the choices of a result.

    Parameters
    ----------
    result : Result
    prepared : Prepared
        The problem that it answers.
    frames : int
        Analysed frames to draw for each app, about; that many windows where a window has less than one.
    seed, decay_unit, progress
        As in :func:`simulate`.

    Raises
    ------
    ProblemError
        The result has an app or a `num_frozen` that is not among the apps', or an argument is out of its range.
    """
    check_draw(frames, seed, decay_unit)
    chosen = result.together
    ids, num_frozen, target_fps, x_vote = (
        getattr(chosen, column)[chosen.admitted] for column in ("app_ids", "num_frozen", "target_fps", "x_vote")
    )
    points, stream_fps = prepared.seen(ids.tolist(), num_frozen.tolist())
    parameters: dict[str, Any] = {
        **points._asdict(),
        "stream_fps": stream_fps,
        "target_fps": target_fps,
        "x_vote": x_vote,
    }
    if decay_unit is not None:
        known = parameters["correlation_fps"]
        parameters["correlation_fps"] = np.where(np.isnan(known), stream_fps / decay_unit, known)
    windows = np.ceil(frames / np.maximum(parameters["event_length_ms"] / 1000 * target_fps, 1.0)).astype(np.int64)
    return Replay(
        app_ids=ids,
        target_fps=target_fps,
        x_vote=x_vote,
        predicted={event_model: event_metrics(**parameters, event_model=event_model) for event_model in EVENT_MODELS},
        simulated=simulate(**parameters, windows=windows, seed=seed, progress=progress),
    )
