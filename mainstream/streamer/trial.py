"""Tries a plan in a spare process first: if it hangs, crashes or takes all memory there, the runtime goes on.

The spare process has its engine started, so that a trial takes only as long as loading. It runs the plan on a black
frame, as the engine itself does, on a random one, and on a recent one of the stream. It answers in JSON; what it writes
to stderr is dropped. It ends with the process that started it.
"""

from __future__ import annotations

import gc
import json
import os
import queue
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from mainstream.errors import DeployError, MainstreamError
from mainstream.extensions import PART_LOADERS
from mainstream.region import Region
from mainstream.streamer.engine import OUT_OF_MEMORY, Engine, run
from mainstream.streamer.memory import limit_memory
from mainstream.streamer.plan import NetPlan, View

_LOOK_S: Final = 0.1
_NICE: Final = 5
"""The niceness of the spare process: frames come first."""
_LARGEST_FRAME: Final = 2**22
"""Most values of a recent frame that is sent along; for larger ones only black and noise are tried."""


class Trial:
    """Tries plans; use it from one thread at a time, and :meth:`close` it.

    Parameters
    ----------
    engine : str
        Name of the engine, which is built in or comes with an installed package.
    model_dir : Path
    stream_fps : float
    trusted : bool
        Whether models may do more than compute.
    timeout_s : float
        Seconds that a trial may take.
    memory_gb : float
        Gigabytes (2**30 bytes) that the process may take beyond what it has once its engine is started.
    """

    def __init__(
        self, engine: str, model_dir: Path, stream_fps: float, *, trusted: bool, timeout_s: float, memory_gb: float
    ) -> None:
        self._arguments = [engine, str(model_dir), repr(stream_fps), str(int(trusted)), str(int(memory_gb * 2**30))]
        self._timeout_s, self._memory_gb = timeout_s, memory_gb
        self._lock = Lock()
        self._closed = False
        self._start()

    def _start(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._said: queue.Queue[bytes] = queue.Queue()
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, *self._arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the runtime alone, which then ends this process
            )
            Thread(target=_listen, args=(self._process.stdout, self._said), daemon=True).start()

    def close(self) -> None:
        """End the spare process."""
        with self._lock:
            self._closed = True
        self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was not sent yet
                    pipe.close()

    def check(self, plan: NetPlan, recent: dict[View, NDArray[np.uint8]], given_up: Event) -> None:
        """Load a plan in the spare process and run it on three frames.

        Parameters
        ----------
        plan : NetPlan
        recent : dict of View to array
            A recent frame.
        given_up : Event
            Set when nobody waits for it any more.

        Raises
        ------
        DeployError
            It cannot be loaded, took too long, or ended the spare process.
        """
        sent = {view: frame for view, frame in recent.items() if frame.size <= _LARGEST_FRAME}
        head = json.dumps({"plan": plan.to_json(), "views": list(sent)}).encode() + b"\n"
        Thread(target=self._send, args=(self._process.stdin, [head, *(f.tobytes() for f in sent.values())])).start()
        until = monotonic() + self._timeout_s
        while monotonic() < until and not given_up.is_set():
            try:
                answer = self._said.get(timeout=_LOOK_S)
            except queue.Empty:
                continue
            if answer:
                error = json.loads(answer)
                if error is not None:
                    raise DeployError(str(error))
                return
            self._again()
            raise DeployError(
                f"the plan ended the process in which it was tried; it takes more than {self._memory_gb:g} GB "
                "of memory, or a model crashes; allow more (--load-memory), or mend the model"
            )
        self._again()
        if given_up.is_set():
            raise DeployError("it was given up while it was tried")
        raise DeployError(
            f"the plan was not loaded and run within {self._timeout_s:g} s; give it longer (--load-timeout), or "
            "smaller models"
        )

    def _again(self) -> None:
        self._end()
        self._start()

    @staticmethod
    def _send(pipe: IO[bytes], pieces: Sequence[bytes]) -> None:
        with suppress(OSError, ValueError):  # the process has ended, which `_listen` notices
            for piece in pieces:
                pipe.write(piece)
            pipe.flush()


def _listen(pipe: IO[bytes], said: queue.Queue[bytes]) -> None:
    """Pass on each line, and an empty one at the end."""
    for line in pipe:
        said.put(line)
    said.put(b"")


def main(arguments: Sequence[str]) -> None:
    """Try the plans that come on standard input; for each, write to standard output what is wrong with it, or null."""
    engine, model_dir, stream_fps, trusted, memory = arguments
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the engine prints must not look like an answer
    os.nice(_NICE)
    asked: queue.Queue[tuple[str, dict[View, NDArray[np.uint8]]]] = queue.Queue()
    Thread(target=_read, args=(sys.stdin.buffer, asked), daemon=True).start()
    loader = PART_LOADERS.find(engine)
    loader.start()
    limit_memory(int(memory))
    loaded: dict[Any, Any] = {}
    while True:
        text, recent = asked.get()
        error: str | None = None
        try:
            made = Engine(
                NetPlan.from_json(text), loader, Path(model_dir), float(stream_fps), loaded, trusted=bool(int(trusted))
            )
            loaded = made.loaded
            for pixels in (_noise, partial(_recent, recent)):
                failures: dict[int, str] = {}
                run(made.branches, pixels, failures)
                # An app that fails on these frames may run on others, but not within the memory that there is.
                error = error or next((reason for reason in failures.values() if OUT_OF_MEMORY in reason), None)
        except MainstreamError as refused:
            error = str(refused)
        except Exception as other:  # a model may make its engine raise anything
            error = f"it cannot be loaded: {type(other).__name__}: {other}"
        out.write(json.dumps(error) + "\n")
        out.flush()
        gc.collect()  # TensorFlow's objects of the last plan refer to one another


def _noise(height: int, width: int, channels: int, region: Region | None) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


def _recent(frames: dict[View, NDArray[np.uint8]], *view: Any) -> NDArray[np.uint8]:
    """The frame at a view, or white if there is none."""
    height, width, channels, _ = view
    found = frames.get(View(*view))
    return np.full((height, width, channels), 255, np.uint8) if found is None else found


def _read(pipe: IO[bytes], asked: queue.Queue[tuple[str, dict[View, NDArray[np.uint8]]]]) -> None:
    """Take requests as they come; at the end of input, end: the process that started this one has ended."""
    while line := pipe.readline():
        head = json.loads(line)
        recent = {}
        for height, width, channels, region in head["views"]:
            frame = np.frombuffer(pipe.read(height * width * channels), np.uint8)
            view = View(height, width, channels, tuple(region) if region else None)
            recent[view] = frame.reshape(height, width, channels)
        asked.put((head["plan"], recent))
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
