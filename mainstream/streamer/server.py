"""Streamer's wire, answered: one request with a net plan, one answer with the rates that were observed.

Whatever comes is answered, with ``error: `` and one line where it is no plan that can run; the plan before goes on.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from mainstream._optional import require
from mainstream.description import shown
from mainstream.errors import DeployError, ProblemError
from mainstream.streamer.keys import server_security
from mainstream.streamer.plan import NetPlan
from mainstream.streamer.runner import LocalRunner

DEFAULT_BIND: Final = "tcp://127.0.0.1:5555"
_LARGEST: Final = 16 * 2**20
"""Bytes of a request; a plan of 10,000 apps has 4 million."""
_DROPPED: Final = 4 * _LARGEST
"""Whoever sends more is cut off by ZeroMQ before it is read."""
_ADDRESS: Final = re.compile(r"tcp://\S+:(?P<port>\d{1,5}|\*)|ipc://\S+")
_LAST_PORT: Final = 65535
_LOOK_MS: Final = 100
_LINGER_MS: Final = 500
"""How long the last answer may take to leave."""


class Server:
    """A runtime's socket; use it in a ``with`` block.

    Parameters
    ----------
    runner : LocalRunner
        What runs the plans.
    bind : str
        ``tcp://HOST:PORT`` (port ``*``: any that is free) or ``ipc://PATH``.
    curve_keys : str or Path, optional
        Folder of :func:`mainstream.streamer.keys.write_keys`: only clients that are known there are answered.

    Attributes
    ----------
    address : str
        Where it listens.

    Raises
    ------
    MissingExtraError
        ZeroMQ is not installed.
    ProblemError
        The address is of another form or taken, or the keys are not there.
    """

    def __init__(self, runner: LocalRunner, bind: str = DEFAULT_BIND, *, curve_keys: str | Path | None = None) -> None:
        require("zmq", "run")
        import zmq

        parts = _ADDRESS.fullmatch(bind)
        if parts is None or int((parts["port"] or "*").replace("*", "0")) > _LAST_PORT:  # ZeroMQ would take another
            raise ProblemError(f"bind: got {shown(bind)}; it has to be 'tcp://HOST:PORT' or 'ipc://PATH'")
        self._runner = runner
        with ExitStack() as opened:
            context: zmq.Context[zmq.Socket[bytes]] = opened.enter_context(zmq.Context())
            self._socket = opened.enter_context(context.socket(zmq.REP))
            self._socket.linger = _LINGER_MS
            self._socket.ipv6 = "[" in bind
            self._socket.setsockopt(zmq.MAXMSGSIZE, _DROPPED)
            if curve_keys is not None:
                opened.enter_context(server_security(self._socket, Path(curve_keys)))
            try:
                self._socket.bind(bind)
            except zmq.ZMQError as error:
                raise ProblemError(f"bind: cannot listen at {bind}: {zmq.strerror(error.errno or 0)}") from None
            self.address = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
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
        while not self._runner.ended:
            if self._socket.poll(_LOOK_MS):
                self._socket.send(self.answer(self._socket.recv_multipart()).encode(errors="backslashreplace"))
        self._runner.wait()

    def answer(self, frames: list[bytes]) -> str:
        """The answer to one request, given in the frames of its message."""
        try:
            if len(frames) != 1:
                raise ProblemError(f"a message of {len(frames)} frames; it has to be one, with a JSON array")
            if len(frames[0]) > _LARGEST:
                raise ProblemError(f"a request of {len(frames[0])} bytes; at most {_LARGEST} are taken")
            try:
                text = frames[0].decode()
            except UnicodeDecodeError as error:
                raise ProblemError(f"net plan: no UTF-8 text: byte {error.start}") from None
            observed = self._runner.deploy(NetPlan.from_json(text))
        except (ProblemError, DeployError) as error:
            return f"error: {error}"
        return ",".join(repr(rate) for rate in observed.values())
