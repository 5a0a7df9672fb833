"""Profiles: a base network measured on this device, as the cost model needs it.

The parts that will run are timed: for each chokepoint the whole stem (input to chokepoint) and the whole tail
(chokepoint to output) of the frozen graph, as one function each, one after the other, one frame a call. Layers are not
timed one by one, since a network in pieces takes longer than in one. A tail is not timed alone either: its data would
stay in the caches, and it would seem a tenth faster than it is behind its stem. The latencies of the layers are the
differences of the tails, so that the cost model's T(f) is the measured one.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mainstream._optional import require
from mainstream._system import usable_cores
from mainstream.description import shown
from mainstream.errors import ProblemError
from mainstream.graphs import onednn
from mainstream.graphs.backend import tensorflow, use_threads
from mainstream.graphs.frozen import frozen_graph
from mainstream.graphs.part import GraphPart
from mainstream.graphs.trace import Network
from mainstream.onnx_graphs.layers import OnnxNetwork
from mainstream.onnx_graphs.model_file import SUFFIX
from mainstream.onnx_graphs.part import OnnxPart
from mainstream.problem import FloatArray, Model
from mainstream.ranges import POSITIVE, SECONDS, Range
from mainstream.trainer.chokepoints import chokepoints
from mainstream.trainer.package_network import PackageNetwork

Function = Callable[[ArrayLike], NDArray[Any]]

WARM_UP: Final = 1
LEAST_ROUNDS: Final = 20
_VISIT_S: Final = 0.012
_WAITED: Final = 0.1
"""A call that waited for a core for more than this share of its time was disturbed by other programs: not counted."""
_ENOUGH: Final = 5
_PAUSE_MS: Final = Range(0, 10_000, unit="milliseconds")


@dataclass(frozen=True)
class Timing:
    """How long one function takes.

    Attributes
    ----------
    median_ms, fastest_ms : float
    spread : float
        Half the width of the median's 95 % interval, as a share of the median.
    visits : int
        Visits that count: those whose calls hardly waited for a core.
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
        The input of the scheduler.
    whole : Timing
        The network in one piece.
    stems, tails : mapping of int to Timing
        Chokepoint, without the two ends -> the time of the layers before it, and of those after it.
    """

    model: Model
    whole: Timing
    stems: Mapping[int, Timing]
    tails: Mapping[int, Timing]

    @property
    def spread(self) -> float:
        """The largest spread of all timings."""
        return max(timing.spread for timing in (self.whole, *self.stems.values(), *self.tails.values()))

    def cut_cost_ms(self, num_frozen: int) -> float:
        """Milliseconds that the cut adds: stem plus tail, less the whole network."""
        parts = self.stems[num_frozen].median_ms + self.tails[num_frozen].median_ms
        return parts - self.whole.median_ms


class InterruptedProfile(KeyboardInterrupt):
    """Ctrl-C after at least 5 rounds.

    Attributes
    ----------
    profile : Profile
        What they have measured.
    """

    def __init__(self, profile: Profile) -> None:
        super().__init__("interrupted")
        self.profile = profile


def profile(
    network: Network | OnnxNetwork | PackageNetwork,
    *,
    engine: str = "tensorflow",
    which: str | int = "block",
    threads: int = 1,
    pause_ms: float = 0.0,
    spread: float = 0.01,
    seconds: float = 300.0,
    progress: Callable[[float], None] | None = None,
) -> Profile:
    """Measure a base network on this device.

    Parameters
    ----------
    network : Network, OnnxNetwork or PackageNetwork
    engine : str
        "tensorflow" or "onnx"; an ONNX model needs "onnx".
    which : str or int
        The chokepoints, as for :func:`mainstream.trainer.chokepoints.chokepoints`; a package has its own, and takes
        only "block".
    threads : int
        Threads that one frame uses.
    pause_ms : float
        Idle time before each timed frame. With 0 frames follow each other at once, as on a box that runs only this
        network. With 30 they come as from a camera: the caches are cold by then, and a frame takes longer.
    spread : float
        Measure until no :attr:`Timing.spread` is larger.
    seconds : float
        Stop after this time, however large the spread.
    progress : callable, optional
        Called with the share done, 0..1, after each round.

    Returns
    -------
    Profile

    Raises
    ------
    ProblemError
        The network has no chokepoint, does not run in that engine, needs more memory than there is, or TensorFlow
        already runs with another number of threads.
    MissingExtraError
        SciPy is not installed; raised before anything is measured.
    InterruptedProfile
        Ctrl-C, with what was measured; a KeyboardInterrupt before there is enough of that.
    """
    require("scipy", "onnx" if engine == "onnx" else "train")
    if not POSITIVE.holds(spread) or not SECONDS.holds(seconds):
        raise ProblemError(f"spread {shown(spread)} and seconds {shown(seconds)} have to be positive and finite")
    _PAUSE_MS.check("pause_ms", pause_ms)
    names = _chokepoints(network, which)
    frame = np.random.default_rng(0).uniform(0, 255, (1, network.height, network.width, network.channels))
    try:
        with TemporaryDirectory() as folder:
            part = _parts(network, names, Path(folder), engine, threads)
            calls = _calls(part, names)
        timings, ended = _measure(calls, frame.astype(np.float32), pause_ms, spread, seconds, progress)
    except MemoryError:
        raise ProblemError(f"{network.name}: a frame needs more memory than there is; give a smaller network") from None
    total = network.total_layers
    inner = [k for k in names if 0 < k < total]
    (whole,) = timings[0]
    tails = {k: timings[k][1] for k in inner}
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
        cores=usable_cores(),
        measured_on=_device(engine),
        engine=engine,
        precision=None if isinstance(network, Network) else network.precision,
        whole_network_ms=round(whole.median_ms, 6),
    )
    found = Profile(model, whole, {k: timings[k][0] for k in inner}, tails)
    if not ended:
        raise InterruptedProfile(found)
    return found


def _chokepoints(network: Network | OnnxNetwork | PackageNetwork, which: str | int) -> Mapping[int, str]:
    if not isinstance(network, PackageNetwork):
        return chokepoints(network, which)
    if which != "block":
        raise ProblemError(f"chokepoints {shown(which)}: a package has its own; leave them out")
    return network.chokepoints


def latencies(tails: Mapping[int, float], total_layers: int) -> tuple[float, ...]:
    """Layer latencies with which the cost model's tails equal the measured ones.

    Parameters
    ----------
    tails : mapping of int to float
        Chokepoint, increasing from 0 -> measured time of all layers from there on.
    total_layers : int

    Returns
    -------
    tuple of float, length total_layers
        0 or more; equal for all layers between two chokepoints. If noise makes a tail slower than a longer one, both
        are set to their mean (isotonic regression).
    """
    from scipy.optimize import isotonic_regression

    cuts = [*tails, total_layers]
    falling = [*isotonic_regression(list(tails.values()), increasing=False).x.tolist(), 0.0]
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
        Whether the calls hardly waited for a core; if fewer than 5 visits are clean, all count.
    """
    counted = np.sort(times[clean] if clean.sum() >= _ENOUGH else times)
    n = len(counted)
    # The median's 95 % interval by order statistics: it assumes no distribution. 0.98 is 1.96 / 2.
    margin = 0.98 * np.sqrt(n)
    low, high = counted[max(int(n / 2 - margin), 0)], counted[min(int(np.ceil(n / 2 + margin)), n - 1)]
    median = float(np.median(counted))
    return Timing(median, float(counted[0]), float(high - low) / 2 / median, n)


