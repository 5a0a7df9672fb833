"""A process that pushes, and is killed at a step or after a time: ``python -m support.pushing URL FOLDER ...``.

Each push runs in a child of its own, forked when all is imported. With ``steps`` the child kills itself before its
k-th call to the store, for k = 1, 2, ..., until a push comes to its end. With ``times`` this process kills it after
each of the seconds given. Both use SIGKILL. A line on stdout says how each push ended: killed, or pushed.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from itertools import count
from typing import Any

from mainstream.store import open_store
from mainstream.store.folder import Folder
from mainstream.store.redis_records import RedisRecords


def child(call: Callable[[], object]) -> int:
    process = os.fork()
    if process == 0:
        code = 1
        try:
            call()
            code = 0
        finally:
            os._exit(code)
    return process


def ended(process: int) -> bool:
    """Whether the push came to its end; else it was killed."""
    _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.WEXITSTATUS(status) == 0
    return True


def push(url: str, folder: str, die_at: int = 0) -> None:
    calls = count(1)

    def stepping(method: Callable[..., Any]) -> Callable[..., Any]:
        def step(*given: Any) -> Any:
            if next(calls) == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return method(*given)

        return step

    Folder._call = stepping(Folder._call)  # type: ignore[method-assign]
    RedisRecords._ask = stepping(RedisRecords._ask)  # type: ignore[method-assign]
    open_store(url).push(folder)


def main(url: str, folder: str, how: str, *times: str) -> None:
    if how == "steps":
        done = False
        for step in count(1):
            done = ended(child(lambda step=step: push(url, folder, step)))  # type: ignore[misc]
            print("pushed" if done else "killed", flush=True)
            if done:
                return
    for seconds in times:
        process = child(lambda: push(url, folder))
        time.sleep(float(seconds))
        os.kill(process, signal.SIGKILL)
        print("pushed" if ended(process) else "killed", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
