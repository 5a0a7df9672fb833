"""Keys on real files and sockets: who is let in, and what the others are told."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from time import monotonic

import pytest
from support.old_streamer import AS_TARGETED, zmq
from support.plans import apps_for, network, result_of

from mainstream import DeployError, ProblemError
from mainstream.io import load_problem, save_problem
from mainstream.streamer import StreamerClient, net_plan
from mainstream.streamer.keys import client_security, server_security, write_keys

GIVEN = [(4, 5.0)]
PLAN = net_plan(result_of(network(), GIVEN), apps_for(GIVEN), network())
LONG_S = 30.0


@contextmanager
def serving(keys: Path | None) -> Iterator[str]:
    """A server that answers whoever gets through to it."""
    ended = threading.Event()
    with zmq.Context() as context, context.socket(zmq.REP) as socket:
        socket.linger = 0
        with nullcontext() if keys is None else server_security(socket, keys):
            port = socket.bind_to_random_port("tcp://127.0.0.1")

            def serve() -> None:
                while not ended.is_set():
                    if socket.poll(10):
                        socket.send_string(AS_TARGETED(json.loads(socket.recv())) or "")

            thread = threading.Thread(target=serve)
            thread.start()
            try:
                yield f"tcp://127.0.0.1:{port}"
            finally:
                ended.set()
                thread.join()


def folder_of(folder: Path, *files: Path) -> Path:
    folder.mkdir()
    for file in files:
        shutil.copy(file, folder)
    return folder


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    write_keys(tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    write_keys(tmp_path / "other")
    return tmp_path / "other"


def failed(address: str, keys: Path | None, retries: int = 0) -> str:
    """What a failing deploy says after the address, in good time."""
    began = monotonic()
    with (
        StreamerClient(address, LONG_S, retries, curve_keys=keys) as client,
        pytest.raises(DeployError) as caught,
    ):
        client.deploy(PLAN)
    assert monotonic() - began < 5
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{address}: ")


def test_secrets_are_for_their_owner_alone_and_each_pair_is_new(keys: Path, other: Path) -> None:
    names = ["client.key", "client.key_secret", "server.key", "server.key_secret"]
    assert sorted(path.name for path in keys.iterdir()) == names
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    for name in names:
        assert stat.S_IMODE((keys / name).stat().st_mode) & 0o077 == 0 or not name.endswith("secret")
        assert "secret-key" not in (keys / name).read_text() or name.endswith("secret")
    publics = {client_security(folder)[f"curve_{name}key"] for folder in (keys, other) for name in ("public", "server")}
    assert len(publics) == 4


def test_keys_are_never_overwritten(keys: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in keys.iterdir()}
    with pytest.raises(ProblemError, match="exists and is not empty; keys are not overwritten"):
        write_keys(keys)
    assert {path: path.read_bytes() for path in keys.iterdir()} == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ProblemError, match="exists and is not empty"):
        write_keys(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_an_empty_folder_and_a_relative_name_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir(0o755)
    for name in ("empty", "new"):
        write_keys(name)
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o700
    assert sorted(os.listdir(tmp_path)) == ["empty", "new"]


@pytest.mark.parametrize("name", ["no/such", "nul\0", "x" * 300])
def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(ProblemError, match="cannot be written: ") as caught:
        write_keys(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_a_client_needs_its_secret_and_the_servers_public_key_only(keys: Path, tmp_path: Path) -> None:
    mine = folder_of(tmp_path / "mine", keys / "client.key_secret", keys / "server.key")
    with serving(keys) as address, StreamerClient(address, LONG_S, curve_keys=mine) as client:
        assert client.deploy(PLAN) == {1: 5}
        assert client.deploy(PLAN) == {1: 5}


def test_a_second_client_is_let_in_by_its_public_key(keys: Path, other: Path, tmp_path: Path) -> None:
    mine = folder_of(tmp_path / "mine", other / "client.key_secret", keys / "server.key")
    with serving(keys) as address:
        assert failed(address, mine) == (
            "the server does not know this client's key; put client.key into its folder of keys"
        )
    shutil.copy(other / "client.key", keys / "laptop.key")
    with serving(keys) as address:
        for folder in (mine, keys):
            with StreamerClient(address, LONG_S, curve_keys=folder) as client:
                assert client.deploy(PLAN) == {1: 5}


def test_the_servers_own_key_is_no_clients(keys: Path, tmp_path: Path) -> None:
    mine = folder_of(tmp_path / "mine", keys / "server.key")
    shutil.copy(keys / "server.key_secret", mine / "client.key_secret")
    with serving(keys) as address:
        assert failed(address, mine).startswith("the server does not know this client's key")


@pytest.mark.parametrize("retries", [0, 2])
def test_a_client_without_a_key_or_for_another_server_gets_no_answer(keys: Path, other: Path, retries: int) -> None:
    with serving(keys) as address:
        assert failed(address, None, retries) == (
            "cannot agree with the server: it takes clients with keys only, or is not a Streamer"
        )
        assert failed(address, other, retries) == (
            "cannot agree with the server: it takes no keys, has another server.key, or is not a Streamer"
        )
        with StreamerClient(address, LONG_S, curve_keys=keys) as client:
            assert client.deploy(PLAN) == {1: 5}


def test_a_client_with_keys_sends_nothing_to_a_server_without(keys: Path) -> None:
    with serving(None) as address:
        assert failed(address, keys).startswith("cannot agree with the server: it takes no keys, ")
        with StreamerClient(address, LONG_S) as client:
            assert client.deploy(PLAN) == {1: 5}


def opened_by_server(keys: Path) -> None:
    with zmq.Context() as context, context.socket(zmq.REP) as socket, server_security(socket, keys):
        pass


@pytest.mark.parametrize("opened", [opened_by_server, client_security])
@pytest.mark.parametrize("damage", ["missing", "no key", "short", "no Z85", "binary", "readable", "folder"])
def test_keys_that_cannot_be_used_are_one_line_that_names_the_file(keys: Path, opened: object, damage: str) -> None:
    file = keys / ("server.key_secret" if opened is opened_by_server else "client.key_secret")
    text = file.read_text()
    if damage == "missing":
        file.unlink()
    elif damage == "readable":
        file.chmod(0o640)
    elif damage == "folder":
        file.unlink()
        file.mkdir()
    else:
        key = text.rsplit('"', 2)[1]
        wrong = {"no key": "", "short": key[:-5], "no Z85": "~" * 40, "binary": "#" * 40}
        file.write_text(text.replace(key, wrong[damage]))
    says = {
        "missing": "is missing; ",
        "readable": "others may read this secret; run: ",
        "folder": "directory",
    }
    with pytest.raises(ProblemError) as caught:
        opened(keys)  # type: ignore[operator]
    assert str(caught.value).startswith(f"{file}: ")
    assert says.get(damage, "holds no") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_public_file_in_place_of_the_secret_one_is_refused(keys: Path) -> None:
    shutil.copy(keys / "client.key", keys / "client.key_secret")
    with pytest.raises(ProblemError, match="holds no secret key"):
        client_security(keys)


def test_a_folder_where_others_may_put_keys_is_refused_by_the_server(keys: Path) -> None:
    keys.chmod(0o770)
    with pytest.raises(ProblemError, match=r"others may put keys there; run: chmod go-w "):
        opened_by_server(keys)
    client_security(keys)


def test_a_damaged_key_of_a_client_is_said_when_the_server_starts(keys: Path) -> None:
    (keys / "laptop.key").write_text("no key")
    with pytest.raises(ProblemError, match=r"laptop\.key: holds no key, or a damaged one"):
        opened_by_server(keys)


@pytest.mark.parametrize("opened", [opened_by_server, client_security])
def test_a_missing_folder_names_the_command_that_makes_it(tmp_path: Path, opened: object) -> None:
    with pytest.raises(ProblemError, match=r"no: there is no such folder; make keys with: mainstream streamer-keys "):
        opened(tmp_path / "no")  # type: ignore[operator]


def test_a_zeromq_without_curve_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zmq, "has", lambda capability: False)
    for act in (write_keys, client_security, opened_by_server):
        with pytest.raises(ProblemError, match="built without CURVE"):
            act(tmp_path / "keys")
    assert os.listdir(tmp_path) == []


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("mainstream")), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_makes_keys_that_work_and_says_where_they_go(tmp_path: Path) -> None:
    done = run("streamer-keys", tmp_path / "keys")
    assert done.returncode == 0 and done.stderr == ""
    for name in ("client.key_secret", "server.key"):
        assert str(tmp_path / "keys" / name) in done.stdout
    with (
        serving(tmp_path / "keys") as address,
        StreamerClient(address, LONG_S, curve_keys=tmp_path / "keys") as client,
    ):
        assert client.deploy(PLAN) == {1: 5}
    again = run("streamer-keys", tmp_path / "keys")
    assert again.returncode == 2
    assert again.stderr.startswith("mainstream: ") and again.stderr.count("\n") == 1


def test_deploy_takes_the_keys(keys: Path, tmp_path: Path) -> None:
    problem = load_problem(Path(__file__).parents[2] / "data" / "problems" / "tiny.yaml")
    apps = tuple(app.model_copy(update={"model_path": {f: "a.pb" for f in app.accuracies}}) for app in problem.apps)
    save_problem(problem.model_copy(update={"apps": apps}), tmp_path / "problem.yaml")
    with serving(keys) as address:
        deploy = "deploy", tmp_path / "problem.yaml", "--one-round", "--streamer", address
        done = run(*deploy, "--curve-keys", keys)
        assert done.returncode == 0, done.stderr
        refused = run(*deploy)
        assert refused.returncode == 2
        assert "it takes clients with keys only" in refused.stderr and "Traceback" not in refused.stderr
    wrong = run(*deploy, "--curve-keys", tmp_path / "no")
    assert wrong.returncode == 2 and "there is no such folder; make keys with" in wrong.stderr
    both = run("deploy", tmp_path / "problem.yaml", "--local", "--source", "test://", "-m", ".", "--curve-keys", keys)
    assert both.returncode == 2 and both.stderr.startswith("mainstream: command line: --curve-keys is for a Streamer")
