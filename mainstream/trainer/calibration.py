"""Event parameters of an app, and how its model sees events, from labelled frames and the model's decisions.

Successive frames with the same label are a *run*; a run of event frames is an event. A run is cut off where it meets an
end of the recording or a gap in the labels.

**Lengths and frequency** assume no distribution of event lengths, only that the recording is typical. In a long
recording there is one mean length of event time for each event that begins, and likewise for each that ends. So

    mean length = event time / (events whose beginning is seen + events whose end is seen) * 2,

in which a cut event counts half. Leaving cut events out would make the mean too short, since long events are cut more
often; counting them as whole would make it too short as well. Lay windows so that each event fills one, and others as
long in between: the share of windows that hold an event is the share of time in events. So the event frequency is
event time / time. Both figures are ratios of sums over cycles (an event and the gap behind it), which are taken as
independent. Their intervals come from the delta method, with Student's t, on the log or the logit scale.

**The shortest length** that can occur lies below the two shortest that did. With x1 <= x2, it is above
x1 - (x2 - x1) (1 - a) / a with probability 1 - a when lengths have some density there (Robson and Whitlock,
"Estimation of a truncation point", Biometrika 51, 1964, show it for the other end). A length counted in frames is exact
to one frame.

**Correlation** is that of the two-state chain of the event model: P(hit | hit) = p + (1 - p) rho, P(miss | miss) =
1 - p + p rho, and the first frame of an event is hit with p. The estimate maximises the likelihood of the events'
analysed frames. Its interval holds each rho whose likelihood, with the best p for it, is near enough to the maximum
(chi-squared, 1 degree). The correlation of false alarms is the same for the frames outside events.

How events differ from each other in length and accuracy is measured in :mod:`mainstream.trainer.differences`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mainstream._optional import require
from mainstream.errors import ProblemError
from mainstream.formats.calibration_files import Flags, Frames
from mainstream.formats.package import Estimate, Events, Seen
from mainstream.trainer.differences import differences, length_slices

CONFIDENCE: Final = 0.95

_Numbers = NDArray[np.float64]

_TAIL: Final = (1 - CONFIDENCE) / 2
_Z: Final = NormalDist().inv_cdf(1 - _TAIL)
_RHO: Final = np.linspace(0, 1, 501)
_P: Final = np.linspace(0.001, 0.999, 999)


@dataclass(frozen=True)
class Calibration:
    """What a recording says about an app's events and its model.

    Attributes
    ----------
    events : Events
        For the package.
    cut_off : int
        Events that are cut off at one end or both.
    analysed : int
        Frames with a decision and a label.
    accuracy, false_positive_rate : Estimate or None
        Share of positive decisions on frames in events, and on frames outside; None without such frames.
    false_correlation : Estimate or None
        Correlation between successive analysed frames outside events.
    false_correlation_fps : float or None
        The rate of analysed frames, per second, at which `false_correlation` was measured.
    """

    events: Events
    cut_off: int
    analysed: int = 0
    accuracy: Estimate | None = None
    false_positive_rate: Estimate | None = None
    false_correlation: Estimate | None = None
    false_correlation_fps: float | None = None

    def seen(self, num_frozen: int) -> Seen:
        """What the package keeps about the model that decided."""
        return Seen(
            num_frozen=num_frozen,
            accuracy=self.accuracy,
            false_positive_rate=self.false_positive_rate,
            false_correlation=self.false_correlation,
            correlation_fps=self.false_correlation_fps,
        )


@dataclass(frozen=True)
class _Runs:
    """R runs of frames with one label.

    Attributes
    ----------
    of_frame : (n,) int
        The run of each labelled frame.
    event : (R,) bool
    frames : (R,) float
        How many of the camera's frames each run stands for.
    first, last : (R,) bool
        Whether a gap or an end of the recording comes right before the run, or right behind it.
    """

    of_frame: Frames
    event: Flags
    frames: _Numbers
    first: Flags
    last: Flags


def calibrate(
    frames: Frames, event: Flags, fps: float, analysed: Frames | None = None, positive: Flags | None = None
) -> Calibration:
    """Estimate event parameters from labelled frames and, with a model's decisions, how the model sees events.

    Parameters
    ----------
    frames : (n,) int array
        Numbers of the labelled frames, increasing; labelling only every k-th frame is fine.
    event : (n,) bool array
        Whether each frame is in an event.
    fps : float
        Frames a second of the recording whose frames are numbered.
    analysed : (m,) int array, optional
        Numbers of the frames that the model analysed, increasing; frames without a label are left out.
    positive : (m,) bool array, optional
        The model's decision on each.

    Returns
    -------
    Calibration

    Raises
    ------
    ProblemError
        There are too few events for intervals, or no frame is both labelled and analysed.
    MissingExtraError
        SciPy is not installed.
    """
    runs = _runs(frames, event)
    events = int(runs.event.sum())
    if events < 2:
        raise ProblemError(f"{events} events in {len(frames)} labelled frames; intervals need 2 or more: label more")
    if event.all():
        raise ProblemError("every labelled frame is in an event; label frames outside events, too")
    weights = (1 - 0.5 * runs.first - 0.5 * runs.last)[runs.event]
    whole = np.sort(runs.frames[runs.event & ~runs.first & ~runs.last])
    if not len(whole):
        raise ProblemError("every event is cut off by an end of the recording or a gap in the labels: label more")
    cycle = np.cumsum(runs.event | runs.first) - 1
    ms = 1000 / fps
    mean = _ratio(runs.frames[runs.event], weights, events)
    frequency = _ratio(_sums(cycle, runs.frames * runs.event), _sums(cycle, runs.frames), events, share=True)
    of_events = runs.event
    lengths = length_slices(runs.frames[of_events], (runs.first | runs.last)[of_events], mean.value * ms)
    found = Events(
        event_lengths_ms=lengths,
        event_length_ms=Estimate(value=mean.value * ms, low=mean.low * ms, high=mean.high * ms),
        min_event_length_ms=_shortest(whole, int(runs.frames[0] / (runs.of_frame == 0).sum()), ms),
        event_frequency=frequency,
        confidence=CONFIDENCE,
        labelled_frames=len(frames),
        events=events,
    )
    cut_off = int((weights < 1).sum())
    if analysed is None or positive is None:
        return Calibration(found, cut_off)
    return _with_decisions(found, cut_off, runs, frames, fps, analysed, positive)


def _with_decisions(
    found: Events, cut_off: int, runs: _Runs, frames: Frames, fps: float, analysed: Frames, positive: Flags
) -> Calibration:
    labelled = np.isin(analysed, frames)
    numbers, hits = analysed[labelled], positive[labelled]
    if not len(numbers):
        raise ProblemError("no frame has both a label and a score; do both count the camera's frames from 0?")
    run = runs.of_frame[np.searchsorted(frames, numbers)]
    steps = np.diff(numbers)
    # A rate that does not divide the camera's gives steps of two lengths; a dropped frame gives a step twice as long.
    near = steps < 2 * np.median(steps) if len(steps) else steps > 0
    pairs = (run[1:] == run[:-1]) & near
    in_event = runs.event[run]
    correlation, false_correlation = (_correlation(hits, pairs, some) for some in (in_event, ~in_event))
    if correlation is not None:
        rate = fps / float(steps[pairs & in_event[1:]].mean())
        found = found.model_copy(update={"correlation": correlation, "correlation_fps": rate})
    differ = differences(hits, pairs, in_event, run, _Z) if correlation is not None else None
    if differ is not None:
        found = found.model_copy(update={"accuracy_spread": differ.spread, "correlation": differ.correlation})
    return Calibration(
        found,
        cut_off,
        len(numbers),
        _share(hits[in_event], run[in_event]),
        _share(hits[~in_event], run[~in_event]),
        false_correlation,
        None if false_correlation is None else fps / float(steps[pairs & ~in_event[1:]].mean()),
    )


def _runs(frames: Frames, event: Flags) -> _Runs:
    steps = np.diff(frames)
    step = int(np.median(steps)) if len(steps) else 1
    gap = np.concatenate([[True], steps > step])
    start = gap | np.concatenate([[True], event[1:] != event[:-1]])
    of_frame = np.cumsum(start) - 1
    first = gap[start]
    return _Runs(
        of_frame, event[start], np.bincount(of_frame).astype(float) * step, first, np.concatenate([first[1:], [True]])
    )


def _sums(group: Frames, values: _Numbers) -> _Numbers:
    return np.bincount(group, weights=values).astype(np.float64)


def _ratio(above: _Numbers, below: _Numbers, blocks: int, *, share: bool = False) -> Estimate:
    """A ratio of sums over independent blocks; with `share` it lies between 0 and 1."""
    ratio = float(above.sum() / below.sum())
    residuals = above - ratio * below
    count = len(above)
    error = math.sqrt(count / (count - 1) * float((residuals**2).sum())) / float(below.sum())
    far = _student(blocks - 1) * error / ratio
    if not share:
        return Estimate(value=ratio, low=ratio * math.exp(-far), high=ratio * math.exp(far))
    odds = ratio / (1 - ratio)
    low, high = (odds * math.exp(way * far / (1 - ratio)) for way in (-1, 1))
    # Without any spread, rounding alone could put the ratio outside.
    return Estimate(value=ratio, low=min(ratio, low / (1 + low)), high=max(ratio, high / (1 + high)))


def _student(degrees: int) -> float:
    """Student's t quantile for the confidence."""
    require("scipy", "train")
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 1 - _TAIL))


