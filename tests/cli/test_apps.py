"""`mainstream run --page` as users run it, and `mainstream apps`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.boxes import SOURCE, app, write_problem
from support.commands import Run, run_here
from support.sites import write_package
from support.terminal import COMMAND
from support.third_party_solver import install
from support.waiting import found

pytest.importorskip("av", reason="needs the extra run")
pytest.importorskip("uvicorn", reason="needs the extra page")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    install(tmp_path, "theirs", {"mainstream.part_loaders": {"matrices": "support.third_party:MATRICES"}})
    paths = [str(tmp_path), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


@pytest.fixture
def certificate(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    about = ["-subj", "/CN=box", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*command, "-keyout", key, "-out", cert, *about], check=True, capture_output=True)
    yield cert, key


def test_apps_are_listed_added_paused_and_removed_over_tls(
    tmp_path: Path, environment: dict[str, str], certificate: tuple[Path, Path]
) -> None:
    write_problem(tmp_path, app(1), app("bus stop"), budget=1000.0)
    write_package(tmp_path, "cats")
    said = tmp_path / "said"
    cert, key = certificate
    options = ["--page", "0.0.0.0:0", "--tls-cert", str(cert), "--tls-key", str(key), "--state", "state"]
    with said.open("w") as errors:
        process = subprocess.Popen(
            [COMMAND, "run", "problem.yaml", "--source", SOURCE, "-m", ".", "--engine", "matrices", *options],
            cwd=tmp_path,
            env=environment,
            stderr=errors,
        )

    def ask(*words: str, token: str = "state/token") -> tuple[int, str]:
        done = run_here("apps", *words, "--at", url, "--ca", cert, "--token", token, cwd=tmp_path)
        return done.returncode, done.stdout + done.stderr

    try:
        line = found(lambda: next((one for one in said.read_text().splitlines() if one.startswith("page at ")), None))
        port = line.split(":")[2].partition("/")[0]
        url = f"https://127.0.0.1:{port}"
        assert line == f"page at https://0.0.0.0:{port}/; its token is in state/token"
        (tmp_path / "wrong").write_text("x" * 43)
        for words in (["list"], ["pause", "1"]):  # beyond this machine nothing is seen without the token
            assert ask(*words, token="wrong") == (2, "mainstream: the token is wrong\n")
        assert found(lambda: "bus stop" in ask("list")[1])
        code, answer = ask("add", "cats", "--weight", "2")
        assert (code, answer[:27]) == (0, "3 apps, predicted recall 0.")
        assert ask("pause", "bus stop")[1].startswith("2 apps, ")
        lines = ask("list")[1].splitlines()
        assert [one.split()[-1] for one in lines] == ["state", "runs", "paused", "runs"]
        assert ask("resume", "bus stop")[0] == ask("remove", "1")[0] == 0
        assert ask("remove", "1") == (2, "mainstream: app 1 is removed already\n")
        assert ask("list")[1].splitlines()[-1] == "1         removed"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        code, answer = ask("list")
        assert code == 2 and answer.endswith("is `mainstream run --page` there?\n") and answer.count("\n") == 1
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in said.read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--page", "8080"], "command line: --page needs --state"),
        (["--page", "here", "--state", "s"], "page: got 'here'; it has to be PORT or HOST:PORT"),
        (["--page", "1.2.3.4:80", "--state", "s"], "page: other machines can reach 1.2.3.4, which needs TLS"),
        (["--page", "80", "--state", "s", "--tls-cert", "c"], "page: --tls-cert and --tls-key go together"),
        (["--page", "80", "--state", "s", "--tls-cert", "c", "--tls-key", "k"], "page: c and k are not a certificate"),
        (["--tls-cert", "c"], "command line: --tls-cert and --tls-key are for --page"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    tmp_path: Path, options: list[str], message: str, run_elsewhere: Run
) -> None:
    done = run_elsewhere("run", "problem.yaml", "--source", SOURCE, "-m", ".", *options, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith(f"mainstream: {message}"), done.stderr
    assert done.stderr.count("\n") == 1
