"""Jitted code of the event model; :mod:`mainstream.events` has the formulas.

A pass takes WIDTH chains ("lanes") at once, in the innermost loops: p of POINTS curve points, then q of the same. Those
loops have no dependence between rounds, which the recursion over frames has; and their length, and the distances
between what they read and write, are constants. That is what it takes for the compiler to make vector instructions of
them. Lanes that are left over hold 0. Arrays of a pass are flat, one row after the other; an index is unsigned where
the compiler could not see that it is never negative.

Numba's cache on disk sees changes in this file only: nothing here calls or reads a global of another file.
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
POINTS: Final = 16
"""Curve points of a pass."""
WIDTH: Final = 2 * POINTS
"""Lanes of a pass."""
CHEAP_STEPS: Final = 50.0
"""About so many multiplications cost as much as a power."""
UNDETECTED: Final = 1e-16
"""Once less than this is undetected, more frames change nothing."""
SETTLED: Final = 1e-13
"""Relative change of the hazard over a block of frames that counts as none."""

# Where rows of the state begin.
AFTER_MISS: Final = 0 * WIDTH  # a: a frame after a miss hits
STAY: Final = 1 * WIDTH  # h: a frame after a hit hits
LEAVE: Final = 2 * WIDTH  # 1 - h
FULL_RUN: Final = 3 * WIDTH  # h ** (votes - 1)
MISS: Final = 4 * WIDTH  # z
RUN: Final = 5 * WIDTH  # R: undetected, in a run of hits
TOTAL: Final = 6 * WIDTH  # detected
HAZARD: Final = 7 * WIDTH  # what a frame detects as a share of the undetected, at the last look
STATE: Final = 8 * WIDTH


class PassMemory(NamedTuple):
    """Memory of the passes for R rates."""

    hit: FloatArray  # (WIDTH,) p of each point, then q of each
    state: FloatArray  # (STATE,)
    starts: FloatArray  # (MOST_VOTES * WIDTH,) s of the last votes - 1 frames, in turns
    detected: FloatArray  # (R * WIDTH,)
    other: FloatArray  # (R * WIDTH,) the same in windows without an event, where they have other frames
    best: FloatArray  # (R * POINTS,)
    best_votes: FloatArray  # (R * POINTS,)

    @classmethod
    def of(cls, rates: int) -> PassMemory:
        """Memory for so many rates."""
        sizes = (WIDTH, STATE, MOST_VOTES * WIDTH, rates * WIDTH, rates * WIDTH, rates * POINTS, rates * POINTS)
        return cls._make(map(np.empty, sizes))


@njit(cache=True, error_model="numpy")
def _detected_by_one(
    hit: FloatArray, freedom: float, frames: FloatArray, state: FloatArray, detected: FloatArray
) -> None:
    """Fill `detected` (R, WIDTH): share of the windows of `frames` (R,) frames, rising, with a hit."""
    for lane in range(WIDTH):
        state[HAZARD + lane] = hit[lane] * freedom
        state[MISS + lane] = 1.0 - hit[lane]
        state[TOTAL + lane] = hit[lane]
    t = 0
    while t < len(frames) and frames[t] < 1.0:
        for lane in range(WIDTH):
            detected[np.uint64(t * WIDTH) + np.uint64(lane)] = frames[t] * hit[lane]
        t += 1
    _go_on_alike(1.0, t, frames, state, detected)


@njit(cache=True, error_model="numpy")
def _go_on_alike(frame: float, first: int, frames: FloatArray, state: FloatArray, detected: FloatArray) -> None:
    """Fill `detected` from rate `first` on, where each frame after `frame` detects HAZARD of MISS, the undetected."""
    for t in range(first, len(frames)):
        whole = np.floor(frames[t])
        part = frames[t] - whole
        if whole - frame > CHEAP_STEPS:
            for lane in range(WIDTH):
                share = -np.expm1((whole - frame) * np.log1p(-state[HAZARD + lane]))
                state[TOTAL + lane] += share * state[MISS + lane]
                state[MISS + lane] *= 1.0 - share
            frame = whole
        while frame < whole:
            frame += 1.0
            for lane in range(WIDTH):
                hazard, miss = state[HAZARD + lane], state[MISS + lane]
                state[TOTAL + lane] += hazard * miss
                state[MISS + lane] = (1.0 - hazard) * miss
        for lane in range(WIDTH):
            total = state[TOTAL + lane] + part * state[HAZARD + lane] * state[MISS + lane]
            # A sum of many parts may pass 1 by its last digits; NaN stays.
            detected[np.uint64(t * WIDTH) + np.uint64(lane)] = 1.0 if total > 1.0 else total


@njit(cache=True, error_model="numpy")
def _detected_by_run(
    hit: FloatArray,
    chain: tuple[float, float, int],
    frames: FloatArray,
    state: FloatArray,
    starts: FloatArray,
    detected: FloatArray,
) -> None:
    """Fill `detected` (R, WIDTH): share of the windows of `frames` (R,) frames, rising, with `votes` hits in a row.

    `chain`: freedom, correlation, votes (2 or more).
    """
    votes = chain[2]
    _begin(hit, chain, state, starts)
    # Beyond some tens of frames for each vote the chain has forgotten its start: each further frame detects the
    # same share of what is undetected, the hazard, and all the frames that are left are one power. Without this,
    # an event of days at 30 fps is millions of steps. The hazard's deviation shrinks to 0.4 or less over `votes`
    # frames unless nearly nothing is left undetected: no change over a block four times as long means settled.
    block = max(16, 4 * votes)
    look = block
    frame = 1
    row = 1 if votes > 2 else 0  # of `starts`, that of the frame votes - 2 before this one
    for t in range(len(frames)):
        whole = np.floor(frames[t])
        while frame < whole:
            if frame == look:
                if _settled(row, state, starts):
                    _go_on_alike(float(frame), t, frames, state, detected)
                    return
                look += block
            until = min(look, whole)
            # Two frames at once, so that what the second needs of the first stays in registers. With two votes it
            # would need the first's row, too.
            while votes > 2 and frame + 1 < until:
                oldest = np.uint64(row * WIDTH)
                row = row + 1 if row + 2 < votes else 0
                younger = np.uint64(row * WIDTH)
                row = row + 1 if row + 2 < votes else 0
                for lane in range(WIDTH):
                    after_miss, stay, leave = state[AFTER_MISS + lane], state[STAY + lane], state[LEAVE + lane]
                    miss, run = state[MISS + lane], state[RUN + lane]
                    gain = starts[oldest + np.uint64(lane)] * state[FULL_RUN + lane]
                    start = after_miss * miss
                    starts[oldest + np.uint64(lane)] = start
                    miss = (1.0 - after_miss) * miss + leave * run
                    run = run * stay + (start - gain)
                    then = starts[younger + np.uint64(lane)] * state[FULL_RUN + lane]
                    start = after_miss * miss
                    starts[younger + np.uint64(lane)] = start
                    state[TOTAL + lane] += gain + then
                    state[MISS + lane] = (1.0 - after_miss) * miss + leave * run
                    state[RUN + lane] = max(0.0, run * stay + (start - then))
                frame += 2
            while frame < until:
                oldest = np.uint64(row * WIDTH)
                row = row + 1 if row + 2 < votes else 0
                for lane in range(WIDTH):
                    after_miss, miss, run = state[AFTER_MISS + lane], state[MISS + lane], state[RUN + lane]
                    gain = starts[oldest + np.uint64(lane)] * state[FULL_RUN + lane]
                    start = after_miss * miss
                    starts[oldest + np.uint64(lane)] = start
                    state[TOTAL + lane] += gain
                    state[MISS + lane] = (1.0 - after_miss) * miss + state[LEAVE + lane] * run
                    state[RUN + lane] = max(0.0, run * state[STAY + lane] + (start - gain))
                frame += 1
        part = max(0.0, frames[t] - frame)
        oldest = np.uint64(row * WIDTH)
        for lane in range(WIDTH):
            total = state[TOTAL + lane] + part * starts[oldest + np.uint64(lane)] * state[FULL_RUN + lane]
            detected[np.uint64(t * WIDTH) + np.uint64(lane)] = 1.0 if total > 1.0 else total


@njit(cache=True, error_model="numpy")
def _begin(hit: FloatArray, chain: tuple[float, float, int], state: FloatArray, starts: FloatArray) -> None:
    """After the first frame."""
    freedom, correlation, votes = chain
    for lane in range(WIDTH):
        p = hit[lane]
        state[AFTER_MISS + lane] = p * freedom
        state[STAY + lane] = p + (1.0 - p) * correlation
        state[LEAVE + lane] = (1.0 - p) * (1.0 - correlation)
        state[FULL_RUN + lane] = 1.0
        state[MISS + lane] = 1.0 - p
        state[RUN + lane] = p
        state[TOTAL + lane] = 0.0
        state[HAZARD + lane] = -1.0
        starts[lane] = p
    for _ in range(votes - 1):
        for lane in range(WIDTH):
            state[FULL_RUN + lane] *= state[STAY + lane]
    for k in range(WIDTH, (votes - 1) * WIDTH):
        starts[k] = 0.0


@njit(cache=True, error_model="numpy")
def _settled(row: int, state: FloatArray, starts: FloatArray) -> bool:
    """Whether no lane's hazard has changed since the last look; if so, all of the undetected moves to MISS."""
    oldest = np.uint64(row * WIDTH)
    same = True
    for lane in range(WIDTH):
        undetected = state[MISS + lane] + state[RUN + lane]
        gain = starts[oldest + np.uint64(lane)] * state[FULL_RUN + lane]
        hazard = gain / undetected if undetected > UNDETECTED else 0.0
        same &= not abs(hazard - state[HAZARD + lane]) > SETTLED * hazard
        state[HAZARD + lane] = hazard
    if same:
        for lane in range(WIDTH):
            state[MISS + lane] += state[RUN + lane]
    return same