def _parts(
    network: Network | OnnxNetwork | PackageNetwork, names: Mapping[int, str], folder: Path, engine: str, threads: int
) -> Callable[[str, str], Function]:
    """A function that makes the part of a network between two tensors, given their names."""
    if not isinstance(network, Network) and network.path.suffix == SUFFIX:
        if engine != "onnx":
            raise ProblemError(
                f"{network.path} is an ONNX model, which engine {engine} does not run; use --engine onnx"
            )
        return partial(OnnxPart, network.path, threads=threads)
    if engine == "tensorflow":
        use_threads(threads)
    made_here = isinstance(network, Network)
    if isinstance(network, Network):
        path = folder / "network.pb"
        path.write_bytes(frozen_graph(network, names).SerializeToString())
    else:
        path = network.path
    if engine == "tensorflow":
        return partial(GraphPart, path, trusted=made_here)
    if engine == "onnx":
        return partial(OnnxPart, path, trusted=made_here, threads=threads)
    raise ProblemError(f"engine {shown(engine)} cannot be profiled; known: tensorflow, onnx")


def _calls(part: Callable[[str, str], Function], names: Mapping[int, str]) -> dict[int, tuple[Function, ...]]:
    """Chokepoint -> its stem and its tail; 0 -> the network in one piece."""
    total = max(names)
    calls: dict[int, tuple[Function, ...]] = {0: (part(names[0], names[total]),)}
    for k in names:
        if 0 < k < total:
            calls[k] = part(names[0], names[k]), part(names[k], names[total])
    return calls


