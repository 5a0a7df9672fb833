"""The server's side of Streamer's wire: it gets a net plan and answers with the rates that were observed.

A client that got its answer may also ask for the compute behind the rates (compute.py). Anybody may ask at any time
what runs (status.py).

Every request is answered. If it is not a plan that can run, the answer is ``error: `` and one line, and the old plan
goes on.

The loop waits for nothing but its sockets: each plan is read, loaded and measured in a thread of its own. There is one
plan at a time, and a client that sends another meanwhile is told so at once. When a client disconnects before its plan
has taken over, that plan is given up, and the next client's plan is deployed.
"""

from __future__ import annotations

import logging
import re
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from mainstream._optional import require
from mainstream.description import shown
from mainstream.errors import MainstreamError, ProblemError
from mainstream.extensions import PART_LOADERS
from mainstream.ranges import SECONDS
from mainstream.streamer.compute import TELLS, Compute, asks_compute
from mainstream.streamer.connections import Connections
from mainstream.streamer.keys import server_security
from mainstream.streamer.memory import GIGABYTES
from mainstream.streamer.plan import NetPlan
from mainstream.streamer.requests import one_line
from mainstream.streamer.runner import LocalRunner
from mainstream.streamer.status import Status, asks_status
from mainstream.streamer.trial import Trial

if TYPE_CHECKING:
    import zmq

DEFAULT_BIND: Final = "tcp://127.0.0.1:5555"
_LARGEST: Final = 16 * 2**20
"""Most bytes of a request; a plan of 10,000 apps has 4 million."""
_DROPPED: Final = _LARGEST + 2**20
"""ZeroMQ cuts off whoever sends more bytes, before they are read."""
_QUEUED: Final = 2
"""Messages that ZeroMQ queues from a client, and for it."""
_MOST_PARTS: Final = 8
"""Parts of a message that are kept; further ones are only counted."""
_PARTS_AT_ONCE: Final = 1000
"""Parts that are read before the loop looks at other things."""
_HANDSHAKE_MS: Final = 5_000
"""Milliseconds after which ZeroMQ drops a connection without a handshake, such as a port scan's."""
_KEEPALIVE: Final = {"TCP_KEEPALIVE": 1, "TCP_KEEPALIVE_IDLE": 30, "TCP_KEEPALIVE_INTVL": 10, "TCP_KEEPALIVE_CNT": 3}
"""A client whose machine lost power is noticed after a minute; old clients do not know ZeroMQ's own heartbeats."""
_ADDRESS: Final = re.compile(r"tcp://(?P<host>\S+):(?P<port>\d{1,5}|\*)|ipc://\S+")
_LAST_PORT: Final = 65535
_LOOK_MS: Final = 20
"""Longest wait for the sockets; then the loop looks whether the thread has an answer."""
_LINGER_MS: Final = 500
"""Milliseconds that sending the last answer may take."""
_BUSY: Final = "error: busy: another plan is being deployed; send this one again when that has been answered"
_NOT_THE_LAST: Final = "error: this connection's plan is not the one that was measured last"

_log = logging.getLogger(__name__)


@dataclass
class _Request:
    """A request that is being answered.

    Attributes
    ----------
    envelope : list of bytes
        Frames that go in front of the answer, so that it finds its way back.
    body : bytes
    connection : int or None
        File descriptor of the client's connection; None for a client of an old ZeroMQ, which may leave unnoticed.
    gone : Event
        Set when the client has gone.
    answer : str or None
        None until there is one.
    compute : str or None
        The answer to the second request; None where the plan was not measured.
    """

    envelope: list[bytes]
    body: bytes
    connection: int | None
    gone: Event = field(default_factory=Event)
    answer: str | None = None
    compute: str | None = None


