"""OR-Tools before TensorFlow: in this order both work in one process, see mainstream/solver/cp_sat_subprocess.py."""

import logging
import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import ortools.sat.python.cp_model  # noqa: F401
import pytest
from support.commands import Run, one_process
from support.redis_server import RedisServer

# A shell that starts the tests in the background has them ignore Ctrl-C, which many of them press.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """A command that runs in the tests' own process sends the log to its screen; the next test has it back."""
    log = logging.getLogger("mainstream")
    handlers, level, propagate = log.handlers[:], log.level, log.propagate
    yield
    log.handlers[:], log.propagate = handlers, propagate
    log.setLevel(level)


@pytest.fixture(scope="session")
def run_elsewhere() -> Iterator[Run]:
    with one_process() as run:
        yield run


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture(params=("folder", "file", "memory", "dir", "redis"))
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of a store that is empty."""
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        yield server.url(tmp_path / "models of a store")
        import redis

        redis.Redis(port=server.port).flushall()
    else:
        yield {
            "folder": str(tmp_path / "a store"),
            "file": f"file://{tmp_path}/a store",
            "memory": f"memory://{uuid4().hex}/store",
            "dir": f"dir::file://{tmp_path}/a store",
        }[request.param]
