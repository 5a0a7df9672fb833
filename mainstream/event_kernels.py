"""Jitted code of the event model; :mod:`mainstream.events` has the formulas.

The innermost loops of a pass take WIDTH chains ("lanes") at once: p of POINTS curve points, then q of the same points.
Unlike the recursion over frames, these loops have no dependence between rounds. Their length, and the distances between
what they read and write, are constants. So the compiler can turn them into vector instructions. Unused lanes hold 0.
Arrays of a pass are flat, one row after the other. An index is unsigned where the compiler could not see that it is
never negative.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mainstream._jit import inner, jit
from mainstream.problem import FloatArray

F1, RECALL, PRECISION = range(3)
MOST_AUTO_VOTES: Final = 7
"""x_vote "auto" chooses a number from 1 to this."""
MOST_VOTES: Final = 127
"""The largest number of votes that a column of int8 holds."""
POINTS: Final = 16
"""Curve points of a pass."""
WIDTH: Final = 2 * POINTS
"""Lanes of a pass."""
CHEAP_STEPS: Final = 50.0
"""About this many multiplications cost as much as a power."""
UNDETECTED: Final = 1e-16
"""Once less than this is undetected, further frames change nothing."""
SETTLED: Final = 1e-13
"""A relative change of the hazard over a block of frames below this counts as none."""

# Where rows of the state begin.
AFTER_MISS: Final = 0 * WIDTH  # a: a frame after a miss hits
STAY: Final = 1 * WIDTH  # h: a frame after a hit hits
LEAVE: Final = 2 * WIDTH  # 1 - h
FULL_RUN: Final = 3 * WIDTH  # h ** (votes - 1)
MISS: Final = 4 * WIDTH  # z
RUN: Final = 5 * WIDTH  # R: undetected, in a run of hits
TOTAL: Final = 6 * WIDTH  # detected
HAZARD: Final = 7 * WIDTH  # the share of the undetected that a frame detects, when last looked at
STATE: Final = 8 * WIDTH


class PassMemory(NamedTuple):
    """Memory of the passes for R rates."""

    hit: FloatArray  # (WIDTH,) p of each point, then q of each
    free: FloatArray  # (WIDTH,) of what P(hit | miss) is in each chain: of its p
    correlation: FloatArray  # (WIDTH,)
    state: FloatArray  # (STATE,)
    starts: FloatArray  # (MOST_VOTES * WIDTH,) s of the last votes - 1 frames, in turns
    detected: FloatArray  # (R * WIDTH,)
    other: FloatArray  # (R * WIDTH,) the same in windows without an event, where they have other frames
    best: FloatArray  # (R * POINTS,)
    best_votes: FloatArray  # (R * POINTS,)

    @classmethod
    def of(cls, rates: int) -> PassMemory:
        """Memory for this many rates."""
        lanes, points = rates * WIDTH, rates * POINTS
        sizes = (WIDTH, WIDTH, WIDTH, STATE, MOST_VOTES * WIDTH, lanes, lanes, points, points)
        return cls._make(map(np.empty, sizes))


class MixedMemory(NamedTuple):
    """What passes need besides :class:`PassMemory` where windows differ: in J lengths, and in accuracy at K nodes."""

    mean: FloatArray  # (WIDTH,) detected, over the lengths
    other_mean: FloatArray  # (WIDTH,) the same in windows without an event
    moments: FloatArray  # (K * POINTS,)
    weights: FloatArray  # (K * POINTS,) of the nodes
    recall: FloatArray  # (POINTS,) over the nodes
    merged: FloatArray  # (J,) frames of windows that differ
    merged_shares: FloatArray  # (J,)
    other_merged: FloatArray  # (J,) the same in windows without an event
    other_merged_shares: FloatArray  # (J,)

    @classmethod
    def of(cls, lengths: int, nodes: int) -> MixedMemory:
        """Memory for this many lengths and nodes."""
        sizes = (WIDTH, WIDTH, nodes * POINTS, nodes * POINTS, POINTS, lengths, lengths, lengths, lengths)
        return cls._make(map(np.empty, sizes))


@inner
def _load(p: FloatArray, q: FloatArray, before: int, hit: FloatArray) -> None:
    """Fill `hit` with the next POINTS of an app's p and q (F,), and with 0 where there are none left."""
    hit[:] = 0.0
    for c in range(min(POINTS, len(p) - before)):
        hit[c] = p[before + c]
        hit[POINTS + c] = q[before + c]