def visit(functions: Sequence[Function], frame: ArrayLike, pause_ms: float = 0.0) -> tuple[FloatArray, bool]:
    """Call functions one after the other, each on the result of the one before, and time each of them.

    Without a pause this is repeated for some 10 ms, at least twice, and the second half counts: the first half fills
    the caches, which other functions have left full of their own data. After a pause it is done once.

    Returns
    -------
    (len(functions),) array
        Median milliseconds of each.
    bool
        Whether there were repetitions that hardly waited for a core; then only these count.
    """
    repetitions = 1 if pause_ms else _warm_up(functions, frame)
    time.sleep(pause_ms / 1000)
    walls = np.empty((repetitions, len(functions)))
    waits = np.empty(repetitions)
    for repetition in range(repetitions):
        value: Any = frame
        busy = time.process_time()
        for place, function in enumerate(functions):
            begun = time.perf_counter()
            value = function(value)
            walls[repetition, place] = time.perf_counter() - begun
        waits[repetition] = walls[repetition].sum() - (time.process_time() - busy)
    clean = waits <= _WAITED * walls.sum(axis=1)
    return 1000 * np.median(walls[clean] if clean.any() else walls, axis=0), bool(clean.any())


def _warm_up(functions: Sequence[Function], frame: ArrayLike) -> int:
    """Call the functions for half a visit, and count how often they all ran."""
    repetitions = 0
    start = time.perf_counter()
    while repetitions == 0 or time.perf_counter() - start < _VISIT_S / 2:
        value: Any = frame
        for function in functions:
            value = function(value)
        repetitions += 1
    return repetitions


def _measure(
    calls: Mapping[int, tuple[Function, ...]],
    frame: ArrayLike,
    pause_ms: float,
    spread: float,
    seconds: float,
    progress: Callable[[float], None] | None,
) -> tuple[dict[int, list[Timing]], bool]:
    """Time all functions in rounds; the order within each round is random. False if Ctrl-C came before the end."""
    found: dict[int, tuple[list[FloatArray], list[bool]]] = {k: ([], []) for k in calls}
    cuts = list(calls)
    shuffle = np.random.default_rng(0).permutation
    timings: dict[int, list[Timing]] = {}
    counted = 0
    start = time.monotonic()
    try:
        for rounds in itertools.count():
            for index in shuffle(len(cuts)):
                milliseconds, alone = visit(calls[cuts[index]], frame, pause_ms)
                if rounds >= WARM_UP:
                    found[cuts[index]][0].append(milliseconds)
                    found[cuts[index]][1].append(alone)
            if rounds < WARM_UP:
                continue
            timings = {
                k: [timing(times, np.array(clean)) for times in np.transpose(visits)]
                for k, (visits, clean) in found.items()
            }
            counted = rounds + 1 - WARM_UP
            spent = (time.monotonic() - start) / seconds
            worst = max(one.spread for both in timings.values() for one in both)
            # The spread falls with the square root of the rounds, so its square says how far along this is.
            done = max(min((spread / max(worst, spread)) ** 2, counted / LEAST_ROUNDS), spent)
            if progress is not None:
                progress(min(done, 1.0))
            if done >= 1:
                break
    except KeyboardInterrupt:
        if counted < _ENOUGH:
            raise
        return timings, False
    return timings, True


def _device(engine: str) -> str:
    if engine == "onnx":
        return f"{onednn.processor()}, ONNX Runtime {version('onnxruntime')} CPU, {date.today().isoformat()}"
    settings = {"0": ", without oneDNN", "1": ", with oneDNN"}
    kernels = settings.get(os.environ.get(onednn.VARIABLE, ""), "")
    return f"{onednn.processor()}, TensorFlow {tensorflow().__version__} CPU{kernels}, {date.today().isoformat()}"
