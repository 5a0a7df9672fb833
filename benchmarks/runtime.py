"""What the runtime adds to the networks' own work, what sharing brings, and how well the cost model foretells it.

    python -m benchmarks.runtime [overhead] [sharing] [prediction] [swap] [--size 224 96] [--seconds 60] [--record]

All on MobileNetV2 with random weights: time does not depend on them. Times are CPU seconds of one core, measured in
alternation, medians of rounds; decoding and resizing are measured beside. Without a name, all four are run.

- overhead: CPU time a frame of the whole runtime, less decoding and resizing, over the sum of bare ``tf.function``
  calls of the same parts.
- sharing: frames a second of 1 to 8 apps, from nothing shared to all but the head, beside what the cost model says with
  a profile measured in the same run. The paper's Figure 4a.
- prediction: compute seconds a second of 10 random schedules on a stream of 10 fps, against the cost model with a
  profile measured at a camera's pace (``--pause 30``), and with one of frames that follow each other.
- swap: frames that a running stream of 10 fps loses when one plan takes the place of another.
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import description
from mainstream import App, Model, solve
from mainstream.costs import stem_parts, tail_costs
from mainstream.files import write_text
from mainstream.graphs.backend import tensorflow, use_threads
from mainstream.graphs.frozen import frozen_graph
from mainstream.graphs.part import TENSORFLOW
from mainstream.onnx_graphs.cutting import cut
from mainstream.onnx_graphs.model_file import read_model
from mainstream.problem import Mode
from mainstream.streamer import NetPlan, net_plan
from mainstream.streamer.engine import Engine, run
from mainstream.streamer.runner import LocalRunner
from mainstream.streamer.sources import open_source
from mainstream.trainer.chokepoints import chokepoints
from mainstream.trainer.networks import network
from mainstream.trainer.profile import profile

OUT: Final = Path(__file__).with_name("RUNTIME.md")
STREAM_FPS: Final = 10.0
ROUNDS: Final = 7
SCHEDULES: Final = 10
PREDICTION_ROUNDS: Final = 3
_AT_CAMERAS_PACE: Final = 1.5
"""About how much longer a frame takes at a camera's pace than when frames follow each other at once."""
_STARTED_S: Final = 1.0


