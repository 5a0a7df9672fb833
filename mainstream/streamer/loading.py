"""Loads a plan while another runs: within a time limit, and without a pause in the other's frames.

A model that hangs cannot be stopped. But nobody has to wait for it: each plan is loaded in a thread of its own, and a
plan that is ready too late is dropped. A thread that hangs keeps a core busy, so only a few may hang; after that the
runtime takes no more plans and says that it has to be started again.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from time import monotonic
from typing import Final

from mainstream.errors import DeployError, MainstreamError, ProblemError
from mainstream.extensions import Part, PartLoader
from mainstream.streamer.engine import Engine, PartKey
from mainstream.streamer.plan import NetPlan
from mainstream.streamer.requests import one_line

_LOOK_S: Final = 0.1
_MOST_HANGING: Final = 3
"""So many plans may hang while they are loaded."""


class Loading:
    """Loads plans, one at a time.

    Parameters
    ----------
    loader : PartLoader
        It has to be started.
    model_dir : Path
    size : (int, int), optional
        Height and width that plans must have.
    trusted : bool
        Whether models may do more than compute.
    closed : Event
        Set when nobody waits any more.
    """

    def __init__(
        self, loader: PartLoader, model_dir: Path, size: tuple[int, int] | None, *, trusted: bool, closed: Event
    ) -> None:
        self._loader, self._model_dir, self._size, self._trusted = loader, model_dir, size, trusted
        self._closed = closed
        self._hanging: set[Thread] = set()

    @property
    def unhealthy(self) -> str | None:
        """Why it takes no more plans; None if it does."""
        hanging = sum(thread.is_alive() for thread in self._hanging)
        return f"{hanging} plans hang in this process" if hanging >= _MOST_HANGING else None

    def load(self, plan: NetPlan, stream_fps: float, loaded: Mapping[PartKey, Part] | None, timeout_s: float) -> Engine:
        """The plan, loaded and warm.

        Parameters
        ----------
        plan : NetPlan
        stream_fps : float
        loaded : mapping of PartKey to Part, optional
            Parts of the plan before.
        timeout_s : float

        Raises
        ------
        DeployError
            It cannot be loaded, or not in time.
        """
        if self.unhealthy is not None:
            raise DeployError(f"{self.unhealthy}; start the runtime again")
        # Collect the garbage of earlier plans now, while frames are kept: with TensorFlow's objects a collection holds
        # up every thread for up to 0.4 s.
        gc.unfreeze()
        gc.collect()
        made: SimpleQueue[Engine | DeployError] = SimpleQueue()
        thread = Thread(
            target=lambda: made.put(self._made(plan, stream_fps, loaded)), name="mainstream-load", daemon=True
        )
        thread.start()
        until = monotonic() + timeout_s
        while monotonic() < until and not self._closed.is_set():
            with suppress(Empty):
                engine = made.get(timeout=_LOOK_S)
                if isinstance(engine, DeployError):
                    raise engine
                gc.freeze()  # later collections come at any time, so they should look only at new objects
                return engine
        self._hanging = {one for one in self._hanging if one.is_alive()} | {thread}
        if self._closed.is_set():
            raise DeployError("the runner was closed while it loaded the plan")
        raise DeployError(f"the plan was not loaded and run within {timeout_s:g} s, although it was in its trial")

    def _made(self, plan: NetPlan, stream_fps: float, loaded: Mapping[PartKey, Part] | None) -> Engine | DeployError:
        try:
            self._check_size(plan)
            return Engine(plan, self._loader, self._model_dir, stream_fps, loaded, trusted=self._trusted)
        except MainstreamError as error:
            return DeployError(str(error))
        except Exception as error:  # a model may make its engine raise anything
            return DeployError(one_line(f"it cannot be loaded: {type(error).__name__}: {error}"))

    def _check_size(self, plan: NetPlan) -> None:
        for part in plan.subnets:
            if self._size is not None and (part.height, part.width) != self._size:
                height, width = self._size
                raise ProblemError(
                    f"net {part.net_id}: height, width: {part.height} x {part.width}; "
                    f"this runtime takes {height} x {width}"
                )
