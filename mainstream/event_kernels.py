"""Jitted code of the event model; :mod:`mainstream.events` has the formulas.

Kernels take M curve points ("lanes") at once, in the innermost loops: those have no dependence between rounds, so
that they vectorise, which the recursion over frames cannot. Numba's cache on disk sees changes in this file only:
nothing here calls or reads a global of another file.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mainstream.problem import FloatArray

F1, RECALL, PRECISION = range(3)
MOST_AUTO_VOTES: Final = 7
"""x_vote "auto" chooses among 1 and this many."""
MOST_VOTES: Final = 127
"""The largest number of votes that a column of int8 holds."""
CHEAP_STEPS: Final = 50.0
"""About so many multiplications cost as much as a power."""
UNDETECTED: Final = 1e-16
"""Once less than this is undetected, more frames change nothing."""
SETTLED: Final = 1e-13
"""Relative change of the hazard over a block of frames that counts as none."""


class LaneScratch(NamedTuple):
    """Memory of the recursion over frames, for M lanes or fewer."""

    after_miss: FloatArray  # (M,) a: a frame after a miss hits
    stay: FloatArray  # (M,) h: a frame after a hit hits
    leave: FloatArray  # (M,) 1 - h
    full_run: FloatArray  # (M,) h ** (votes - 1)
    miss: FloatArray  # (M,) z
    run: FloatArray  # (M,) undetected, in a run of hits
    gain: FloatArray  # (M,) f: what the frame at hand detects
    total: FloatArray  # (M,) detected before it
    hazard: FloatArray  # (M,) f as a share of the undetected, at the last look
    starts: FloatArray  # (MOST_VOTES, M) s of the last frames, that of frame j in row j % votes


@njit(cache=True, error_model="numpy")
def _share(total: float) -> float:
    """`total` without the last digits by which a sum of many parts may pass 1; NaN stays."""
    return 1.0 if total > 1.0 else total


@njit(cache=True, error_model="numpy")
def _detected_by_one(
    hit: FloatArray, freedom: float, frames: FloatArray, scratch: LaneScratch, detected: FloatArray
) -> None:
    """Fill `detected` (M, R): share of the windows of `frames` (R,) frames, increasing, with a hit."""
    after_miss, miss, total = scratch.after_miss, scratch.miss, scratch.total
    lanes = len(hit)
    for lane in range(lanes):
        after_miss[lane] = hit[lane] * freedom
        miss[lane] = 1.0 - hit[lane]
        total[lane] = hit[lane]
    frame = 1.0
    for t in range(len(frames)):
        whole = np.floor(frames[t])
        part = frames[t] - whole
        if whole - frame > CHEAP_STEPS:
            for lane in range(lanes):
                share = -np.expm1((whole - frame) * np.log1p(-after_miss[lane]))
                total[lane] += share * miss[lane]
                miss[lane] *= 1.0 - share
            frame = whole
        while frame < whole:
            frame += 1.0
            for lane in range(lanes):
                gain = after_miss[lane] * miss[lane]
                total[lane] += gain
                miss[lane] *= 1.0 - after_miss[lane]
        for lane in range(lanes):
            more = total[lane] + part * after_miss[lane] * miss[lane]
            detected[lane, t] = _share(more) if whole > 0.0 else part * hit[lane]


@njit(cache=True, error_model="numpy")
def _detected_by_run(
    hit: FloatArray, chain: tuple[float, float, int], frames: FloatArray, scratch: LaneScratch, detected: FloatArray
) -> None:
    """Fill `detected` (M, R): share of the windows of `frames` (R,) frames, increasing, with `votes` hits in a row.

    `chain`: freedom, correlation, votes (2 or more).
    """
    freedom, correlation, votes = chain
    after_miss, stay, leave, full_run, miss, run, gain, total, hazard, starts = scratch
    lanes = len(hit)
    rates = len(frames)
    for lane in range(lanes):
        p = hit[lane]
        after_miss[lane] = p * freedom
        stay[lane] = p + (1.0 - p) * correlation
        leave[lane] = (1.0 - p) * (1.0 - correlation)
        full_run[lane] = stay[lane] ** (votes - 1)
        miss[lane] = 1.0 - p
        gain[lane] = 0.0
        total[lane] = 0.0
        hazard[lane] = -1.0
        for row in range(votes):
            starts[row, lane] = p if row == 1 else 0.0
    # Beyond some tens of frames for each vote the chain has forgotten its start: each further frame detects the
    # same share of what is undetected, the hazard, and all the frames that are left are one power. Without this,
    # an event of days at 30 fps is millions of steps. The hazard's deviation shrinks to 0.4 or less over `votes`
    # frames unless nearly nothing is left undetected: no change over a block four times as long means settled.
    block = max(16, 4 * votes)
    frame = 1
    t = 0
    while t < rates and (frame % block or not _settled(lanes, votes, frame, scratch)):
        frame += 1
        row = (frame + 1) % votes
        for lane in range(lanes):
            run[lane] = starts[row, lane]
            gain[lane] = run[lane] * full_run[lane]
        for _ in range(votes - 2):
            row = row + 1 if row + 1 < votes else 0
            for lane in range(lanes):
                run[lane] = run[lane] * stay[lane] + starts[row, lane]
        while t < rates and frames[t] < frame:
            part = max(0.0, frames[t] - (frame - 1))
            for lane in range(lanes):
                detected[lane, t] = _share(total[lane] + part * gain[lane])
            t += 1
        row = frame % votes
        for lane in range(lanes):
            starts[row, lane] = after_miss[lane] * miss[lane]
            miss[lane] = (1.0 - after_miss[lane]) * miss[lane] + leave[lane] * run[lane]
            total[lane] += gain[lane]
    for i in range(t, rates):
        whole = np.floor(frames[i])
        for lane in range(lanes):
            share = -np.expm1((whole - frame) * np.log1p(-hazard[lane]))
            share += (frames[i] - whole) * hazard[lane] * (1.0 - share)
            detected[lane, i] = _share(total[lane] + run[lane] * share)


@njit(cache=True, error_model="numpy")
def _settled(lanes: int, votes: int, frame: int, scratch: LaneScratch) -> bool:
    """Whether no lane's hazard has changed since the last look; puts all of the undetected into `scratch.run`."""
    same = True
    for lane in range(lanes):
        runs = 0.0
        for k in range(frame + 2 - votes, frame + 1):
            runs = runs * scratch.stay[lane] + scratch.starts[k % votes, lane]
        undetected = scratch.miss[lane] + runs
        gain = scratch.gain[lane]
        hazard = gain / (undetected + gain) if undetected > UNDETECTED else 0.0
        if undetected > UNDETECTED and abs(hazard - scratch.hazard[lane]) > SETTLED * hazard:
            same = False
        scratch.hazard[lane] = hazard
        scratch.run[lane] = undetected
    return same


