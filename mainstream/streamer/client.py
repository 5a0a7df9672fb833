"""The client's side of Streamer's wire: it sends a net plan and gets back the rates that were observed.

A runtime that says so in the handshake can then be asked how much of a core the plan took (compute.py) and, at any
time, what it runs (status.py).

ZeroMQ's REQ socket waits for ever when nobody answers, queues for a server that is not there, and takes no second
request after a lost answer. So each attempt has its own socket, sends only once it is connected, watches the
connection while it waits, and drops what is unsent when it ends.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeVar
from uuid import uuid4

from mainstream._optional import require
from mainstream.description import shown
from mainstream.errors import DeployError, ProblemError
from mainstream.ranges import SECONDS, WHOLE
from mainstream.streamer.compute import REQUEST, TELLS, Compute
from mainstream.streamer.deployer import Observed
from mainstream.streamer.keys import client_security
from mainstream.streamer.plan import NetPlan
from mainstream.streamer.requests import one_line
from mainstream.streamer.status import REQUEST as ASK_STATUS
from mainstream.streamer.status import Status

if TYPE_CHECKING:
    import zmq

DEFAULT_ADDRESS: Final = "tcp://localhost:5555"
_ADDRESS: Final = re.compile(r"tcp://(?:[^\s:/\[\]]+|\[[0-9A-Fa-f:]+\]):(?P<port>\d{1,5})|ipc://\S+")
_CONNECT_S: Final = 5.0
"""Seconds to wait for a connection; a server that needs longer is taken to be absent."""
_TIMEOUT_S: Final = replace(SECONDS, high=1e6)
"""The limit is longer than any window that a server may measure."""
_LOOK_S: Final = 0.25
"""No wait is longer than this, since a Ctrl-C that comes right before a wait begins does not end it."""
_LONGEST_ANSWER: Final = 300
"""Characters of a server's error message to pass on."""
_REFUSED: Final = "error: "
_COMPUTE_S: Final = 5.0
"""Seconds to wait for the second answer, which a server has ready."""
_LARGEST: Final = 16 * 2**20
"""Most bytes of an answer; the answer to a plan of 10,000 nets has half a million."""
_Answer = TypeVar("_Answer")