def main() -> None:
    """Run what is asked for and print a table for each; ``--record`` keeps them in benchmarks/RUNTIME.md."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("which", nargs="*", help=", ".join(PARTS))
    arguments.add_argument("--size", type=int, nargs="+", default=[224, 96])
    arguments.add_argument("--seconds", type=float, default=60, help="for the profile; a tenth for others")
    arguments.add_argument("--record", action="store_true")
    given = arguments.parse_args()
    strange = [name for name in given.which if name not in PARTS]
    if strange:
        arguments.error(f"{strange[0]!r} is not known; known: {', '.join(PARTS)}")
    use_threads(1)
    about = description() | {"command": f"python -m benchmarks.runtime {shlex.join(sys.argv[1:])}"}
    text = "\n".join(f"- {key}: {value}" for key, value in about.items()) + "\n"
    print(text)
    for size in given.size:
        with TemporaryDirectory() as folder:
            box = Box(Path(folder), size, given.seconds)
            for name in given.which or PARTS:
                lines = "\n".join(PARTS[name](box))
                print(lines + "\n", flush=True)
                text += f"\n{lines}\n"
    if given.record:
        write_text(OUT, f"# The runtime's figures\n\n{text}")


class Box:
    """MobileNetV2 at one size in a folder, and its profile in an engine, measured when it is first asked for."""

    def __init__(self, folder: Path, size: int, seconds: float, engine: str = "tensorflow") -> None:
        self.folder, self.size, self.seconds, self.engine = folder, size, seconds, engine
        self.network = network("mobilenetv2", size=size)
        self.names = chokepoints(self.network)
        (folder / "net.pb").write_bytes(frozen_graph(self.network, self.names).SerializeToString())

    @cached_property
    def profile(self) -> Model:
        """The profile measured with frames that follow each other at once."""
        return profile(self.network, engine=self.engine, threads=1, seconds=self.seconds).model

    @cached_property
    def unmeasured(self) -> Model:
        """The network with latencies that are all alike: for plans that no search has to choose."""
        total = self.network.total_layers
        size = {"height": self.size, "width": self.size}
        return Model(total_layers=total, layer_latencies=[1.0] * total, frozen_layer_names=self.names, **size)

    def plan(self, given: Sequence[tuple[int, float]], *, sharing: bool = True) -> NetPlan:
        """The plan of apps with these (`num_frozen`, `target_fps`)."""
        apps = [
            App(app_id=i, accuracies={f: 0.9}, event_length_ms=1000, pinned=(f, fps), model_path={f: "net.pb"})
            for i, (f, fps) in enumerate(given, start=1)
        ]
        mode: Mode = "mainstream" if sharing else "no-sharing"
        rates = sorted({fps for _, fps in given})
        video = {"stream_fps": max(STREAM_FPS, *rates), "fps_options": rates}
        result = solve(apps, self.unmeasured, video, 1e9, mode=mode)
        return net_plan(result, apps, self.unmeasured)

    def cuts(self, count: int) -> list[int]:
        """Chokepoints from none to all but the head, about evenly spaced in compute."""
        inner = [k for k in self.names if k < self.network.total_layers]
        share = self.profile.prefix[inner] / self.profile.prefix[-1]
        return sorted({inner[int(np.abs(share - x).argmin())] for x in np.linspace(0, 1, count)})


def overhead(box: Box) -> Iterator[str]:
    """CPU time a frame: the runtime's against bare functions of its engine."""
    yield f"Overhead, MobileNetV2 at {box.size}: CPU ms a frame, median of {ROUNDS} rounds, one thread\n"
    name, bare_parts = _BARE[box.engine]
    yield f"| parts | bare {name} | runtime, less source | ratio | source: decode and resize |"
    yield "|---|---|---|---|---|"
    middle = box.cuts(3)[1]
    source = f"test://?fps=1000&width={box.size}&height={box.size}"
    for label, given in (
        ("one app, whole", [(0, 1000.0)]),
        (f"4 apps sharing {middle} layers", [(middle, 1000.0)] * 4),
    ):
        plan = box.plan(given)
        bare = partial(bare_parts(box, plan), np.zeros((1, box.size, box.size, 3), np.float32))
        figures = []
        for _ in range(ROUNDS):
            alone = _cpu_ms(bare, box.seconds / 20)
            with LocalRunner(source, box.folder, window_s=0.005, paced=False, threads=1, engine=box.engine) as runner:
                runner.deploy(plan)
                whole = _running_cpu_ms(runner, box.seconds / 20)
            figures.append((alone, whole, _source_cpu_ms(source, box.size)))
        alone, whole, reading = np.median(figures, axis=0)
        ratio = np.median([(b - c) / a for a, b, c in figures])
        yield f"| {label} | {alone:.2f} | {whole - reading:.2f} | **{ratio:.3f}** | {reading:.2f} |"


def sharing(box: Box) -> Iterator[str]:
    """Frames a second of 1 to 8 apps as they share more."""
    total = box.network.total_layers
    cuts = box.cuts(6)
    share = [box.profile.prefix[cut] / box.profile.prefix[-1] for cut in cuts]
    yield f"Sharing, MobileNetV2 at {box.size}: frames a second measured (foretold by the cost model), one thread\n"
    yield "| apps | " + " | ".join(f"{cut} layers shared, {x:.0%}" for cut, x in zip(cuts, share, strict=True)) + " |"
    yield "|---" * (len(cuts) + 1) + "|"
    pixels = np.random.default_rng(0).integers(0, 256, (box.size, box.size, 3), np.uint8)
    last: list[float] = []
    for count in (1, 2, 4, 8):
        plans = [box.plan([(cut, STREAM_FPS)] * count) for cut in cuts]
        engines = [Engine(plan, TENSORFLOW, box.folder, STREAM_FPS) for plan in plans]
        rounds = [
            [_cpu_ms(partial(run, engine.branches, lambda *_: pixels), box.seconds / 120) for engine in engines]
            for _ in range(ROUNDS)
        ]
        last = list(1000 / np.median(rounds, axis=0))
        foretold = [
            1000 / (box.profile.prefix[cut] * (cut > 1) + count * (box.profile.prefix[total] - box.profile.prefix[cut]))
            for cut in cuts
        ]
        yield f"| {count} | " + " | ".join(f"{a:.1f} ({b:.1f})" for a, b in zip(last, foretold, strict=True)) + " |"
    yield f"\n8 apps that share all but the head: **{last[-1] / last[0]:.1f}x** the frames of 8 that share nothing."


