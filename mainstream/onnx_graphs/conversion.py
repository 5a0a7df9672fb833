"""Frozen graphs and Keras models as ONNX: they are converted once, in a process of its own, and kept.

The ONNX model is kept beside the model, or in the user's cache if that folder cannot be written. Its name has the
digest of what it was made from, so another model is converted again. It ends in the digest of all before it, and a
damaged one is made again. A model NAME.onnx beside NAME.pb, as ``mainstream train --formats pb,onnx`` writes it, is
used if it was made from that very file; so a box without TensorFlow can use what another has converted.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import TemporaryDirectory
from threading import Lock, Thread, Timer
from typing import Any, Final

from mainstream._optional import require
from mainstream.errors import MissingExtraError, ProblemError
from mainstream.files import reason, write_bytes
from mainstream.onnx_graphs.backend import EXTRA, onnx

CONVERTED: Final = (".pb", ".keras")
"""Suffixes of the files that are converted."""

_FORM: Final = "1"
"""Change this when the same model would be converted to another one."""
_SOURCE: Final = "mainstream.source"
_CONTENT: Final = "mainstream.content"
_LONGEST_S: Final = 300.0
"""Seconds for one model."""
_IDLE_S: Final = 20.0
"""Seconds without work before the process is ended: it holds a gigabyte, but takes seconds to start."""
_NICE: Final = 10
_DIGITS: Final = 16
"""Hexadecimal digits of the digest in a file's name."""


def converted(path: Path, *, trusted: bool) -> bytes:
    """A frozen graph or a Keras model as an ONNX model, converted now or before.

    Parameters
    ----------
    path : Path
    trusted : bool
        Whether the model may do more than compute while it is converted.

    Returns
    -------
    bytes
        A ModelProto; its tensors have the names of the graph's.

    Raises
    ------
    MissingExtraError
        It was not converted yet, and what conversion needs is not installed.
    ProblemError
        It cannot be read or converted.
    """
    source = _source(path)
    places = _places(path, source)
    for place in (path.with_suffix(".onnx"), *places):
        with suppress(OSError):
            found = place.read_bytes()
            if _is_whole(found, source):
                return found
    made = convert(path, trusted=trusted)
    for place in places:
        with suppress(ProblemError, OSError):
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_bytes(place, made)
            _remove_older(place, path.name)
            break
    return made


def make_ready(path: Path, *, trusted: bool) -> None:
    """Convert a model now rather than when it is loaded, if it has to be converted."""
    if path.suffix in CONVERTED:
        converted(path, trusted=trusted)


def convert(path: Path, *, trusted: bool) -> bytes:
    """As :func:`converted`, but always now, and without keeping it."""
    body = _PROCESS.convert(path, trusted=trusted) + _entry(_SOURCE, _source(path))
    return _sealed(body)


def _source(path: Path) -> str:
    """A digest that tells one version of a model file from the next."""
    try:
        return hashlib.sha256(_FORM.encode() + path.read_bytes()).hexdigest()
    except OSError as error:
        raise ProblemError(f"{path} cannot be read: {reason(error)}") from None


def _places(path: Path, source: str) -> list[Path]:
    """Where a file's ONNX model is kept: beside it, or else in the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME")
    cache = (Path(home) if home else Path.home() / ".cache") / "mainstream" / "onnx"
    name = f"{_prefix(path.name)}{source[:_DIGITS]}.onnx"
    return [folder / name for folder in (path.parent, cache)]


def _prefix(name: str) -> str:
    return f".{name}."


def _remove_older(place: Path, name: str) -> None:
    """Remove what was made of earlier contents of the same file."""
    for other in place.parent.iterdir():
        if other != place and re.fullmatch(re.escape(_prefix(name)) + rf"[0-9a-f]{{{_DIGITS}}}\.onnx", other.name):
            other.unlink()


def _sealed(body: bytes) -> bytes:
    """A ModelProto that ends in the digest of all before it: protobuf reads messages in a row as one message."""
    return body + _entry(_CONTENT, hashlib.sha256(body).hexdigest())


def _is_whole(content: bytes, source: str) -> bool:
    """Whether a file is what was made of `source`, to the last bit."""
    body = content[: -len(_entry(_CONTENT, source))]
    return body.endswith(_entry(_SOURCE, source)) and content == _sealed(body)


def _entry(key: str, value: str) -> bytes:
    """A ModelProto with only a line of metadata; its length is the same for every digest."""
    return bytes(
        onnx().ModelProto(metadata_props=[onnx().StringStringEntryProto(key=key, value=value)]).SerializeToString()
    )


class _Process:
    """The process that converts; it is started when it is needed, and ended after 20 s without work."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[str] | None = None
        self._idle = Timer(0, self._end)

    def convert(self, path: Path, *, trusted: bool) -> bytes:
        for package, extra in (("tensorflow", "run"), ("keras", "run"), ("tf2onnx", EXTRA)):
            try:
                require(package, extra)
            except MissingExtraError as missing:
                raise MissingExtraError(f"{path} has to be converted to ONNX once, and for that {missing}") from None
        with self._lock, TemporaryDirectory() as folder:
            self._idle.cancel()
            to = Path(folder) / "model.onnx"
            try:
                error = self._ask(path, {"model": str(path.resolve()), "to": str(to), "trusted": trusted})
            finally:
                self._idle = Timer(_IDLE_S, self._end)
                self._idle.daemon = True
                self._idle.start()
            if error is not None:
                raise ProblemError(error)
            return to.read_bytes()

    def _ask(self, path: Path, request: dict[str, Any]) -> str | None:
        """Ask for a conversion; return what is wrong with the model, or None."""
        process = self._running()
        said: SimpleQueue[str] = SimpleQueue()
        Thread(target=lambda: said.put(_talk(process, json.dumps(request))), daemon=True).start()
        try:
            answer = said.get(timeout=_LONGEST_S)
        except Empty:
            process.kill()
            raise ProblemError(
                f"{path} was not converted within {_LONGEST_S:g} s; run it with --engine tensorflow"
            ) from None
        if not answer:
            raise ProblemError(
                f"{path} ended the process that converts it; the conversion takes more memory than there is, or crashes"
            )
        error: str | None = json.loads(answer)
        return error

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "mainstream.onnx_graphs.converter"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,  # Ctrl-C is for the process that asks; this one ends with it
            )
            os.setpriority(os.PRIO_PROCESS, self._process.pid, _NICE)  # a runtime's frames come first
        return self._process

    def _end(self) -> None:
        with self._lock:
            if self._process is not None:
                with self._process:  # this closes its pipes, too
                    self._process.kill()
                self._process = None


def _talk(process: subprocess.Popen[str], line: str) -> str:
    """The answer of the process to a line; empty if it has ended."""
    if process.stdin is None or process.stdout is None:
        return ""
    with suppress(OSError, ValueError):
        process.stdin.write(line + "\n")
        process.stdin.flush()
        return process.stdout.readline()
    return ""


_PROCESS: Final = _Process()