@njit(cache=True, error_model="numpy")
def _keep_better(
    metric: int,
    blame: float,
    votes: tuple[int, bool],
    detected: FloatArray,
    other: FloatArray,
    best: FloatArray,
    best_votes: FloatArray,
) -> bool:
    """Fill in the values where they are better; whether still more votes can be better anywhere.

    Recall never rises with the votes: at best they leave recall as it is and no alarms.
    """
    tried, first = votes
    can_rise = False
    for t in range(len(best) // POINTS):
        for c in range(POINTS):
            recall = detected[np.uint64(t * WIDTH + c)]
            alarms = blame * other[np.uint64(t * WIDTH + POINTS + c)]
            if metric == F1:
                value, most = 2.0 * recall / (1.0 + recall + alarms), 2.0 * recall
            elif metric == RECALL:
                value, most = recall, 0.0
            else:
                value = recall / (recall + alarms) if recall + alarms != 0.0 else 0.0
                most = 1.0 + recall
            k = np.uint64(t * POINTS + c)
            better = first or value > best[k]
            best[k] = value if better else best[k]
            best_votes[k] = tried if better else best_votes[k]
            can_rise |= best[k] * (1.0 + recall) < most
    return can_rise


@njit(cache=True, error_model="numpy")
def fill_values(
    metric: int,
    curves: tuple[FloatArray, FloatArray],
    chains: tuple[FloatArray, FloatArray, NDArray[np.int64]],
    frames: tuple[FloatArray, FloatArray],
    blame: FloatArray,
    scratch: PassMemory,
    filled: tuple[FloatArray, NDArray[np.int8]],
) -> None:
    """Fill values and votes (N, F, R).

    `curves`: accuracies, false positive rates (N, F); `chains`: freedom, correlation, votes (N,), votes -1 for the
    best; `frames`: analysed in a window with an event and in one without (N, R), rising with R; `blame` (N,):
    windows of the latter for each of the former.
    """
    p, q = curves
    freedom, correlation, x_vote = chains
    event_frames, other_frames = frames
    values, votes_behind = filled
    apps, columns, rates = values.shape
    hit, state, starts, detected, other, best, best_votes = scratch
    for i in range(apps):
        fewest, most = (x_vote[i], x_vote[i]) if x_vote[i] >= 0 else (1, MOST_AUTO_VOTES)
        alike = True
        for t in range(rates):
            alike &= event_frames[i, t] == other_frames[i, t]
        passes = 1 if alike or metric == RECALL else 2
        for before in range(0, columns, POINTS):
            points = min(POINTS, columns - before)
            hit[:] = 0.0
            for c in range(points):
                hit[c] = p[i, before + c]
                hit[POINTS + c] = q[i, before + c]
            for votes in range(fewest, most + 1):
                for side in range(passes):
                    seen, shares = (event_frames[i], detected) if side == 0 else (other_frames[i], other)
                    if votes <= 1:
                        _detected_by_one(hit, freedom[i], seen, state, shares)
                    else:
                        _detected_by_run(hit, (freedom[i], correlation[i], votes), seen, state, starts, shares)
                alarms = detected if passes == 1 else other
                if not _keep_better(metric, blame[i], (votes, votes == fewest), detected, alarms, best, best_votes):
                    break
            for c in range(points):
                for t in range(rates):
                    values[i, before + c, t] = best[t * POINTS + c]
                    votes_behind[i, before + c, t] = np.int8(best_votes[t * POINTS + c])
