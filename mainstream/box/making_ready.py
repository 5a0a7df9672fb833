"""Prepares models before they are loaded, so that an app that is added has its first score soon.

An engine that has to convert models needs seconds for each, once. While plans run it converts those of the packages in
the model folder, one after the other, in a process that leaves the cores to the frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

from mainstream.errors import MainstreamError
from mainstream.extensions import PartLoader
from mainstream.files import LARGEST_MODEL
from mainstream.formats.package import PACKAGE, read_package

_LOOK_S: Final = 5.0
"""Seconds between two looks at the folder, and before the first."""
_MOST: Final = 10_000


@contextmanager
def making_ready(loader: PartLoader, model_dir: Path, *, trusted: bool) -> Iterator[None]:
    """During the block, make the models of a folder's packages ready, if the engine can.

    Parameters
    ----------
    loader : PartLoader
        Without a method ``make_ready`` nothing is done.
    model_dir : Path
    trusted : bool
        As for loading them.
    """
    make: Callable[..., Any] | None = getattr(loader, "make_ready", None)
    if make is None:
        yield
        return
    closed = Event()

    def work() -> None:
        known: dict[Path, tuple[int, int]] = {}
        while not closed.wait(_LOOK_S):
            for path in _models(model_dir):
                with suppress(OSError, MainstreamError):  # whoever adds the package sees the error
                    state = path.stat()
                    now = state.st_mtime_ns, state.st_size
                    if known.get(path) != now and len(known) < _MOST and state.st_size <= LARGEST_MODEL:
                        known[path] = now
                        make(path, trusted=trusted)
                if closed.is_set():
                    return

    Thread(target=work, name="mainstream-making-ready", daemon=True).start()
    try:
        yield
    finally:
        closed.set()


def _models(model_dir: Path) -> Iterator[Path]:
    """The model files of all packages; those that lie outside the folder are left out."""
    for file in sorted(model_dir.glob(f"*/{PACKAGE}"))[:_MOST]:
        with suppress(OSError, MainstreamError):
            package, _ = read_package(file.parent)
            for name in package.models.values():
                path = (file.parent / name).resolve()
                if path.is_relative_to(model_dir.resolve()):
                    yield path
