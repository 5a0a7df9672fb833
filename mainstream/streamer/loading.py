"""A plan is loaded while another runs: within a time, and without a pause for the frames of the other.

What hangs in a model cannot be broken off. But it need not be waited for: a plan is loaded in a thread of its own, and
one that comes back too late finds nobody. What hangs goes on to compute; so only a few may, and then the runtime takes
no more plans and says that it has to be started again.
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
"""Plans that may hang while they are loaded; each keeps a core busy."""


class Loading:
    """Loads plans, one at a time.

    Parameters
    ----------
    loader : PartLoader
        Started.
    model_dir : Path
    size : (int, int), optional
        Height and width that plans have to have.
    trusted : bool
        Models may do more than compute.
    closed : Event
        Nobody waits any more.
    """

    def __init__(
        self, loader: PartLoader, model_dir: Path, size: tuple[int, int] | None, *, trusted: bool, closed: Event
    ) -> None:
        self._loader, self._model_dir, self._size, self._trusted = loader, model_dir, size, trusted
        self._closed = closed
        self._hanging: set[Thread] = set()

    @property
    def unhealthy(self) -> str | None:
        """Why it takes no more plans; None where it does."""
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
        # What the plans before have left is collected here, where frames wait for it: with TensorFlow's objects that
        # holds up each thread for as long as 0.4 s.
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
                gc.freeze()  # later collections, which come at any time, look only at what is made from now on
                return engine
        self._hanging = {one for one in self._hanging if one.is_alive()} | {thread}
        if self._closed.is_set():
            raise DeployError("the runner was closed while it loaded the plan")
        raise DeployError(f"the plan was not loaded and run within {timeout_s:g} s, though it was when it was tried")

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
