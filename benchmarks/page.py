"""What the API and the page take: an app that comes to ten, viewers, a thousand changes, a kill.

    python -m benchmarks.page [--size 96] [--rounds 3] [--seconds 10] [--changes 1000] [--engine onnx] [--only ROW,ROW]

Ten M-Packages of MobileNetV2 with random weights at 1 of 10 fps on a stream of 640 x 480, served at 127.0.0.1 in this
process; who asks and looks is another one, so that its CPU time does not count.

- comes: from asking for an eleventh app to its first score, once its model was made ready and 3 s after the start; the
  solver's part of it, and frames that the others lost. What was converted of it before is removed each time.
- viewer: CPU time of this process a second, with one viewer less without, in turns; a viewer holds the stream of events
  and takes pictures as often as he is told to. Pictures, page and events are all on.
- viewers: frames that were analysed with 50 viewers against those without, and pictures that each got.
- changes: random changes by the API, one after the other; frames lost by an app that none of them touches, and whether
  what is kept is what runs.
- kill: from the start of ``mainstream run`` after a SIGKILL to the first score of all that was added; events that are
  there twice or open.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import yaml

from benchmarks.machine import description
from benchmarks.waiting import lines_of, wait_until
from mainstream.box.box import Box
from mainstream.box.changes import ChangesFile
from mainstream.box.file_watch import FileWatch
from mainstream.box.making_ready import making_ready
from mainstream.box.wanted import Wanted
from mainstream.formats.curve import Curve
from mainstream.formats.package import Package, save_package
from mainstream.graphs.frozen import frozen_graph
from mainstream.io import load_problem
from mainstream.streamer import LocalRunner
from mainstream.trainer.chokepoints import chokepoints
from mainstream.trainer.networks import network
from mainstream.web.address import Address
from mainstream.web.server import Site
from mainstream.web.timeline import Timeline
from mainstream.web.tokens import token_in

APPS: Final = 10
FPS: Final = 10
SOURCE: Final = f"test://?fps={FPS}&width=640&height=480"
ROWS: Final = ("comes", "viewer", "viewers", "changes", "kill")


class Served:
    """A box with its page, in this process."""

    def __init__(self, folder: Path, engine: str, opened: ExitStack) -> None:
        file, kept, timeline = folder / "problem.yaml", ChangesFile(folder), Timeline({})

        def read(added: Any) -> Wanted:
            problem = load_problem(file, more=[one.in_folder(folder) for one in added])
            return Wanted(problem, problem.budget or 0.0, {}, {})

        self.token = token_in(folder)
        self.runner = opened.enter_context(LocalRunner(SOURCE, folder, engine=engine, window_s=60, tellers=[timeline]))
        self.box = Box(read, FileWatch(file), self.runner, lambda _: None, kept.load(), kept.save)
        site = Site(Address("127.0.0.1", 0), self.token, self.box, timeline, folder)
        opened.enter_context(site)
        self.url = site.url
        self.box.start()
        opened.enter_context(making_ready(self.runner.loader, folder, trusted=False))
        thread = threading.Thread(target=self.box.run)
        thread.start()
        opened.callback(thread.join)
        opened.callback(self.box.close)
        wait_until(lambda: self.runner.rates() and all(rate.analysed >= 2 for rate in self.runner.rates()))

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and answer."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        text = None if body is None else json.dumps(body).encode()
        try:
            with urlopen(Request(self.url.rstrip("/") + path, text, headers, method=method), timeout=60) as answer:
                return answer.status, json.load(answer)
        except HTTPError as error:
            return error.code, json.load(error)


def main() -> None:
    """Measure, and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--size", type=int, default=96)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=10)
    arguments.add_argument("--changes", type=int, default=1000)
    arguments.add_argument("--engine", default="onnx")
    arguments.add_argument("--only", default=",".join(ROWS))
    given = arguments.parse_args()
    print("\n".join(f"- {key}: {value}" for key, value in description().items()) + "\n")
    print(f"MobileNetV2 at {given.size}, {APPS} apps at 1 of {FPS} fps, {given.engine}\n\n| | |\n|---|---|")
    with TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder, given.size)
        for row in given.only.split(","):
            for what, figure in globals()[f"_{row}"](folder, given):
                print(f"| {what} | **{figure}** |", flush=True)