def prediction(box: Box) -> Iterator[str]:
    """Compute a second of random schedules against the cost model.

    Each round measures both and compares them, since a shared machine gets slower and faster by the minute, which is
    not the cost model's fault. The spread between the rounds of one schedule shows what such a figure is worth.
    """
    given = _schedules(box, SCHEDULES)
    seconds = box.seconds / 10
    source = f"test://?fps={STREAM_FPS:g}&width={box.size}&height={box.size}"
    measured = np.empty((PREDICTION_ROUNDS, SCHEDULES))
    foretold = np.empty((PREDICTION_ROUNDS, SCHEDULES, 2))
    for one in range(PREDICTION_ROUNDS):
        paces = [
            profile(box.network, engine=box.engine, pause_ms=pause_ms, seconds=share * box.seconds).model
            for pause_ms, share in ((30, 0.5), (0, 0.25))
        ]
        for place, apps in enumerate(given):
            foretold[one, place] = [_cost(model, apps) for model in paces]
            measured[one, place] = _compute_ms_a_second(box, source, apps, seconds)
    off = measured[..., None] / foretold - 1
    spread = np.median(np.abs(measured / np.median(measured, axis=0) - 1))
    yield (
        f"Prediction, MobileNetV2 at {box.size}: core ms a second, one thread, medians of {PREDICTION_ROUNDS} rounds, "
        f"{seconds:g} s each\n"
    )
    yield "| apps (layers shared @ fps) | measured | foretold, camera's pace | off by | foretold, steady | off by |"
    yield "|---|---|---|---|---|---|"
    for place, apps in enumerate(given):
        named = ", ".join(f"{f}@{r:g}" for f, r in apps)
        cells = (
            f"{np.median(foretold[:, place, pace]):.1f} | {np.median(off[:, place, pace]):+.1%}" for pace in (0, 1)
        )
        yield f"| {named} | {np.median(measured[:, place]):.1f} | {' | '.join(cells)} |"
    camera, steady = np.median(np.abs(np.median(off, axis=0)), axis=0)
    yield (
        f"\nMedian error **{camera:.1%}** with the profile at a camera's pace, {steady:.1%} with the other. The same "
        f"schedule run again in another round differs by {spread:.1%} from its median."
    )


def _schedules(box: Box, count: int) -> list[list[tuple[int, float]]]:
    """Random schedules that take at most 0.7 of a core: more does not get done next to the source."""
    rng = random.Random(0)
    inner = [k for k in box.names if k < box.network.total_layers]
    found: list[list[tuple[int, float]]] = []
    while len(found) < count:
        apps = [(rng.choice(inner), float(rng.choice([1, 2, 3, 5, 10]))) for _ in range(rng.randint(1, 6))]
        if _AT_CAMERAS_PACE * _cost(box.profile, apps) <= 700:
            found.append(apps)
    return found


def _compute_ms_a_second(box: Box, source: str, given: Sequence[tuple[int, float]], seconds: float) -> float:
    """What the parts of a schedule take as it runs."""
    with LocalRunner(source, box.folder, window_s=1, threads=1, engine=box.engine) as runner:
        runner.deploy(box.plan(given))
        before = _compute_s(runner), time.monotonic()
        time.sleep(seconds)
        after = _compute_s(runner), time.monotonic()
    return 1000 * (after[0] - before[0]) / (after[1] - before[1])