class StreamerClient:
    """Sends net plans to a Streamer; use it in a ``with`` block, or :meth:`close` it.

    Parameters
    ----------
    address : str
        ``tcp://HOST:PORT`` or ``ipc://PATH``.
    timeout_s : float
        Seconds that one attempt may take, including the server's measuring window (30 s in Streamer).
    retries : int
        How often to resend a plan that got no answer. It may then run twice: a server that did not answer may still
        have received it.
    integer_fps : bool
        Send max(1, floor(rate)), for a Streamer that reads `target_fps` as an integer.
    curve_keys : str or Path, optional
        Folder with ``client.key_secret`` and ``server.key``, for a server that answers only clients that it knows.

    Raises
    ------
    MissingExtraError
        ZeroMQ is not installed.
    ProblemError
        An argument has a wrong type or value, or the keys are missing.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        timeout_s: float = 60,
        retries: int = 0,
        *,
        integer_fps: bool = False,
        curve_keys: str | Path | None = None,
    ) -> None:
        require("zmq", "run")
        parts = _ADDRESS.fullmatch(address) if isinstance(address, str) else None
        if parts is None or not 1 <= int(parts["port"] or 1) <= 65535:
            raise ProblemError(f"address: got {shown(address)}; it has to be 'tcp://HOST:PORT' or 'ipc://PATH'")
        _TIMEOUT_S.check("timeout_s", timeout_s)
        WHOLE.check("retries", retries)
        self.address = address
        self.timeout_s = timeout_s
        self.retries = retries
        self.integer_fps = integer_fps
        self._security = {} if curve_keys is None else client_security(curve_keys)
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop ZeroMQ's thread; a later :meth:`deploy` starts another."""
        if self._context is not None:
            self._context.term()
            self._context = None

    def deploy(self, plan: NetPlan, *, given_up: Event | None = None) -> Observed:
        """Send a plan and wait for the observed rates.

        Parameters
        ----------
        plan : NetPlan
        given_up : Event, optional
            Another thread sets it when nobody waits for the rates any more. The connection is then closed, and a plan
            that has not taken over yet never does.

        Returns
        -------
        Observed
            `app_id` -> frames a second; its `plan` is the plan that was sent.

        Raises
        ------
        DeployError
            Nothing listens, the server does not accept the key, no answer came in time, the connection broke, or the
            answer is not a list of rates.
        """
        if self.integer_fps:
            plan = plan.with_integer_fps()
        request, given_up = plan.to_json().encode(), given_up or Event()
        for _ in range(self.retries):
            try:
                return self._read(*self._ask(request, given_up), plan)
            except _NoAnswerError:
                continue
        return self._read(*self._ask(request, given_up), plan)

    def status(self, *, given_up: Event | None = None) -> Status | None:
        """Ask once, whatever `retries` says, what runs there; this changes nothing.

        Parameters
        ----------
        given_up : Event, optional
            Another thread sets it when nobody waits for the answer any more.

        Returns
        -------
        Status or None
            None if the server does not tell, such as the published one, which is never asked.

        Raises
        ------
        DeployError
            Nothing listens, the server does not accept the key, no answer came in time, the connection broke, or the
            answer is not a status.
        """
        import zmq

        def send(socket: zmq.Socket[bytes]) -> None:
            socket.send_multipart([TELLS, b"", ASK_STATUS], zmq.NOBLOCK)

        # A ROUTER socket sends only to a peer that gave this name in the handshake, and fails if there is none.
        try:
            text = self._exchange(zmq.ROUTER, zmq.EVENT_HANDSHAKE_SUCCEEDED, send, _status, given_up or Event())
        except _NotKnownError:
            return None
        if text.startswith(_REFUSED):  # a runtime that is older than this request
            return None
        try:
            return Status.from_json(text)
        except ProblemError as error:
            raise DeployError(f"{self.address}: its status makes no sense: {one_line(str(error))}") from None

    def _ask(self, request: bytes, given_up: Event) -> tuple[str, str | None]:
        """Make one attempt: the answer, and what the server says of the compute, or None if it does not measure it."""
        import zmq

        def send(socket: zmq.Socket[bytes]) -> None:
            socket.send(request, zmq.NOBLOCK)

        return self._exchange(zmq.REQ, zmq.EVENT_CONNECTED, send, _answer, given_up)

    def _exchange(
        self,
        kind: int,
        ready_at: int,
        send: Callable[[zmq.Socket[bytes]], None],
        read: Callable[[zmq.Socket[bytes]], _Answer],
        given_up: Event,
    ) -> _Answer:
        """Connect a socket of this `kind`, send as soon as its event `ready_at` comes, and read the answer."""
        import zmq
        from zmq.utils.monitor import recv_monitor_message

        if self._context is None:
            self._context = zmq.Context()
        deadline = monotonic() + self.timeout_s
        connected_by = monotonic() + min(_CONNECT_S, self.timeout_s)
        sent = False
        events = (
            ready_at
            | zmq.EVENT_DISCONNECTED
            | zmq.EVENT_HANDSHAKE_FAILED_AUTH
            | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
            | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
        )
        # The default address would be that of the last socket, which may not be closed yet.
        address = f"inproc://{uuid4().hex}"
        with self._context.socket(kind) as socket, socket.get_monitor_socket(events, address) as monitor:
            socket.linger = 0
            socket.maxmsgsize = _LARGEST
            socket.ipv6 = "[" in self.address
            if kind == zmq.ROUTER:
                socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
            for name, key in self._security.items():
                setattr(socket, name, key)
            poller = zmq.Poller()
            poller.register(socket, zmq.POLLIN)
            poller.register(monitor, zmq.POLLIN)
            try:
                socket.connect(self.address)
                while True:
                    left = (deadline if sent else connected_by) - monotonic()
                    ready = dict(poller.poll(max(0, math.ceil(1000 * min(left, _LOOK_S)))))
                    # Look for the answer first: a server that answers and disconnects leaves both.
                    if socket in ready or (monitor in ready and socket.poll(0)):
                        return read(socket)
                    if given_up.is_set():
                        raise DeployError(f"{self.address}: the plan was given up before an answer came")
                    if monitor not in ready:
                        if left <= 0:
                            raise self._silence(sent, kind)
                        continue
                    event = recv_monitor_message(monitor)["event"]
                    if event == zmq.EVENT_DISCONNECTED and kind == zmq.ROUTER and not sent:
                        raise _NotKnownError  # as the REP socket of the published server does
                    if event != ready_at:
                        raise self._broken(zmq.Event(event))
                    with suppress(zmq.Again):  # broken already: the next event says why
                        send(socket)
                        sent = True
            except zmq.ZMQError as error:
                if error.errno == zmq.EHOSTUNREACH and kind == zmq.ROUTER:
                    raise _NotKnownError from None
                raise DeployError(
                    f"{self.address}: cannot send: {zmq.strerror(error.errno or 0)}; correct the address"
                ) from None

    def _broken(self, event: zmq.Event) -> DeployError:
        import zmq

        if event == zmq.EVENT_DISCONNECTED:
            return _NoAnswerError(
                f"{self.address}: the connection was closed before an answer came; look at the server"
            )
        if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            return DeployError(
                f"{self.address}: the server does not know this client's key; put client.key into its folder of keys"
            )
        other = "takes no keys, has another server.key" if self._security else "takes clients with keys only"
        kind = _NoAnswerError if event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL else DeployError
        return kind(f"{self.address}: cannot agree with the server: it {other}, or is not a Streamer")

    def _silence(self, sent: bool, kind: int) -> _NoAnswerError:
        import zmq

        if sent:
            may_run = "" if kind == zmq.ROUTER else "the plan was sent and may run; "
            return _NoAnswerError(
                f"{self.address}: no answer within {self.timeout_s:g} s; {may_run}look at the server, or give it longer"
            )
        return _NoAnswerError(
            f"{self.address}: no connection within {min(_CONNECT_S, self.timeout_s):g} s; "
            "start the server, or correct the address"
        )

    def _read(self, text: str, told: str | None, plan: NetPlan) -> Observed:
        if text.startswith(_REFUSED):
            raise DeployError(f"{self.address}: the server refused the plan: {_reason(text)}")
        try:
            rates = [float(number) for number in text.split(",")]
        except ValueError:
            raise DeployError(
                f"{self.address}: answered {shown(text)}; it has to be frame rates, separated by commas"
            ) from None
        apps = list(plan.target_fps)
        if len(rates) != len(apps):
            raise DeployError(
                f"{self.address}: answered {len(rates)} rates for {len(apps)} apps: {shown(text)}; "
                "there has to be one for each app"
            )
        try:
            return Observed(dict(zip(apps, rates, strict=True)), plan, *_compute(told, plan))
        except DeployError as error:
            raise DeployError(f"{self.address}: {error}") from None