class Server:
    """A runtime's socket; use it in a ``with`` block.

    Parameters
    ----------
    runner : LocalRunner
        What runs the plans.
    bind : str
        ``tcp://HOST:PORT`` (port ``*``: any free one) or ``ipc://PATH``.
    curve_keys : str or Path, optional
        Folder of :func:`mainstream.streamer.keys.write_keys`; only clients whose keys are there are answered.
    insecure : bool
        Listen without keys even if other machines can then send plans.
    load_timeout_s, load_memory_gb : float
        Seconds and gigabytes that a new plan may take in the spare process in which it is tried first; the runner may
        then take as long to load it. Plans for an engine that was given to the runner as an object are not tried.

    Attributes
    ----------
    address : str
        Where it listens.

    Raises
    ------
    MissingExtraError
        ZeroMQ is not installed.
    ProblemError
        The address has another form, is in use, or is open to other machines without keys; or the keys are missing.
    """

    def __init__(
        self,
        runner: LocalRunner,
        bind: str = DEFAULT_BIND,
        *,
        curve_keys: str | Path | None = None,
        insecure: bool = False,
        load_timeout_s: float = 60.0,
        load_memory_gb: float = 2.0,
    ) -> None:
        require("zmq", "run")
        import zmq

        _check_address(bind, secure=curve_keys is not None or insecure)
        self._runner = runner
        self._request: _Request | None = None
        self._next: _Request | None = None
        self._measured: tuple[bytes, str] = b"", _NOT_THE_LAST
        self._took: tuple[str, Compute] | None = None
        self._parts: list[bytes] = []
        self._count = 0
        SECONDS.check("load_timeout_s", load_timeout_s)
        self._load_timeout_s = load_timeout_s
        self._here: set[int] = set()
        GIGABYTES.check("load_memory_gb", load_memory_gb)
        with ExitStack() as opened:
            context: zmq.Context[zmq.Socket[bytes]] = opened.enter_context(zmq.Context())
            self._socket = opened.enter_context(context.socket(zmq.ROUTER))
            self._socket.linger = _LINGER_MS
            self._socket.setsockopt(zmq.ROUTING_ID, TELLS)
            self._socket.ipv6 = "[" in bind
            self._socket.rcvhwm = self._socket.sndhwm = _QUEUED
            self._socket.setsockopt(zmq.MAXMSGSIZE, _DROPPED)
            self._socket.setsockopt(zmq.HANDSHAKE_IVL, _HANDSHAKE_MS)
            for option, value in _KEEPALIVE.items():
                self._socket.setsockopt(getattr(zmq, option), value)
            if curve_keys is not None:
                opened.enter_context(server_security(self._socket, Path(curve_keys)))
            self._failed_handshake = (
                zmq.EVENT_HANDSHAKE_FAILED_AUTH
                | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
                | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
            )
            watched = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | self._failed_handshake
            self._monitor = opened.enter_context(self._socket.get_monitor_socket(watched))
            opened.callback(self._socket.disable_monitor)
            try:
                self._socket.bind(bind)
            except zmq.ZMQError as error:
                raise ProblemError(f"bind: cannot listen at {bind}: {zmq.strerror(error.errno or 0)}") from None
            self.address = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
            self._connections = Connections(self.address)
            opened.callback(self._connections.close)
            self._trial: Trial | None = None
            if PART_LOADERS.is_known_everywhere(runner.loader):
                self._trial = Trial(
                    runner.loader.name,
                    runner.model_dir,
                    runner.stream_fps,
                    trusted=runner.trust_models,
                    timeout_s=load_timeout_s,
                    memory_gb=load_memory_gb,
                )
                opened.callback(self._trial.close)
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def serve(self) -> None:
        """Answer until the runner's source has ended.

        Raises
        ------
        DeployError
            The runner failed.
        """
        import zmq

        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._monitor, zmq.POLLIN)
        while self._request is not None or not self._runner.ended:
            poller.poll(_LOOK_MS)
            for _ in range(self._connections.bound(None if self._request is None else self._request.connection)):
                self._runner.meters.connection_cut()
            self._notice_all()
            if self._socket.poll(0):
                self._receive()
            if self._request is not None and self._request.answer is not None:
                self._finish(self._request, self._request.answer)
        self._runner.wait()

    def _notice_all(self) -> None:
        """Note who has come and gone. Before a message is read this includes the coming of its own client."""
        while self._monitor.poll(0):
            self._notice()

    def _notice(self) -> None:
        """Note that a client has come or gone, or that something else has tried to connect."""
        import zmq
        from zmq.utils.monitor import recv_monitor_message

        event = recv_monitor_message(self._monitor)
        if event["event"] & self._failed_handshake:
            self._runner.meters.handshake_failed()
            return
        if event["event"] == zmq.EVENT_ACCEPTED:
            self._here.add(event["value"])
            self._connections.accepted(event["value"])
            return
        self._here.discard(event["value"])
        self._connections.gone(event["value"])
        for request in (self._request, self._next):
            if request is not None and request.connection == event["value"]:
                request.gone.set()

    def _receive(self) -> None:
        """Receive parts of a message, and read it when it is whole."""
        import zmq

        with suppress(zmq.Again):
            for _ in range(_PARTS_AT_ONCE):
                part = self._socket.recv(zmq.NOBLOCK, copy=False)
                self._count += 1
                if len(self._parts) < _MOST_PARTS:
                    self._parts.append(part.bytes)
                if not part.more:
                    self._read(self._parts, self._count - len(self._parts), _connection_of(part))
                    self._parts, self._count = [], 0
                    return

    def _read(self, frames: list[bytes], more: int, connection: int | None) -> None:
        """Take a message, given its first frames and the number of those that were only counted."""
        self._notice_all()
        if connection is not None:
            if connection not in self._here:  # the client has gone
                return
            self._connections.message(connection)
        # A REQ socket puts an empty frame behind the client's address; other kinds of sockets may leave it out.
        end = frames.index(b"", 1) + 1 if b"" in frames[1:-1] else 1
        envelope, body = frames[:end], frames[end:]
        if len(body) + more != 1:
            count = len(body) + more
            self._send(envelope, f"error: a message of {count} frames; it has to be one, with a JSON array")
        elif len(body[0]) > _LARGEST:
            self._send(envelope, f"error: a request of {len(body[0])} bytes; at most {_LARGEST} are taken")
        elif asks_compute(body[0]):
            client, told = self._measured
            self._send(envelope, told if client == envelope[0] else _NOT_THE_LAST)
        elif asks_status(body[0]):
            told_of = Status.of_runner(self._runner, self._took, deploying=self._request is not None)
            self._send(envelope, told_of.to_json())
        else:
            self._take(_Request(envelope, body[0], connection))

    def _take(self, request: _Request) -> None:
        if self._request is None:
            self._begin(request)
        elif _has_gone(self._request, request) and (self._next is None or self._next.gone.is_set()):
            self._next = request
        else:
            self._send(request.envelope, _BUSY)

    def _begin(self, request: _Request) -> None:
        self._request = request
        Thread(target=self._work, args=(request,), name="mainstream-deploy", daemon=True).start()

    def _work(self, request: _Request) -> None:
        request.answer = self._answer(request)

    def _answer(self, request: _Request) -> str:
        try:
            try:
                text = request.body.decode()
            except UnicodeDecodeError as error:
                raise ProblemError(f"net plan: no UTF-8 text: byte {error.start}") from None
            plan = NetPlan.from_json(text)
            if self._trial is not None and not self._runner.has_loaded(plan):
                self._trial.check(plan, self._runner.recent_frame(plan), request.gone)
            observed = self._runner.deploy(plan, given_up=request.gone, load_timeout_s=self._load_timeout_s)
        except MainstreamError as error:
            return one_line(f"error: {error}")
        except Exception as error:  # a request must not end anything but itself
            _log.exception("a plan could not be deployed")
            return one_line(f"error: the plan could not be deployed: {type(error).__name__}: {error}")
        if observed.compute is None:
            request.compute = f"error: {observed.unmeasured}"
        else:
            request.compute = observed.compute.to_json()
            self._took = plan.digest, observed.compute
        return ",".join(repr(rate) for rate in observed.values())

    def _finish(self, request: _Request, answer: str) -> None:
        if request.compute is not None:
            self._measured = request.envelope[0], request.compute
        if not request.gone.is_set():
            self._send(request.envelope, answer)
        self._request = None
        waiting, self._next = self._next, None
        if waiting is not None and not waiting.gone.is_set():
            self._begin(waiting)

    def _send(self, envelope: list[bytes], answer: str) -> None:
        import zmq

        with suppress(zmq.ZMQError):  # whoever does not take its answers gets none
            self._socket.send_multipart([*envelope, answer.encode()], zmq.NOBLOCK)