@inner
def _detected_by_one(
    hit: FloatArray, free: FloatArray, frames: FloatArray, state: FloatArray, detected: FloatArray
) -> tuple[float, int]:
    """Begin to fill `detected` (R, WIDTH): share of the windows of `frames` (R,) frames, rising, with a hit.

    Returns the frame after which, and the rate from which on, all is alike: :func:`_go_on_alike` does the rest.
    """
    for lane in range(WIDTH):
        state[HAZARD + lane] = hit[lane] * free[lane]
        state[MISS + lane] = 1.0 - hit[lane]
        state[TOTAL + lane] = hit[lane]
    t = 0
    while t < len(frames) and frames[t] < 1.0:
        for lane in range(WIDTH):
            detected[np.uint64(t * WIDTH) + np.uint64(lane)] = frames[t] * hit[lane]
        t += 1
    return 1.0, t


@inner
def _go_on_alike(frame: float, first: int, frames: FloatArray, state: FloatArray, detected: FloatArray) -> None:
    """Fill `detected` from rate `first` on, where each frame after `frame` detects HAZARD of MISS, the undetected."""
    for t in range(first, len(frames)):
        whole = np.floor(frames[t])
        part = frames[t] - whole
        # (1 - h)^n by logarithms: for hazards near 0, 1 - (1 - h)^n would lose its digits.
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
            # Rounding may take a sum of many parts a little above 1; NaN stays.
            detected[np.uint64(t * WIDTH) + np.uint64(lane)] = 1.0 if total > 1.0 else total


@inner
def _detected_by_run(
    hit: FloatArray,
    chain: tuple[FloatArray, FloatArray, int],
    frames: FloatArray,
    state: FloatArray,
    starts: FloatArray,
    detected: FloatArray,
) -> tuple[float, int]:
    """Begin to fill `detected` (R, WIDTH): windows of `frames` (R,) frames, rising, with `votes` hits in a row.

    Returns what :func:`_detected_by_one` does. `chain`: freedom, correlation of each lane, votes (2 or more).
    """
    votes = chain[2]
    _begin(hit, chain, state, starts)
    # After some tens of frames for each vote the chain has forgotten its start. Each further frame detects the same
    # share of what is undetected, the hazard, so one power does for all the frames that are left. Without this, an
    # event of days at 30 fps takes millions of steps. The hazard's deviation shrinks to 0.4 or less over `votes`
    # frames unless nearly all is detected. So the hazard has settled if it does not change over four times as many.
    block = max(16, 4 * votes)
    look = block
    frame = 1
    row = 1 if votes > 2 else 0  # of `starts`, that of the frame votes - 2 before this one
    for t in range(len(frames)):
        whole = np.floor(frames[t])
        while frame < whole:
            if frame == look:
                if _settled(row, state, starts):
                    return float(frame), t
                look += block
            until = min(look, whole)
            # Two frames at once, so that what the second needs from the first stays in registers. With two votes the
            # second would need the first's row, too.
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
        # A window of n + f frames has n + 1 of them with probability f, else n: a straight line in between.
        part = max(0.0, frames[t] - frame)
        oldest = np.uint64(row * WIDTH)
        for lane in range(WIDTH):
            total = state[TOTAL + lane] + part * starts[oldest + np.uint64(lane)] * state[FULL_RUN + lane]
            detected[np.uint64(t * WIDTH) + np.uint64(lane)] = 1.0 if total > 1.0 else total
    return float(frame), len(frames)


