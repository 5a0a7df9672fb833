"""The sending half of Streamer's wire: one request with a net plan, one answer with the rates that were observed.

ZeroMQ's REQ socket waits for ever where nobody answers, queues for a server that is not there, and takes no second
request after a lost answer. So each attempt has a socket of its own, sends only once it is connected, watches the
connection while it waits, and drops what is unsent when it ends.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self

from mainstream._optional import require
from mainstream.description import shown
from mainstream.errors import DeployError, ProblemError
from mainstream.ranges import NON_NEGATIVE, SECONDS, WHOLE
from mainstream.streamer.keys import client_security
from mainstream.streamer.plan import NetPlan

if TYPE_CHECKING:
    import zmq

DEFAULT_ADDRESS: Final = "tcp://localhost:5555"
_ADDRESS: Final = re.compile(r"tcp://(?:[^\s:/\[\]]+|\[[0-9A-Fa-f:]+\]):(?P<port>\d{1,5})|ipc://\S+")
_CONNECT_S: Final = 5.0
"""Seconds for a connection; a server that needs longer is not there."""
_TIMEOUT_S: Final = replace(SECONDS, high=1e6)
"""Up to beyond any window that a server may measure."""
_LOOK_S: Final = 0.25
"""A Ctrl-C that comes right before a wait begins does not end it: so no wait is longer than this."""
_LONGEST_ANSWER: Final = 300
"""Characters of a server's error message that are passed on."""
_REFUSED: Final = "error: "


class Observed(dict[int, float]):
    """`app_id` -> frames a second that the app analysed while the runtime measured.

    Attributes
    ----------
    plan : NetPlan
        What ran; with ``integer_fps`` not quite what was given.

    Raises
    ------
    DeployError
        The apps are not those of the plan, or a rate is no finite number of at least 0.
    """

    def __init__(self, rates: Mapping[int, float], plan: NetPlan) -> None:
        if not isinstance(rates, Mapping):
            raise DeployError(
                f"observed rates: got {shown(rates)}; it has to be a mapping of app_id to frames a second"
            )
        wanted = plan.target_fps
        strange = [*(app for app in wanted if app not in rates), *(app for app in rates if app not in wanted)]
        if strange:
            which = "is not in the plan" if strange[0] in rates else "has no observed rate"
            raise DeployError(f"app {strange[0]} {which}; there has to be one rate for each app of the plan")
        for app, rate in rates.items():
            if not NON_NEGATIVE.holds(rate):
                raise DeployError(f"app {app}: observed rate {shown(rate)}; it has to be {NON_NEGATIVE.words()}")
        super().__init__({app: float(rates[app]) for app in wanted})
        self.plan = plan


class Deployer(Protocol):
    """Whatever can run a net plan and tell the frame rates that come of it."""

    def deploy(self, plan: NetPlan) -> Mapping[int, float]:
        """Run `plan`; return the observed frames a second of each app, an :class:`Observed` if another plan ran."""
        ...


class StreamerClient:
    """Sends net plans to a Streamer; use it in a ``with`` block, or :meth:`close` it.

    Parameters
    ----------
    address : str
        ``tcp://HOST:PORT`` or ``ipc://PATH``.
    timeout_s : float
        Seconds that one attempt may take, the server's measuring window (30 s in Streamer) among them.
    retries : int
        How many times a plan may be sent again where no answer came. It may then run twice: a server that did not
        answer may have got it.
    integer_fps : bool
        Send max(1, floor(rate)), for a Streamer that reads `target_fps` as an integer.
    curve_keys : str or Path, optional
        Folder with ``client.key_secret`` and ``server.key``, for a server that answers known clients only.

    Raises
    ------
    MissingExtraError
        ZeroMQ is not installed.
    ProblemError
        An argument is not what it has to be, or the keys are not there.
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
        """Give ZeroMQ's thread back; a later :meth:`deploy` starts another."""
        if self._context is not None:
            self._context.term()
            self._context = None

    def deploy(self, plan: NetPlan) -> Observed:
        """Send a plan and wait for the observed rates.

        Parameters
        ----------
        plan : NetPlan

        Returns
        -------
        Observed
            `app_id` -> frames a second; its `plan` is what was sent.

        Raises
        ------
        DeployError
            Nothing listens, the server takes no such key, no answer came in time, the connection broke, or the answer
            is no list of rates.
        """
        if self.integer_fps:
            plan = plan.with_integer_fps()
        request = plan.to_json().encode()
        for _ in range(self.retries):
            try:
                return self._read(self._ask(request), plan)
            except _NoAnswerError:
                continue
        return self._read(self._ask(request), plan)

    def _ask(self, request: bytes) -> list[bytes]:
        """One attempt: the frames of the answer."""
        import zmq
        from zmq.utils.monitor import recv_monitor_message

        if self._context is None:
            self._context = zmq.Context()
        deadline = monotonic() + self.timeout_s
        connected_by = monotonic() + min(_CONNECT_S, self.timeout_s)
        sent = False
        events = (
            zmq.EVENT_CONNECTED
            | zmq.EVENT_DISCONNECTED
            | zmq.EVENT_HANDSHAKE_FAILED_AUTH
            | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
            | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
        )
        with self._context.socket(zmq.REQ) as socket, socket.get_monitor_socket(events) as monitor:
            socket.linger = 0
            socket.ipv6 = "[" in self.address
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
                    # The answer first: a server that answers and goes leaves both behind.
                    if socket in ready or (monitor in ready and socket.poll(0)):
                        return socket.recv_multipart()
                    if monitor not in ready:
                        if left <= 0:
                            raise self._silence(sent)
                        continue
                    event = recv_monitor_message(monitor)["event"]
                    if event != zmq.EVENT_CONNECTED:
                        raise self._broken(zmq.Event(event))
                    with suppress(zmq.Again):  # broken already: the next event says why
                        socket.send(request, zmq.NOBLOCK)
                        sent = True
            except zmq.ZMQError as error:
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
        return kind(f"{self.address}: no understanding with the server: it {other}, or is no Streamer")

    def _silence(self, sent: bool) -> _NoAnswerError:
        if sent:
            return _NoAnswerError(
                f"{self.address}: no answer within {self.timeout_s:g} s; the plan was sent and may run; "
                "look at the server, or give it longer"
            )
        return _NoAnswerError(
            f"{self.address}: no connection within {min(_CONNECT_S, self.timeout_s):g} s; "
            "start the server, or correct the address"
        )

    def _read(self, frames: list[bytes], plan: NetPlan) -> Observed:
        text = b"\n".join(frames).decode("utf-8", errors="backslashreplace").strip("\0 \t\r\n")
        if text.startswith(_REFUSED):
            reason = " ".join(text.removeprefix(_REFUSED).split())[:_LONGEST_ANSWER]
            raise DeployError(f"{self.address}: the server refused the plan: {reason}")
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
            return Observed(dict(zip(apps, rates, strict=True)), plan)
        except DeployError as error:
            raise DeployError(f"{self.address}: {error}") from None


class _NoAnswerError(DeployError):
    """An attempt that ended without an answer, so that another may help."""