@njit(cache=True, error_model="numpy")
def _objective(metric: int, recall: float, alarms: float) -> float:
    """Precision or F1, both 0 where recall is 0."""
    if metric == F1:
        return 2.0 * recall / (1.0 + recall + alarms)
    return recall / (recall + alarms) if recall + alarms != 0.0 else 0.0


@njit(cache=True, error_model="numpy")
def fill_values(
    metric: int,
    curves: tuple[FloatArray, FloatArray],
    chains: tuple[FloatArray, FloatArray, NDArray[np.int64]],
    frames: tuple[FloatArray, FloatArray],
    blame: FloatArray,
    scratch: LaneScratch,
    detected: FloatArray,
    filled: tuple[FloatArray, NDArray[np.int8]],
) -> None:
    """Fill values and votes (N, F, R).

    `curves`: accuracies, false positive rates (N, F); `chains`: freedom, correlation, votes (N,), votes -1 for the
    best; `frames`: analysed in a window with an event and in one without (N, R), rising with R; `blame` (N,):
    windows of the latter for each of the former; `scratch` and `detected` (2 F, R): memory for 2 F lanes.
    """
    p, q = curves
    freedom, correlation, x_vote = chains
    event_frames, other_frames = frames
    values, best_votes = filled
    apps, columns = p.shape
    hit = np.empty(2 * columns)
    best_of = 1 if metric == RECALL else MOST_AUTO_VOTES  # more votes never raise recall
    for i in range(apps):
        for c in range(columns):
            hit[c] = p[i, c]
            hit[columns + c] = q[i, c]
        fewest, most = (x_vote[i], x_vote[i]) if x_vote[i] >= 0 else (1, best_of)
        for votes in range(fewest, most + 1):
            for side in range(1 if metric == RECALL else 2):
                lanes = hit[side * columns : (side + 1) * columns]
                shares = detected[side * columns : (side + 1) * columns]
                seen = event_frames[i] if side == 0 else other_frames[i]
                if votes <= 1:
                    _detected_by_one(lanes, freedom[i], seen, scratch, shares)
                else:
                    _detected_by_run(lanes, (freedom[i], correlation[i], votes), seen, scratch, shares)
            for c in range(columns):
                for t in range(detected.shape[1]):
                    value = detected[c, t]
                    if metric != RECALL:
                        value = _objective(metric, value, blame[i] * detected[columns + c, t])
                    if votes == fewest or value > values[i, c, t]:
                        values[i, c, t] = value
                        best_votes[i, c, t] = votes