def _shortest(whole: _Numbers, step: int, ms: float) -> Estimate:
    shortest = float(whole[0])
    factor = (1 - 2 * _TAIL) / (2 * _TAIL)
    low = shortest - step - factor * float(whole[1] - whole[0]) if len(whole) > 1 else 0.0
    return Estimate(value=shortest * ms, low=max(0.0, low) * ms, high=(shortest + step) * ms)


def _share(hits: Flags, run: Frames) -> Estimate | None:
    """Share of positive decisions; runs are independent of each other, the frames within a run are not."""
    _, block = np.unique(run, return_inverse=True)
    if not len(hits):
        return None
    above, below = _sums(block, hits.astype(float)), np.bincount(block).astype(float)
    share, blocks = float(hits.mean()), len(below)
    if 0 < share < 1 and blocks > 1:
        return _ratio(above, below, blocks, share=True)
    # All or none are positive: the interval of Clopper and Pearson, with each run counted as one frame.
    beyond = 1 - _TAIL ** (1 / blocks)
    return Estimate(value=share, low=max(0.0, share - beyond), high=min(1.0, share + beyond))


def _correlation(hits: Flags, pairs: Flags, wanted: Flags) -> Estimate | None:
    """The chain's correlation over pairs of successive frames that are `wanted`; None if all decisions are equal."""
    pairs = pairs & wanted[1:]
    before, after = hits[:-1][pairs], hits[1:][pairs]
    firsts = hits[wanted & ~np.concatenate([[False], pairs])]
    if not len(before) or len({*before.tolist(), *after.tolist()}) < 2:
        return None
    rho, p = _RHO[:, None], _P[None, :]
    with np.errstate(divide="ignore"):
        likelihood = firsts.sum() * np.log(p) + (~firsts).sum() * np.log(1 - p)
        for first, second, chance in (
            (True, True, p + (1 - p) * rho),
            (True, False, (1 - p) * (1 - rho)),
            (False, True, p * (1 - rho)),
            (False, False, 1 - p + p * rho),
        ):
            count = int(((before == first) & (after == second)).sum())
            if count:
                likelihood = likelihood + count * np.log(chance)
    profile = likelihood.max(axis=1)
    best = int(profile.argmax())
    near = np.flatnonzero(profile[best] - profile <= _Z**2 / 2)
    return Estimate(value=float(_RHO[best]), low=float(_RHO[near[0]]), high=float(_RHO[near[-1]]))