@inner
def _begin(hit: FloatArray, chain: tuple[FloatArray, FloatArray, int], state: FloatArray, starts: FloatArray) -> None:
    """After the first frame."""
    free, correlation, votes = chain
    for lane in range(WIDTH):
        p = hit[lane]
        state[AFTER_MISS + lane] = p * free[lane]
        state[STAY + lane] = p + (1.0 - p) * correlation[lane]
        state[LEAVE + lane] = (1.0 - p) * (1.0 - correlation[lane])
        state[FULL_RUN + lane] = 1.0
        state[MISS + lane] = 1.0 - p
        state[RUN + lane] = p
        state[TOTAL + lane] = 0.0
        state[HAZARD + lane] = -1.0
        starts[lane] = p
    # A run becomes full `votes` - 1 hits after its first one.
    for _ in range(votes - 1):
        for lane in range(WIDTH):
            state[FULL_RUN + lane] *= state[STAY + lane]
    for k in range(WIDTH, (votes - 1) * WIDTH):
        starts[k] = 0.0


@inner
def _settled(row: int, state: FloatArray, starts: FloatArray) -> bool:
    """Whether no lane's hazard has changed since the last look; if so, move all of the undetected to MISS."""
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


@inner
def _keep_better(
    metric: int,
    blame: float,
    votes: tuple[int, bool],
    detected: FloatArray,
    other: FloatArray,
    best: FloatArray,
    best_votes: FloatArray,
) -> bool:
    """Fill in the values where they are better; return whether still more votes can be better anywhere.

    Recall never rises with the votes: at best more votes leave recall as it is and no alarms.
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
            # With more votes recall is at most this and alarms at least 0: F1 <= 2 r / (1 + r), precision <= 1.
            can_rise |= best[k] * (1.0 + recall) < most
    return can_rise


@jit
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
    hit, free, own, state, starts, detected, other, best, best_votes = scratch
    for i in range(apps):
        fewest, most = (x_vote[i], x_vote[i]) if x_vote[i] >= 0 else (1, MOST_AUTO_VOTES)
        free[:], own[:] = freedom[i], correlation[i]
        alike = True
        for t in range(rates):
            alike &= event_frames[i, t] == other_frames[i, t]
        # Where windows are alike, lanes of p and q go through the same frames, so one pass does for both.
        passes = 1 if alike or metric == RECALL else 2
        for before in range(0, columns, POINTS):
            points = min(POINTS, columns - before)
            _load(p[i], q[i], before, hit)
            for votes in range(fewest, most + 1):
                for side in range(passes):
                    seen, shares = (event_frames[i], detected) if side == 0 else (other_frames[i], other)
                    if votes <= 1:
                        frame, t = _detected_by_one(hit, free, seen, state, shares)
                    else:
                        frame, t = _detected_by_run(hit, (free, own, votes), seen, state, starts, shares)
                    _go_on_alike(frame, t, seen, state, shares)
                alarms = detected if passes == 1 else other
                if not _keep_better(metric, blame[i], (votes, votes == fewest), detected, alarms, best, best_votes):
                    break
            for c in range(points):
                for t in range(rates):
                    values[i, before + c, t] = best[t * POINTS + c]
                    votes_behind[i, before + c, t] = np.int8(best_votes[t * POINTS + c])


@inner
def _double_alike(frame: float, first: int, frames: FloatArray, state: FloatArray, detected: FloatArray) -> None:
    """As :func:`_go_on_alike`, by doubling: if n frames detect the share s of the undetected, 2 n detect s (2 - s).

    Where each rate has its own chain, a pass has too few frame counts to share the price of a power.
    """
    for t in range(first, len(frames)):
        whole = np.floor(frames[t])
        part = frames[t] - whole
        left = whole - frame
        if left > 0.0:
            frame = whole
            for lane in range(WIDTH):
                state[STAY + lane] = state[HAZARD + lane]
                state[LEAVE + lane] = 0.0
            # Powers by squaring, from the lowest bit on: `odd` takes in the bit, then comes the hazard of twice as
            # many frames.
            while left >= 1.0:
                half = np.floor(0.5 * left)
                odd = left - 2.0 * half
                left = half
                for lane in range(WIDTH):
                    doubled, share = state[STAY + lane], state[LEAVE + lane]
                    state[LEAVE + lane] = share + odd * (doubled * (1.0 - share))
                    state[STAY + lane] = doubled * (2.0 - doubled)
            for lane in range(WIDTH):
                share, miss = state[LEAVE + lane], state[MISS + lane]
                state[TOTAL + lane] += share * miss
                state[MISS + lane] = (1.0 - share) * miss
        for lane in range(WIDTH):
            total = state[TOTAL + lane] + part * state[HAZARD + lane] * state[MISS + lane]
            detected[np.uint64(t * WIDTH) + np.uint64(lane)] = 1.0 if total > 1.0 else total


@inner
def _merge_lengths(
    frames: FloatArray, shares: FloatArray, merged: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Merge windows with the same whole number of frames: in between, what is detected is linear."""
    count = -1
    kept, kept_shares = merged
    whole = -1.0
    for j in range(len(frames)):
        # On a line the mean of two points, each with its share, is the point at their mean length.
        if np.floor(frames[j]) == whole and shares[j] > 0.0:
            together = kept_shares[count] + shares[j]
            kept[count] += (frames[j] - kept[count]) * (shares[j] / together)
            kept_shares[count] = together
        else:
            count += 1
            kept[count], kept_shares[count] = frames[j], shares[j]
            whole = np.floor(frames[j])
    return kept[: count + 1], kept_shares[: count + 1]


