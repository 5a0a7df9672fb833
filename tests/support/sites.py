"""A box with its API and page, in this process, on a network that NumPy runs; and a client with a real socket."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from support import packages
from support.boxes import MODEL
from support.third_party import MATRICES, write_matrices
from support.waiting import found

from mainstream.box.box import Box
from mainstream.box.changes import AddedApp, ChangesFile
from mainstream.box.file_watch import FileWatch
from mainstream.box.wanted import Wanted
from mainstream.formats.curve import Curve
from mainstream.io import load_problem
from mainstream.streamer import LocalRunner
from mainstream.streamer.events.settings import EventSettings
from mainstream.streamer.frames import Frame, StoppableSource
from mainstream.streamer.together import Together
from mainstream.web.address import Address
from mainstream.web.server import Site
from mainstream.web.timeline import Timeline
from mainstream.web.tokens import token_in

CURVE = Curve({0: 0.6, 2: 0.5}, None)
JSON = {"Content-Type": "application/json"}


def write_package(folder: Path, name: str, write: Callable[[Path], None] = write_matrices, **changes: Any) -> Path:
    """A package whose models MATRICES can run, as `write` makes them."""
    made = packages.make(
        folder / name,
        CURVE,
        **{
            "name": name,
            "height": MODEL["height"],
            "width": MODEL["width"],
            "total_layers": MODEL["total_layers"],
            "chokepoints": MODEL["frozen_layer_names"],
            "models": {0: "0.pb", 2: "2.pb"},
            "events": {**packages.EVENTS, "event_length_ms": {"value": 500.0, "low": 400.0, "high": 600.0}},
            **changes,
        },
    )
    for model in ("0.pb", "2.pb"):
        write(made / model)
    return made


def write_bright(path: Path) -> None:
    """A model that gives class 1 for bright frames and class 0 for dark ones."""
    with path.open("wb") as file:
        np.savez(file, hidden=np.eye(3), scores=np.array([[0.0, 1.0]] * 3) / (3 * 255))


class Lamp(StoppableSource):
    """A camera on a lamp that is switched on and off; with `silent` set it gives no frames."""

    live = True
    fps = 20.0

    def __init__(self, width: int = 64, height: int = 48) -> None:
        super().__init__()
        self.size = height, width
        self.on = False
        self.silent = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        began = time.monotonic()
        for number in itertools.count():
            if self._closed.wait(max(0.0, began + number / self.fps - time.monotonic())):
                return
            if not self.silent.is_set():
                grey = np.full((*self.size, 3), 230 if self.on else 0, np.uint8)
                yield Frame.from_pixels(number, number / self.fps, grey)


@dataclass
class Running:
    """A box, its runtime or that of its first camera, where it is served, and what it said."""

    box: Box
    runner: LocalRunner
    site: Site
    token: str
    said: list[str]
    folder: Path

    def ask(
        self, method: str, path: str, body: Any = None, *, token: str | None = "", headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and body of an answer; the request has the right token unless another one is given."""
        where = urlsplit(self.site.url)
        connection = HTTPConnection(str(where.hostname), where.port or 0, timeout=60)
        own = {} if token is None else {"Authorization": f"Bearer {token or self.token}"}
        text = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        try:
            connection.request(method, path, text, {**(JSON if body is not None else {}), **own, **(headers or {})})
            answer = connection.getresponse()
            read = answer.read()
            kind = answer.headers.get_content_type()
            return answer.status, json.loads(read) if kind == "application/json" else read
        finally:
            connection.close()

    def apps(self) -> dict[int | str, dict[str, Any]]:
        return {one["app_id"]: one for one in self.ask("GET", "/api/apps")[1]["apps"]}

    def runs(self) -> set[int | str]:
        """The apps that run, on all cameras."""
        plans = [camera.local.plan for camera in self.box.cameras if camera.local is not None]
        return {plan.app_id_of(number) for plan in plans if plan is not None for number in plan.target_fps}

    def heard(self, text: str) -> str:
        return str(found(lambda: next((line for line in self.said if text in line), None)))


@contextmanager
def served(
    file: Path, source: Any, *, events: EventSettings | None = None, wrong_tokens: int = 20, **options: Any
) -> Iterator[Running]:
    """A problem file that runs and is served; its folder is that of the models, and of the state.

    With several cameras, `source` has the source of each, by its name.
    """
    folder = file.parent
    cameras: dict[str | None, Any] = {**source} if isinstance(source, Mapping) else {None: source}
    said: list[str] = []
    kept = ChangesFile(folder)
    kept_events = (
        {} if events is None or events.folder is None else {name: events.folder / (name or "") for name in cameras}
    )
    timeline = Timeline(kept_events)

    def read(added: Any = ()) -> Wanted:
        more = [one.in_folder(folder) for one in added if isinstance(one, AddedApp)]
        problem = load_problem(file, more=more)
        return Wanted(problem, problem.budget or 0.0, {}, {})

    def say(line: str) -> None:
        said.append(line)
        site.say(line)

    token = token_in(folder)
    with ExitStack() as opened:
        options = {"engine": MATRICES, "window_s": 0.5, "tellers": [timeline], **options}
        runners: dict[str, LocalRunner] = {}
        for name, place in cameras.items():
            own = events if events is None or name is None else events.of_stream(name, len(cameras))
            state = folder / (name or "")
            runners[name or ""] = LocalRunner(place, folder, events=own, stream=name, **{"state": state, **options})
        runner = next(iter(runners.values()))
        runtime = runner if None in cameras else Together(runners)
        opened.enter_context(runtime)
        box = Box(read, FileWatch(file), runtime, say, kept.load(), kept.save)
        address = Address("127.0.0.1", 0)
        site = Site(address, token, box, timeline, folder, most_wrong_tokens=wrong_tokens)
        opened.enter_context(site)
        box.start()
        thread = threading.Thread(target=box.run)
        thread.start()
        opened.callback(thread.join)
        opened.callback(box.close)
        yield Running(box, runner, site, token, said, folder)
