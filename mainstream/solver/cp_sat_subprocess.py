"""CP-SAT in a process of its own: beside the search, or because this process has loaded what it crashes beside.

TensorFlow and highspy bring parts of what OR-Tools brings too, under the same names; OR-Tools loaded after one of them
ends the process at the first solve. Loaded first, it works.

The process ends when this one does, for whatever reason: one of its threads waits until the line to it closes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from _thread import interrupt_main
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any, Final

import numpy as np

from mainstream.errors import InfeasibleError, MainstreamError, OutOfTimeError
from mainstream.interruptible import unbroken
from mainstream.solver.search import Limits, Outcome

_CLASHING: Final = {"tensorflow", "highspy"}
_LOOK_S: Final = 0.1
_GRACE_S: Final = 2.0
"""What the process may take longer than its limit, or after Ctrl-C."""
_STOP: Final = "stop"


def would_crash() -> bool:
    """Whether a CP-SAT solve in this process would end it."""
    return bool(_CLASHING & sys.modules.keys()) and "ortools" not in sys.modules


def start(*, silent: bool = False) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start the process; returns it and the line to it. Ctrl-C in a terminal does not reach it."""
    ours, theirs = Pipe()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "mainstream.solver.cp_sat_subprocess", str(theirs.fileno()), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if silent else None,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
    return process, ours


def limits_there(limits: Limits) -> Limits:
    """The same limits for another process, whose clock may have another zero: time counts from when they arrive."""
    return replace(
        limits, time_limit=limits.left_s, started=np.nan, compiled_s=np.nan, progress=None, memory_limit=limits.memory
    )


def cp_sat_apart(packed: Any, share: Any, budget: float, limits: Limits, **options: Any) -> Outcome:
    """As :func:`mainstream.solver.cp_sat.cp_sat`, elsewhere; reports no progress."""
    started: list[tuple[subprocess.Popen[bytes], Connection]] = []
    try:
        # Ctrl-C must not come between the start and the moment when it is known what to end.
        unbroken(lambda: started.append(start()))
        ((process, line),) = started
        with line:
            line.send(("whole", (packed, share, budget), limits_there(limits), options))
            outcome = _outcome(line, limits)
    except (EOFError, OSError):
        raise MainstreamError(f"method 'cp-sat': its process ended with code {process.wait()}") from None
    finally:
        for process, _ in started:
            process.kill()
            process.wait()
    if isinstance(outcome, InfeasibleError | OutOfTimeError | KeyboardInterrupt):
        raise outcome
    assert isinstance(outcome, Outcome)
    return outcome


def _outcome(line: Connection, limits: Limits) -> Any:
    """What the process answers; after Ctrl-C the best that it has found."""
    try:
        while not line.poll(_LOOK_S):
            if limits.left_s < -_GRACE_S:
                raise OutOfTimeError("method 'cp-sat': its process did not come to an end within its time")
    except KeyboardInterrupt:
        line.send(_STOP)
        if not line.poll(_GRACE_S):
            raise
    return line.recv()


def _answer(line: Connection, parent: int) -> None:
    from time import perf_counter

    from mainstream.solver.compilation import compiled_s
    from mainstream.solver.cp_sat import cp_sat
    from mainstream.solver.cp_sat_beside import search_beside

    kind, (packed, *rest), limits, options = line.recv()
    limits = replace(limits, started=perf_counter(), compiled_s=compiled_s())
    if kind == "beside":
        _bound_memory(limits.memory)
        news: list[Any] = []
        _listen(line, parent, news.append)
        search_beside(packed, rest[0], limits, news=news, send=line.send, **options)
        return
    outcome: Outcome | InfeasibleError | OutOfTimeError | KeyboardInterrupt
    try:
        _listen(line, parent, lambda said: interrupt_main())
        outcome = cp_sat(packed, rest[0], rest[1], limits, **options)
    except (InfeasibleError, OutOfTimeError, KeyboardInterrupt) as error:
        outcome = error
    line.send(outcome)


def _listen(line: Connection, parent: int, hear: Callable[[Any], None]) -> None:
    """Read what is sent, and end this process when the sender ends."""

    def listen() -> None:
        try:
            while os.getppid() == parent:
                # A process forked from the parent may hold the line open after its end.
                if line.poll(1.0):
                    hear(line.recv())
        except (EOFError, OSError):
            pass
        os._exit(0)

    Thread(target=listen, daemon=True).start()


def _bound_memory(limit: float) -> None:
    """Let this process have no more than so many bytes; it then ends."""
    if not np.isfinite(limit):
        return
    try:
        import resource

        most = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (int(limit), most))
    except (ImportError, ValueError, OSError):
        pass  # CP-SAT's own limit is left


if __name__ == "__main__":
    with Connection(int(sys.argv[1])) as _line:
        _answer(_line, int(sys.argv[2]))