def _connection_of(part: zmq.Frame) -> int | None:
    """File descriptor of the connection that a message came from; None before ZMTP 3.0, which does not say."""
    import zmq

    with suppress(zmq.ZMQError):
        return int(part.get(zmq.SRCFD))
    return None


def _has_gone(served: _Request, other: _Request) -> bool:
    """Whether the client that is served has gone: that was noticed, or `other` has its connection's number now."""
    given_again = served.connection == other.connection and served.envelope[0] != other.envelope[0]
    return served.gone.is_set() or (served.connection is not None and given_again)


def _check_address(bind: str, *, secure: bool) -> None:
    found = _ADDRESS.fullmatch(bind)
    if found is None or int((found["port"] or "*").replace("*", "0")) > _LAST_PORT:  # ZeroMQ would wrap it round
        raise ProblemError(f"bind: got {shown(bind)}; it has to be 'tcp://HOST:PORT' or 'ipc://PATH'")
    if found["host"] and not secure and not _is_loopback(found["host"]):
        raise ProblemError(
            f"bind: {shown(bind)} lets other machines send plans; give keys (--curve-keys), listen at 127.0.0.1, "
            "or allow it (--insecure)"
        )


def _is_loopback(host: str) -> bool:
    if host in ("localhost", "lo"):
        return True
    with suppress(ValueError):
        return ip_address(host.strip("[]")).is_loopback
    return False
