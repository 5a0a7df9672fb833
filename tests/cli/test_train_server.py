"""``mainstream train-server``, ``train --server`` and ``train-jobs``."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.commands import run_here
from support.ray_here import alive, free_port, listens, own_token, started_by
from support.terminal import COMMAND
from support.waiting import becomes, comes_true

from mainstream.executors.jobs import Jobs


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, int]]:
    """URL and process of one that has one CPU."""
    with own_token():
        url = f"http://127.0.0.1:{(port := free_port())}"
        process = subprocess.Popen(
            [COMMAND, "train-server", "--port", str(port), "--cpus", "1", "--gpus", "0"],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == f"training server on {url}\n"
            yield url, process.pid
            family = started_by(process.pid)
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=90) == 130
            comes_true(lambda: not any(map(alive, family)))
        finally:
            process.kill()
            process.wait()


def run(*arguments: object, code: int = 0) -> tuple[str, str]:
    """What a command prints."""
    done = run_here(*arguments)
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def test_jobs_are_queued_listed_followed_and_cancelled(
    server: tuple[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, _ = server
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.ini").write_text("[finetune-config]\nnet = resnet50\n", encoding="utf-8")

    def queued(name: str, printed: str) -> str:
        found = re.match(rf"queued     ({name}-[0-9a-f]{{8}})\n", printed)
        assert found
        return found[1]

    jobs = Jobs(url)
    asleep = jobs.submit("asleep", ["bash", "-c", "echo asleep; sleep 1000"], 1, 0)
    becomes(lambda: jobs.get(asleep).state, "running")
    published = ["config.ini", "models", "logs", "resnet", "nowhere", "tests"]
    client = subprocess.run(
        [COMMAND, "train", "--server", url, "first", *published],
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if key != "RAY_AUTH_MODE"},
        timeout=120,
        check=False,
    )
    assert (client.returncode, client.stderr) == (0, "")
    first = queued("first", client.stdout)
    options = ["--images=some images", "--model-dir=models", "--log-dir=logs", "--seed=3", "--cold", "--cpus=1"]
    second = queued("second", run("train", "second", *options, "--server", url)[0])
    listed = [line.split(maxsplit=2) for line in run("train-jobs", "list", "--server", url)[0].splitlines()]
    assert [line[:2] for line in listed] == [[asleep, "running"], [first, "pending"], [second, "pending"]]
    assert [line[2] for line in listed[1:]] == [
        f"mainstream train first --images {tmp_path}/nowhere --model-dir {tmp_path}/models --log-dir {tmp_path}/logs "
        f"--test-images {tmp_path}/tests --config {tmp_path}/config.ini --chokepoints resnet",
        f"mainstream train second --images '{tmp_path}/some images' --model-dir {tmp_path}/models "
        f"--log-dir {tmp_path}/logs --cold --seed 3",
    ]
    assert run("train-jobs", "cancel", second, "--server", url)[0] == f"{second}  ends when its turn comes\n"
    assert run("train-jobs", "cancel", asleep, "--server", url)[0] == f"{asleep}  is ended\n"
    # The client has long gone. A job that fails says why, and what it says is one line of Mainstream's.
    printed, errors = run("train-jobs", "follow", first, "--server", url, code=4)
    assert f"mainstream: {tmp_path}/nowhere: no folder of images" in printed
    assert errors.startswith(f"{first}  failed  ")
    for cancelled in (asleep, second):
        becomes(lambda cancelled=cancelled: jobs.get(cancelled).state, "stopped")
    assert run("train-jobs", "cancel", second, "--server", url)[0] == f"{second}  had ended already\n"
    brief = jobs.submit("brief", ["echo", "done"], 1, 0)
    printed, errors = run("train-jobs", "follow", brief, "--server", url)
    assert printed.endswith("done\n") and errors.startswith(f"{brief}  succeeded  ") and errors.count("\n") == 1


def test_what_is_refused(server: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    url, _ = server
    options = ["--images", "images", "--model-dir", "models", "--log-dir", "logs"]
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        for server_, more, told in (
            (url, ["--cpus", 64], f"{url}: no machine there has 64 CPUs; the most is 1"),
            (url, ["--gpus", 1], f"{url}: no machine there has 1 GPUs; the most is 0"),
            (
                url,
                ["--executor", "ray"],
                "train: --executor ray is for a training from here; a server's job runs on one",
            ),
            (f"http://127.0.0.1:{closed.getsockname()[1]}", [], r"http://\S+: no training server answers there: "),
            ("tcp://127.0.0.1:1", [], "server 'tcp://127.0.0.1:1': give http://HOST:PORT"),
        ):
            printed, errors = run("train", "dogs", *options, "--server", server_, *more, code=2)
            assert printed == "" and errors.count("\n") == 1
            assert re.match(f"mainstream: {told}", errors), errors
    _, errors = run("train-jobs", "follow", "none", "--server", url, code=2)
    assert errors == f"mainstream: {url}: there is no job 'none'; see `mainstream train-jobs list`\n"
    _, errors = run("train-server", "--port", url.rpartition(":")[2], code=2)
    assert re.match(r"mainstream: --host, --port: cannot listen on \S+: address already in use", errors), errors
    from ray._raylet import AuthenticationTokenLoader

    with monkeypatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN", "0" * 64)
        AuthenticationTokenLoader.instance().reset_cache()
        _, errors = run("train-jobs", "list", "--server", url, code=2)
    AuthenticationTokenLoader.instance().reset_cache()
    assert errors.startswith(f"mainstream: {url}: it needs another token") and errors.count("\n") == 1


def test_a_token_that_others_can_read_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    (tmp_path / "token").write_text("0" * 64, encoding="utf-8")
    (tmp_path / "token").chmod(0o644)
    _, errors = run("train-server", "--port", free_port(), code=2)
    assert (
        errors == f"mainstream: {tmp_path / 'token'}: others can read the token; run `chmod 600 {tmp_path / 'token'}`\n"
    )


def test_nothing_of_it_listens_but_on_loopback(server: tuple[str, int]) -> None:
    assert listens(server[1]) == {"loopback"}
