"""Profiles: a base network measured on this device, as the cost model needs it.

What is timed is what will run: for each chokepoint the whole stem (input to chokepoint) and the whole tail (chokepoint
to output) of the frozen graph, one function each, one frame a call. Layers are not timed one by one: cut into pieces,
a network takes longer than in one. The latencies of the layers are the differences of the tails, so that the cost
model's T(f) is the measured one.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mainstream.errors import ProblemError
from mainstream.problem import FloatArray, Model
from mainstream.trainer.backend import tensorflow
from mainstream.trainer.chokepoints import chokepoints
from mainstream.trainer.freeze import frozen_graph
from mainstream.trainer.trace import Network

Function = Callable[[ArrayLike], NDArray[Any]]
Cut = Callable[[Path, str, str], Function]
"""Frozen graph, names of two tensors in it -> the layers between them; :class:`mainstream.streamer.graph.Part`."""

WARM_UP: Final = 3
LEAST_ROUNDS: Final = 20
_VISIT_S: Final = 0.012
_WAITED: Final = 0.1
"""A call that spent more than this share of its time waiting for a core tells of other programs; not counted."""
_ENOUGH: Final = 5


@dataclass(frozen=True)
class Timing:
    """How long one function takes.

    Attributes
    ----------
    median_ms, fastest_ms : float
    spread : float
        Half the width of the median's 95 % interval, as a share of the median.
    visits : int
        Visits that count: those with calls that hardly had to wait for a core.
    """

    median_ms: float
    fastest_ms: float
    spread: float
    visits: int


@dataclass(frozen=True)
class Profile:
    """A base network measured on this device.

    Attributes
    ----------
    model : Model
        What the scheduler takes.
    whole : Timing
        The network in one piece.
    stems, tails : mapping of int to Timing
        Chokepoint between the ends -> the layers before it, the layers after it.
    rounds : int
        How often each was visited.
    """

    model: Model
    whole: Timing
    stems: Mapping[int, Timing]
    tails: Mapping[int, Timing]
    rounds: int

    @property
    def spread(self) -> float:
        """The largest spread of all that was timed."""
        return max(timing.spread for timing in (self.whole, *self.stems.values(), *self.tails.values()))

    def cut_cost_ms(self, num_frozen: int) -> float:
        """What it costs to cut the network there: stem and tail less the whole, milliseconds."""
        parts = self.stems[num_frozen].median_ms + self.tails[num_frozen].median_ms
        return parts - self.whole.median_ms


def use_threads(threads: int) -> None:
    """Let TensorFlow use so many threads; to be called before the first network is built in this process.

    Raises
    ------
    ProblemError
        `threads` is below 1, or TensorFlow already runs with another number.
    """
    if threads < 1:
        raise ProblemError(f"threads: got {threads}; it has to be at least 1")
    setting = tensorflow().config.threading
    for get, put in (
        (setting.get_intra_op_parallelism_threads, setting.set_intra_op_parallelism_threads),
        (setting.get_inter_op_parallelism_threads, setting.set_inter_op_parallelism_threads),
    ):
        if get() != threads:
            try:
                put(threads)
            except RuntimeError:
                raise ProblemError(
                    f"TensorFlow already runs with {get() or 'all'} threads in this process, not with {threads}; "
                    "call use_threads() before any network is built"
                ) from None


def profile(
    network: Network,
    cut: Cut,
    *,
    which: str | int = "block",
    threads: int = 1,
    spread: float = 0.01,
    seconds: float = 300.0,
    progress: Callable[[float], None] | None = None,
) -> Profile:
    """Measure a base network on this device.

    Parameters
    ----------
    network : Network
    cut : callable
        Makes the functions that are timed: :class:`mainstream.streamer.graph.Part`.
    which : str or int
        The chokepoints, as for :func:`mainstream.trainer.chokepoints.chokepoints`.
    threads : int
        Threads that TensorFlow uses; see :func:`use_threads`.
    spread : float
        Measure until no :attr:`Timing.spread` is larger.
    seconds : float
        Stop after this time, however large the spread.
    progress : callable, optional
        Told the share done, 0..1, after each round.

    Returns
    -------
    Profile

    Raises
    ------
    ProblemError
        The network has no chokepoint, or TensorFlow already runs with another number of threads.
    """
    if spread <= 0 or seconds <= 0:
        raise ProblemError(f"spread {spread:g} and seconds {seconds:g} have to be positive")
    use_threads(threads)
    names = chokepoints(network, which)
    frame = np.random.default_rng(0).uniform(0, 255, (1, network.height, network.width, network.channels))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "network.pb"
        path.write_bytes(frozen_graph(network, names).SerializeToString())
        calls = _calls(path, names, frame.astype(np.float32), cut)
    samples = _measure(calls, spread, seconds, progress)
    timings = {span: timing(np.array(times), np.array(clean)) for span, (times, clean) in samples.items()}
    total = network.total_layers
    inner = [k for k in names if 0 < k < total]
    whole = timings[0, total]
    tails = {k: timings[k, total] for k in inner}
    model = Model(
        name=network.name,
        total_layers=total,
        layer_latencies=latencies({0: whole.median_ms, **{k: tail.median_ms for k, tail in tails.items()}}, total),
        frozen_layer_names=names,
        channels=network.channels,
        height=network.height,
        width=network.width,
        unit="ms",
        batch=1,
        threads=threads,
        cores=len(os.sched_getaffinity(0)),
        measured_on=f"{_processor()}, TensorFlow {tensorflow().__version__} CPU, {date.today().isoformat()}",
        whole_network_ms=round(whole.median_ms, 6),
    )
    stems = {k: timings[0, k] for k in inner}
    return Profile(model, whole, stems, tails, len(samples[0, total][0]))


def latencies(tails: Mapping[int, float], total_layers: int) -> tuple[float, ...]:
    """Layer latencies of which the cost model's tails are the measured ones.

    Parameters
    ----------
    tails : mapping of int to float
        Chokepoint, increasing from 0 -> measured time of all layers from there on.
    total_layers : int

    Returns
    -------
    tuple of float, length total_layers
        0 or more, even between two chokepoints. Where noise makes a tail longer than one that holds it, the two are
        set to their mean (isotonic regression).
    """
    cuts = [*tails, total_layers]
    levels: list[tuple[float, int]] = []
    for tail in reversed(list(tails.values())):
        value, count = tail, 1
        while levels and levels[-1][0] > value:
            other, others = levels.pop()
            value, count = (value * count + other * others) / (count + others), count + others
        levels.append((value, count))
    rising = [0.0, *(value for value, count in levels for _ in range(count))]
    falling = rising[::-1]
    return tuple(
        round((falling[i] - falling[i + 1]) / (cuts[i + 1] - cuts[i]), 6)
        for i in range(len(tails))
        for _ in range(cuts[i], cuts[i + 1])
    )


def timing(times: FloatArray, clean: NDArray[np.bool_]) -> Timing:
    """Summary of the visits of one function.

    Parameters
    ----------
    times : (n,) array
        Milliseconds.
    clean : (n,) array
        Whether it is of calls that hardly waited for a core; where fewer than 5 are, all count.
    """
    counted = np.sort(times[clean] if clean.sum() >= _ENOUGH else times)
    n = len(counted)
    # The median's 95 % interval by order statistics: no shape of the noise is assumed.
    margin = 0.98 * np.sqrt(n)
    low, high = counted[max(int(n / 2 - margin), 0)], counted[min(int(np.ceil(n / 2 + margin)), n - 1)]
    median = float(np.median(counted))
    return Timing(median, float(counted[0]), float(high - low) / 2 / median, n)


def _calls(
    path: Path, names: Mapping[int, str], frame: NDArray[np.float32], cut: Cut
) -> dict[tuple[int, int], tuple[Function, NDArray[Any]]]:
    """First and last cut of each stretch to time -> the function, and what to call it on."""
    total = max(names)
    calls = {(0, total): (cut(path, names[0], names[total]), frame)}
    for k in names:
        if 0 < k < total:
            stem = cut(path, names[0], names[k])
            calls[0, k] = stem, frame
            calls[k, total] = cut(path, names[k], names[total]), stem(frame)
    return calls


def visit(function: Function, argument: ArrayLike) -> tuple[float, bool]:
    """Call a function for some 10 ms, at least twice, and time the second half of the calls.

    The first half fills the caches again, which other functions have left full of their own.

    Returns
    -------
    float, bool
        Median milliseconds of the calls that hardly waited for a core, and whether there are any; else of all calls.
    """
    calls = 1
    start = time.perf_counter()
    function(argument)
    while time.perf_counter() - start < _VISIT_S / 2:
        function(argument)
        calls += 1
    walls, waits = np.empty(calls), np.empty(calls)
    for call in range(calls):
        wall, busy = time.perf_counter(), time.process_time()
        function(argument)
        walls[call] = time.perf_counter() - wall
        waits[call] = walls[call] - (time.process_time() - busy)
    clean = waits <= _WAITED * walls
    return 1000 * float(np.median(walls[clean] if clean.any() else walls)), bool(clean.any())


def _measure(
    calls: Mapping[tuple[int, int], tuple[Function, NDArray[Any]]],
    spread: float,
    seconds: float,
    progress: Callable[[float], None] | None,
) -> dict[tuple[int, int], tuple[list[float], list[bool]]]:
    """What each visit of each function found, in rounds of random order."""
    for function, argument in calls.values():
        for _ in range(WARM_UP):
            function(argument)
    samples: dict[tuple[int, int], tuple[list[float], list[bool]]] = {span: ([], []) for span in calls}
    spans = list(calls)
    shuffle = np.random.default_rng(0).permutation
    start = time.monotonic()
    rounds = 0
    while True:
        for index in shuffle(len(spans)):
            times, clean = samples[spans[index]]
            milliseconds, alone = visit(*calls[spans[index]])
            times.append(milliseconds)
            clean.append(alone)
        rounds += 1
        spent = (time.monotonic() - start) / seconds
        worst = max(timing(np.array(times), np.array(clean)).spread for times, clean in samples.values())
        # The spread falls with the root of the rounds: so far along is the way to the wanted one.
        done = max(min((spread / max(worst, spread)) ** 2, rounds / LEAST_ROUNDS), spent)
        if progress is not None:
            progress(min(done, 1.0))
        if done >= 1:
            return samples


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