def _write(folder: Path, size: int) -> None:
    """The problem, and packages `app1` to `app11`; the last one's model is a file of its own."""
    net = network("mobilenetv2", size=size)
    names = chokepoints(net)
    cut = sorted(names)[len(names) // 2]
    graph = frozen_graph(net, names).SerializeToString()
    for i in range(1, APPS + 2):
        made = folder / f"app{i}"
        made.mkdir()
        (made / "net.pb").write_bytes(graph)
        package = Package(
            name=made.name,
            network="mobilenetv2",
            weights_digest="sha256:00",
            height=size,
            width=size,
            total_layers=net.total_layers,
            classes=("other", "event"),
            event_class="event",
            chokepoints=names,
            models={cut: "net.pb"},
        )
        save_package(package, Curve({cut: 0.9}, None), made)
    model = {
        "total_layers": net.total_layers,
        "layer_latencies": [0.1] * net.total_layers,
        "frozen_layer_names": dict(names),
        "height": size,
        "width": size,
        "unit": "ms",
    }
    apps = [
        {"package": f"app{i}", "app_id": f"app{i}", "event_length_ms": 3000.0, "pinned": [cut, 1.0]}
        for i in range(1, APPS + 1)
    ]
    problem = {"budget": 1e5, "video": {"stream_fps": float(FPS)}, "model": model, "apps": apps}
    (folder / "problem.yaml").write_text(yaml.safe_dump(problem))
    read = load_problem(folder / "problem.yaml")
    Wanted(read, 1e5, {}, {}).prepared({}, {}).solve()  # the search is compiled before


@contextmanager
def _served(folder: Path, given: argparse.Namespace) -> Iterator[Served]:
    (folder / "changes.json").unlink(missing_ok=True)
    with ExitStack() as opened:
        yield Served(folder, given.engine, opened)


def _comes(folder: Path, given: argparse.Namespace) -> Iterator[tuple[str, str]]:
    took: dict[bool, list[float]] = {True: [], False: []}
    solving, lost = [], 0
    added = folder / f"app{APPS + 1}"
    body = {"package": f"app{APPS + 1}", "event_length_ms": 3000.0, "min_fps": 1.0}
    for ready in (True, False) * given.rounds:
        for made in added.glob(".*.onnx"):
            made.unlink()
        with _served(folder, given) as served:
            if ready and hasattr(served.runner.loader, "make_ready"):
                wait_until(lambda: any(added.glob(".*.onnx")))
            time.sleep(3)
            begun = time.monotonic()
            status, answer = served.ask("POST", "/api/apps", body)
            if status != 201:
                raise RuntimeError(answer)
            solving.append(answer["runtime_s"])
            wait_until(
                lambda served=served: len(served.runner.rates()) > APPS and served.runner.rates()[-1].analysed > 0
            )
            took[ready].append(time.monotonic() - begun)
            time.sleep(2)
            lost += _lost(served, APPS)
    about = f"median of {given.rounds} (largest)"
    for ready, when in ((True, "its model made ready"), (False, "3 s after the start")):
        figure = f"{np.median(took[ready]):.3g} s ({max(took[ready]):.3g})"
        yield f"an app is asked for, to its first score, {when}; {about}", figure
    yield "... of it: the solver", f"{1000 * np.median(solving):.3g} ms ({1000 * max(solving):.3g})"
    yield "... frames that the others lost", str(lost)


def _viewer(folder: Path, given: argparse.Namespace) -> Iterator[tuple[str, str]]:
    shares = []
    with _served(folder, given) as served:
        for _ in range(given.rounds):
            without = _share(given.seconds)
            with _looking(served.url, 1):
                shares.append((without, _share(given.seconds)))
    more = [with_ - without for without, with_ in shares]
    yield "share of a core without a viewer", f"{np.median([one for one, _ in shares]):.1%}"
    yield "... more with one viewer, median", f"{np.median(more):+.1%} ({min(more):+.1%} to {max(more):+.1%})"


def _viewers(folder: Path, given: argparse.Namespace) -> Iterator[tuple[str, str]]:
    with _served(folder, given) as served:
        alone = _analysed(served, given.seconds)
        with _looking(served.url, 50) as counts:
            together = _analysed(served, given.seconds)
            pictures = counts.value
    yield f"frames analysed within {given.seconds:g} s, without and with 50 viewers", f"{alone} and {together}"
    yield "pictures a second for each of the 50", f"{pictures / 50 / (given.seconds + 2):.2f}"


def _changes(folder: Path, given: argparse.Namespace) -> Iterator[tuple[str, str]]:
    rng, took = random.Random(0), []
    with _served(folder, given) as served:
        for _ in range(given.changes):
            app = f"/api/apps/app{rng.randint(2, APPS)}"
            method, path, body = rng.choice(
                [
                    ("POST", "/api/apps", {"package": f"app{APPS + 1}", "event_length_ms": 3000.0}),
                    ("DELETE", f"/api/apps/app{APPS + 1}", None),
                    ("PATCH", app, {"paused": rng.random() < 0.3}),
                    ("PATCH", app, {"weight": rng.uniform(0.1, 9)}),
                    ("PUT", "/api/budget", {"budget": rng.uniform(1e4, 1e5)}),
                ]
            )
            begun = time.monotonic()
            status, answer = served.ask(method, path, body)
            took.append(time.monotonic() - begun)
            if status not in (200, 201, 404, 409):
                raise RuntimeError(answer)
        kept = ChangesFile(folder).load()
        more = [one.in_folder(folder) for one in kept.added]
        wanted = kept.on(Wanted(load_problem(folder / "problem.yaml", more=more), 1e5, {}, {}))
        expected = {str(app.app_id) for app in wanted.problem.apps}

        def same() -> bool:
            plan = served.runner.plan
            return plan is not None and {str(plan.app_id_of(number)) for number in plan.target_fps} == expected

        wait_until(same)
        agrees = same() and served.box.standing.changes == kept
        time.sleep(2)
        lost = _lost(served, 1)
    yield f"{given.changes} changes, each", f"{1000 * np.median(took):.3g} ms (largest {1000 * max(took):.3g})"
    yield "... frames lost by an app that none touches", str(lost)
    yield "... what is kept is what runs", str(agrees)


def _kill(folder: Path, given: argparse.Namespace) -> Iterator[tuple[str, str]]:
    state, out, events = folder / "state", folder / "out.jsonl", folder / "events"
    for old in (state, events):
        shutil.rmtree(old, ignore_errors=True)
    state.mkdir()
    added = {"added": [{"package": f"app{APPS + 1}", "app_id": f"app{APPS + 1}", "event_length_ms": 3000.0}]}
    (state / "changes.json").write_text(json.dumps(added))
    command = [sys.executable, "-m", "mainstream", "run", str(folder / "problem.yaml"), "--source", SOURCE]
    command += ["-m", str(folder), "--engine", given.engine, "--results", str(out), "--events", str(events)]
    command += ["--state", str(state), "--page", "127.0.0.1:0"]
    took = []
    for _ in range(given.rounds + 1):
        out.unlink(missing_ok=True)
        begun = time.monotonic()
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_until(lambda: len({line["app_id"] for line in lines_of(out)}) == APPS + 1)
        took.append(time.monotonic() - begun)
        time.sleep(2)
        process.kill()
        process.wait()
        _see_events(folder, out)
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_until(lambda: len(lines_of(out)) > 0)
    time.sleep(5)
    process.terminate()
    process.wait()
    ids = [line["event_id"] for line in lines_of(events / "events.jsonl")]
    yield f"SIGKILL, start to the first score of all; median of {given.rounds}", f"{np.median(took[1:]):.3g} s"
    still = len(list((events / "open").iterdir()))
    yield "... events, those there twice, those still open", f"{len(ids)}, {len(ids) - len(set(ids))}, {still}"


def _see_events(folder: Path, results: Path) -> None:
    """Make the class that the network sees most often the event of the file's apps, so that there are events."""
    seen = Counter(int(np.argmax(line["scores"])) for line in lines_of(results))
    file = folder / "problem.yaml"
    problem = yaml.safe_load(file.read_text())
    for app in problem["apps"]:
        app["event_class"] = seen.most_common(1)[0][0]
    file.write_text(yaml.safe_dump(problem))


def _look(url: str, viewers: int, pictures: Any, end: Any) -> None:
    """Act as this many viewers, until the end."""

    def view(place: int) -> None:
        every_s = 0.5
        with urlopen(f"{url}api/stream", timeout=60) as stream:
            due = time.monotonic() + place * 0.5 / viewers

            def read() -> None:
                nonlocal every_s
                for line in stream:
                    if line.startswith(b"data: ") and b'"picture_s"' in line:
                        every_s = json.loads(line[6:])["picture_s"]
                    if end.is_set():
                        return

            threading.Thread(target=read, daemon=True).start()
            while not end.wait(max(0.0, due - time.monotonic())):
                due = time.monotonic() + every_s
                try:
                    with urlopen(f"{url}api/picture", timeout=60) as answer:
                        answer.read()
                    with pictures.get_lock():
                        pictures.value += 1
                except OSError:
                    pass

    threads = [threading.Thread(target=view, args=(place,), daemon=True) for place in range(viewers)]
    for thread in threads:
        thread.start()
    end.wait()


@contextmanager
def _looking(url: str, viewers: int) -> Iterator[Any]:
    context = multiprocessing.get_context("spawn")
    pictures, end = context.Value("i", 0), context.Event()
    process = context.Process(target=_look, args=(url, viewers, pictures, end))
    process.start()
    wait_until(lambda: pictures.value > 0)
    time.sleep(2)
    try:
        yield pictures
    finally:
        end.set()
        process.join(5)
        process.kill()


def _share(seconds: float) -> float:
    """CPU seconds a second of this process."""
    begun = time.process_time(), time.monotonic()
    time.sleep(seconds)
    return (time.process_time() - begun[0]) / (time.monotonic() - begun[1])


def _analysed(served: Served, seconds: float) -> int:
    before = sum(rate.analysed for rate in served.runner.rates())
    time.sleep(seconds)
    return sum(rate.analysed for rate in served.runner.rates()) - before


def _lost(served: Served, apps: int) -> int:
    """Frames that were due for the first apps, up to a number, and that a newer frame overtook."""
    drops = (
        served.runner.registry.get_sample_value("mainstream_frames_dropped_total", {"app": str(number)})
        for number in range(1, apps + 1)
    )
    return int(sum(one or 0 for one in drops))


if __name__ == "__main__":
    main()