@inner
def _mean_over_lengths(
    hit: FloatArray,
    chain: tuple[FloatArray, FloatArray, int],
    frames: FloatArray,
    shares: FloatArray,
    scratch: PassMemory,
    mean: FloatArray,
) -> None:
    """Fill `mean` (WIDTH,): detected in windows of `frames` (J,) frames, rising, weighted by `shares` (J,)."""
    detected = scratch.detected
    if chain[2] <= 1:
        frame, first = _detected_by_one(hit, chain[0], frames, scratch.state, detected)
    else:
        frame, first = _detected_by_run(hit, chain, frames, scratch.state, scratch.starts, detected)
    _double_alike(frame, first, frames, scratch.state, detected)
    for lane in range(WIDTH):
        mean[lane] = shares[0] * detected[lane]
    for j in range(1, len(frames)):
        share = shares[j]
        for lane in range(WIDTH):
            mean[lane] += share * detected[np.uint64(j * WIDTH) + np.uint64(lane)]


@inner
def _weigh_nodes(
    hit: FloatArray, spread: float, transform: FloatArray, moments: FloatArray, weights: FloatArray
) -> None:
    """Fill `weights` (K * POINTS,) of the nodes for the first POINTS of `hit`; `moments` is of the same shape.

    :mod:`mainstream.event_windows` has the formula.
    """
    nodes = len(transform)
    for c in range(POINTS):
        moments[c] = 1.0
        moments[POINTS + c] = 2.0 * hit[c] - 1.0
    for i in range(1, nodes - 1):
        row = i * POINTS
        for c in range(POINTS):
            # The recursion of Piessens and Branders, see `event_windows`.
            ahead = 2.0 * (1.0 - spread) * moments[POINTS + c] * moments[row + c]
            ahead -= (1.0 - spread - i * spread) * moments[row - POINTS + c]
            moments[row + POINTS + c] = ahead / (1.0 - spread + i * spread)
    for k in range(nodes):
        for c in range(POINTS):
            weights[k * POINTS + c] = 0.0
        for i in range(nodes):
            factor = transform[i, k]
            for c in range(POINTS):
                weights[k * POINTS + c] += factor * moments[i * POINTS + c]


