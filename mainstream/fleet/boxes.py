"""Ask many boxes at a time what they run, and send plans to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Final, Literal

from mainstream.errors import DeployError, ProblemError
from mainstream.fleet.fleet import Fleet
from mainstream.fleet.plan_files import Plans
from mainstream.streamer.client import StreamerClient
from mainstream.streamer.deployer import Observed
from mainstream.streamer.plan import NetPlan
from mainstream.streamer.status import Status
from mainstream.streamer.together import Together

_ASKED_AT_ONCE: Final = 64
"""Runtimes that are asked at a time; each needs about ten file descriptors during that."""

State = Literal["as planned", "another plan", "no plan", "does not tell", "away"]


@dataclass(frozen=True)
class Runtime:
    """The runtime of one stream on a box, and the plan that it should run.

    Attributes
    ----------
    box, stream : str
    address : str
    plan : NetPlan
    """

    box: str
    stream: str
    address: str
    plan: NetPlan


@dataclass(frozen=True)
class Asked:
    """A runtime's answer to what it runs.

    Attributes
    ----------
    runtime : Runtime
    status : Status or None
        None if it was not reached, or cannot answer that question.
    away : str or None
        Why it was not reached.
    """

    runtime: Runtime
    status: Status | None
    away: str | None = None

    @property
    def state(self) -> State:
        """What it runs, compared with what it should run."""
        if self.away is not None:
            return "away"
        if self.status is None:
            return "does not tell"
        if self.status.plan is None:
            return "no plan"
        return "as planned" if self.status.plan == self.runtime.plan.digest else "another plan"

    def to_dict(self) -> dict[str, Any]:
        """Plain values; measured ones are under ``measured``."""
        told = self.status
        return {
            "box": self.runtime.box,
            "stream": self.runtime.stream,
            "address": self.runtime.address,
            "state": self.state,
            "away": self.away,
            "trouble": None if told is None else told.trouble,
            "deploying": told is not None and told.deploying,
            "measured": None if told is None else told.model_dump(include={"apps", "core_s", "window_s"}),
        }


def runtimes_of(fleet: Fleet, plans: Plans) -> list[Runtime]:
    """The runtimes that have a plan, box by box.

    Raises
    ------
    ProblemError
        A box has no address.
    """
    ports = {camera.name: camera.port for camera in fleet.cameras if not camera.placed}
    found = []
    for b, box in enumerate(fleet.boxes):
        own = {camera.name: camera.port for camera in fleet.cameras if camera.placed and b in camera.on}
        for name, plan in plans[str(box.name)].items():
            address = box.endpoint({**ports, **own}[name])
            if address is None:
                raise ProblemError(f"box {box.name}: missing key 'address'; give tcp://HOST:PORT of its runtime")
            found.append(Runtime(str(box.name), name, address, plan))
    return found


def ask_all(
    runtimes: Iterable[Runtime], *, timeout_s: float, curve_keys: Path | None = None, given_up: Event | None = None
) -> list[Asked]:
    """Ask runtimes what they run, 64 at a time: n of them take at most ceil(n / 64) times the timeout.

    Parameters
    ----------
    runtimes : iterable of Runtime
    timeout_s : float
        Seconds that each may take.
    curve_keys : Path, optional
        As for :class:`~mainstream.streamer.StreamerClient`.
    given_up : Event, optional
        Set it when nobody waits for the answers any more.

    Returns
    -------
    list of Asked
        In the order given.
    """
    given_up = given_up or Event()

    def ask(runtime: Runtime) -> Asked:
        try:
            with StreamerClient(runtime.address, timeout_s, curve_keys=curve_keys) as client:
                return Asked(runtime, client.status(given_up=given_up))
        except DeployError as error:
            return Asked(runtime, None, str(error))

    pool = ThreadPoolExecutor(_ASKED_AT_ONCE, thread_name_prefix="mainstream-ask")
    try:
        return list(pool.map(ask, runtimes))
    except BaseException:
        given_up.set()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def send(
    runtimes: Iterable[Runtime], *, timeout_s: float, retries: int, curve_keys: Path | None
) -> Mapping[str, Observed]:
    """Send the plans of all streams of one box at once, and wait for what each stream observed.

    Raises
    ------
    MainstreamError
        A plan could not run; then the others are given up.
    """
    given = {one.stream: one for one in runtimes}
    with ExitStack() as opened:
        clients = {
            name: opened.enter_context(StreamerClient(one.address, timeout_s, retries, curve_keys=curve_keys))
            for name, one in given.items()
        }
        return Together(clients).deploy({name: one.plan for name, one in given.items()})