class _NotKnownError(Exception):
    """The server is not one that answers this question."""


class _NoAnswerError(DeployError):
    """An attempt ended without an answer, so another one may help."""


def _answer(socket: zmq.Socket[bytes]) -> tuple[str, str | None]:
    """Read the answer to a plan, and ask for the compute if the server measures it."""
    import zmq

    frames = socket.recv_multipart(copy=False)
    text = _text([frame.bytes for frame in frames])
    try:
        tells = frames[0].get("Identity") == TELLS.decode()
    except zmq.ZMQError:  # the server's kind of socket has none
        tells = False
    if not tells or text.startswith(_REFUSED):
        return text, None
    until = monotonic() + _COMPUTE_S
    try:
        socket.send(REQUEST, zmq.NOBLOCK)
        while not socket.poll(math.ceil(1000 * _LOOK_S)):
            if monotonic() > until:
                return text, f"{_REFUSED}the server did not answer within {_COMPUTE_S:g} s"
        return text, _text(socket.recv_multipart())
    except zmq.ZMQError:
        return text, f"{_REFUSED}the connection was closed before the server told it"


def _status(socket: zmq.Socket[bytes]) -> str:
    """Read a runtime's status, which follows its name and an empty frame."""
    return _text(socket.recv_multipart()[2:])


def _compute(told: str | None, plan: NetPlan) -> tuple[Compute | None, str]:
    """What a server said of the compute, or why it is unknown."""
    if told is None:
        return None, "this Streamer does not tell it"
    if told.startswith(_REFUSED):
        return None, _reason(told)
    try:
        return Compute.from_json(told, plan), ""
    except ProblemError as error:
        return None, f"the server's figures make no sense: {one_line(str(error))}"


def _text(frames: list[bytes]) -> str:
    return b"\n".join(frames).decode("utf-8", errors="backslashreplace").strip("\0 \t\r\n")


def _reason(refusal: str) -> str:
    return one_line(" ".join(refusal.removeprefix(_REFUSED).split()))[:_LONGEST_ANSWER]