def swap(box: Box) -> Iterator[str]:
    """Frames lost by a swap on a running stream."""
    middle = box.cuts(3)[1]
    out = box.folder / "results.jsonl"
    source = f"test://?fps={STREAM_FPS:g}&width={box.size}&height={box.size}"
    with LocalRunner(source, box.folder, window_s=3, results=out) as runner:
        for given in ([(0, STREAM_FPS)], [(middle, STREAM_FPS)] * 3, [(0, STREAM_FPS), (middle, 5.0)]):
            runner.deploy(box.plan(given))
    frames = [line["frame"] for line in map(json.loads, out.read_text().splitlines()) if line["app_id"] == 1]
    lost = frames[-1] - frames[0] + 1 - len(frames)
    yield f"Swap, MobileNetV2 at {box.size}: two swaps on a stream of 10 fps, {len(frames)} frames: **{lost} lost**."


PARTS: Final = {"overhead": overhead, "sharing": sharing, "prediction": prediction, "swap": swap}


def _bare(box: Box, plan: NetPlan) -> Callable[[NDArray[np.float32]], None]:
    """The parts of a plan as bare functions, one after the other on a frame."""
    tf = tensorflow()
    definition = tf.compat.v1.GraphDef()
    definition.ParseFromString((box.folder / "net.pb").read_bytes())
    whole = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(definition, name=""), [])

    def tensor(name: str) -> Any:
        return whole.graph.get_tensor_by_name(f"{name}:0")

    functions = [whole.prune([tensor(p.input_layer)], [tensor(p.output_layer)]) for p in plan.subnets]

    def call(frame: NDArray[np.float32]) -> None:
        made = {-1: tf.constant(frame)}
        for part, function in zip(plan.subnets, functions, strict=True):
            (made[part.net_id],) = function(made[part.parent_id])

    return call


def _bare_sessions(box: Box, plan: NetPlan) -> Callable[[NDArray[np.float32]], None]:
    """The parts of a plan as sessions of ONNX Runtime, one after the other on a frame."""
    import onnxruntime

    model = read_model(box.folder / "net.pb", trusted=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    parts = [(part, cut(model, part.input_layer, part.output_layer)) for part in plan.subnets]
    sessions = [
        (part, one, onnxruntime.InferenceSession(one.proto.SerializeToString(), options)) for part, one in parts
    ]

    def call(frame: NDArray[np.float32]) -> None:
        made = {-1: frame}
        for part, one, session in sessions:
            (made[part.net_id],) = session.run([one.fetch], {one.feed: made[part.parent_id]})

    return call


_BARE: Final = {"tensorflow": ("tf.function", _bare), "onnx": ("ONNX Runtime", _bare_sessions)}


def _cpu_ms(call: Callable[[], object], seconds: float) -> float:
    """Median CPU milliseconds of a call, over so many seconds."""
    call()
    times = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(times) < 5:
        begun = time.process_time()
        call()
        times.append(time.process_time() - begun)
    return 1000 * float(np.mean(times))


def _running_cpu_ms(runner: LocalRunner, seconds: float) -> float:
    """CPU milliseconds of the process for each frame that the runner analyses, after the start is over."""
    time.sleep(_STARTED_S)
    begun = time.process_time(), runner.rates()[0].analysed
    time.sleep(seconds)
    ended = time.process_time(), runner.rates()[0].analysed
    return 1000 * (ended[0] - begun[0]) / (ended[1] - begun[1])


def _source_cpu_ms(uri: str, size: int) -> float:
    """CPU milliseconds of reading a frame and bringing it to its size."""
    begun = time.process_time()
    with open_source(f"{uri}&frames=200", paced=False) as source:
        for frame in source:
            frame.pixels(size, size, 3)
    return 1000 * (time.process_time() - begun) / 200


def _cost(model: Model, given: Sequence[tuple[int, float]]) -> float:
    """The cost model's, core ms a second."""
    frozen, fps = [f for f, _ in given], np.array([r for _, r in given])
    stem = sum(part.cost for part in stem_parts(model, frozen, fps))
    return stem + float(tail_costs(model, frozen, fps, sharing=True).sum())


def _compute_s(runner: LocalRunner) -> float:
    samples = (s for family in runner.registry.collect() for s in family.samples)
    return sum(s.value for s in samples if s.name == "mainstream_compute_seconds_total")


if __name__ == "__main__":
    main()