@inner
def _mean_over_accuracies(weights: FloatArray, mean: FloatArray, recall: FloatArray) -> None:
    """Turn what is detected at the nodes, first in `mean`, into what is at the points; `weights` (K * POINTS,)."""
    for c in range(POINTS):
        recall[c] = 0.0
    for k in range(len(weights) // POINTS):
        caught = mean[k]
        for c in range(POINTS):
            recall[c] += caught * weights[np.uint64(k * POINTS) + np.uint64(c)]
    for c in range(POINTS):
        # An interpolation may end below 0 or above 1; NaN stays.
        share = recall[c]
        share = 0.0 if share < 0.0 else share
        mean[c] = 1.0 if share > 1.0 else share


@inner
def _alike(frames: tuple[FloatArray, FloatArray], shares: tuple[FloatArray, FloatArray]) -> bool:
    """Whether windows with and without an event have the same frames (R, J), and each length has the same share."""
    same = True
    for j in range(len(shares[0])):
        same &= shares[1][j] == shares[1][0] or np.isnan(shares[1][j])
        same &= shares[0][j] == shares[0][0]
        for t in range(len(frames[0])):
            same &= frames[0][t, j] == frames[1][t, j]
    return same


@jit
def fill_mixed_values(
    metric: int,
    curves: tuple[FloatArray, FloatArray],
    spread: tuple[FloatArray, FloatArray, FloatArray],
    chains: tuple[FloatArray, FloatArray, NDArray[np.int64]],
    others: tuple[FloatArray, FloatArray],
    frames: tuple[FloatArray, FloatArray],
    shares: tuple[FloatArray, FloatArray],
    lengths: NDArray[np.int64],
    scratch: PassMemory,
    mixed: MixedMemory,
    filled: tuple[FloatArray, NDArray[np.int8]],
) -> None:
    """Fill values and votes (N, F, R), where windows differ in length and accuracy, and the chain with the rate.

    `curves`, `filled`: as in :func:`fill_values`; `spread`: nodes of accuracy (K,), the transform from moments to
    their weights (K, K), and the spread of each app (N,); `chains`: freedom, correlation (N, R), votes (N,); `others`:
    freedom, correlation in windows without an event (N, F, R); `frames`: in windows of each length with an event and
    without (N, R, J), rising with J; `shares` (N, J): what windows of each length with an event count in recall, and
    those without in the alarms for each event; `lengths` (N,): how many of the J.
    """
    p, q = curves
    nodes, transform, spreads = spread
    freedom, correlation, x_vote = chains
    event_frames, other_frames = frames
    values, votes_behind = filled
    apps, columns, rates = values.shape
    hit, free, own = scratch.hit, scratch.free, scratch.correlation
    mean, other_mean, moments, weights = mixed.mean, mixed.other_mean, mixed.moments, mixed.weights
    merged = (mixed.merged, mixed.merged_shares)
    other_merged = (mixed.other_merged, mixed.other_merged_shares)
    # One rate at a time, in the layout of _keep_better.
    best, best_votes = scratch.best[:POINTS], scratch.best_votes[:POINTS]
    for i in range(apps):
        known = lengths[i]
        fewest, most = (x_vote[i], x_vote[i]) if x_vote[i] >= 0 else (1, MOST_AUTO_VOTES)
        event_shares, other_shares = shares[0][i, :known], shares[1][i, :known]
        # One pass does for both where windows without an event differ from those with one in their number only.
        alike = _alike((event_frames[i, :, :known], other_frames[i, :, :known]), (event_shares, other_shares))
        times = other_shares[0] / event_shares[0]
        for before in range(0, columns, POINTS):
            points = min(POINTS, columns - before)
            free[:], own[:] = 0.0, 0.0
            _load(p[i], q[i], before, hit)
            if spreads[i] > 0.0:
                _weigh_nodes(hit, spreads[i], transform, moments, weights)
                for k in range(len(nodes)):
                    hit[k] = nodes[k]
            for t in range(rates):
                seen, seen_shares = event_frames[i, t, :known], event_shares
                other, blames = other_frames[i, t, :known], other_shares
                if known > 1:
                    seen, seen_shares = _merge_lengths(seen, seen_shares, merged)
                    other, blames = _merge_lengths(other, blames, other_merged)
                free[:POINTS], own[:POINTS] = freedom[i, t], correlation[i, t]
                for c in range(points):
                    free[POINTS + c] = others[0][i, before + c, t]
                    own[POINTS + c] = others[1][i, before + c, t]
                for votes in range(fewest, most + 1):
                    chain = (free, own, votes)
                    _mean_over_lengths(hit, chain, seen, seen_shares, scratch, mean)
                    if not alike and metric != RECALL:
                        _mean_over_lengths(hit, chain, other, blames, scratch, other_mean)
                    if spreads[i] > 0.0:
                        _mean_over_accuracies(weights, mean, mixed.recall)
                    alarms, blame = (mean, times) if alike else (other_mean, 1.0)
                    if not _keep_better(metric, blame, (votes, votes == fewest), mean, alarms, best, best_votes):
                        break
                for c in range(points):
                    values[i, before + c, t] = best[c]
                    votes_behind[i, before + c, t] = np.int8(best_votes[c])
