"""``mainstream packages``, and ``--store`` of the commands that take packages."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fsspec", reason="needs the extra store")

from support.commands import run_here
from support.stores import contents, package, parts

from mainstream.formats.package import read_package
from mainstream.store import open_store
from mainstream.store.address import Reference

ROOT = Path(__file__).parents[2]


def run(*given: object, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return run_here(*given, cwd=home, HOME=str(home), **variables)


def done(*given: object, home: Path, **variables: str) -> list[str]:
    """The words of each line that it printed."""
    ended = run(*given, home=home, **variables)
    assert ended.returncode == 0, ended.stderr
    return [" ".join(line.split()) for line in ended.stdout.splitlines()]


def refused(*given: object, home: Path, **variables: str) -> str:
    ended = run(*given, home=home, **variables)
    assert ended.returncode == 2, ended.stdout
    assert ended.stderr.startswith("mainstream: ") and ended.stderr.count("\n") == 1
    return ended.stderr.removeprefix("mainstream: ").rstrip()


def test_the_commands_of_the_docs(tmp_path: Path) -> None:
    text = (ROOT / "docs/packages.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    mainstream (packages .*)$", text, flags=re.MULTILINE)
    assert [command.split()[1] for command in commands] == ["push", "list", "show", "pull", "rm"]
    dogs = package(tmp_path / "packages/dogs")
    push, listed, shown, pull, rm = (done(*command.split(), home=tmp_path) for command in commands)
    digest = open_store(str(tmp_path / "none")).push(dogs).version.digest
    assert push == [f"dogs@1 {digest}", f"3 model files, 0.1 MB; 0.1 MB sent to {tmp_path}/.mainstream/packages"]
    assert listed[0] == "name version pushed, UTC models layers network"
    assert re.fullmatch(r"dogs 1 \d{4}-\d\d-\d\d \d\d:\d\d:\d\d 0.1 MB 6 mobilenetv2", listed[1])
    assert shown == ["num_frozen 4", "accuracy 0.8500000000000001", "false_positive_rate 0.04"]
    assert pull == [f"dogs@1 {digest}", "package copy-of-dogs"]
    assert contents(tmp_path / "copy-of-dogs") == contents(dogs)
    assert rm == ["removed dogs@1 and 3 model files"]
    assert done("packages", "list", home=tmp_path) == [f"no packages in {tmp_path}/.mainstream/packages"]


@pytest.mark.parametrize("url", ["folder", "redis"], indirect=True)
def test_what_is_asked_of_a_store(url: str, tmp_path: Path) -> None:
    at: dict[str, Any] = {"home": tmp_path, "MAINSTREAM_STORE": url}
    assert done("packages", "list", **at)[0].startswith("no packages in ")
    assert json.loads("".join(done("packages", "list", "--json", "-", **at))) == []
    store = open_store(url)
    store.push(package(tmp_path / "dogs", events=None))
    version = store.push(package(tmp_path / "dogs2", fill=9)).version
    store.push(tmp_path / "dogs", "cats")
    cats, dogs = json.loads("\n".join(done("packages", "list", "--json", "-", **at)))
    assert (cats["name"], cats["version"], dogs["name"], dogs["versions"]) == ("cats", 1, "dogs", [1, 2])
    assert dogs["accuracies"] == {"0": 0.95, "2": 0.8, "4": 0.8500000000000001}
    assert dogs["package"]["events"]["event_frequency"]["value"] == 0.2
    assert dogs["kept"] == [0, 4]
    assert json.loads("\n".join(done("packages", "show", "dogs", "--json", "-", **at))) == {
        key: value for key, value in dogs.items() if key != "versions"
    }
    lines = done("packages", "show", "dogs@2", **at)
    assert lines[0].startswith("version 2, pushed 20") and lines[1:3] == ["versions 1, 2", f"digest {version.digest}"]
    assert "event frequency 0.2 (0.1 to 0.3)" in lines
    assert "4 0.8500 0.0400 yes (models/4.pb 0.0 MB, models/4.keras 0.0 MB)" in lines
    assert "events not calibrated; mainstream calibrate store://dogs@1 --labels FILE measures them" in done(
        "packages", "show", "store://dogs@1", **at
    )
    told = refused("packages", "show", "dogs", "--layer", 3, **at)
    assert told == "--layer 3: was not measured; there are: 0, 2, 4"
    one = json.loads("".join(done("packages", "show", "dogs", "--layer", 2, "--json", "-", **at)))
    assert one == {"num_frozen": 2, "accuracy": 0.8, "false_positive_rate": 0.001}


def test_a_folder_or_a_name(tmp_path: Path) -> None:
    package(tmp_path / "dogs")
    assert refused("packages", "show", "dogs", home=tmp_path) == (
        f"{tmp_path}/.mainstream/packages: no package 'dogs'; there is none yet; for the folder, write ./dogs"
    )
    folder = json.loads("".join(done("packages", "show", "./dogs", "--json", "-", home=tmp_path)))
    assert folder["files"] == {"models/0.pb": 20_000, "models/4.keras": 20_000, "models/4.pb": 20_000}
    assert "leave it out" in refused("packages", "show", "./dogs", "--store", "x", home=tmp_path)


def test_what_a_stranger_wrote_obeys_no_terminal(tmp_path: Path) -> None:
    package(tmp_path / "dogs", network="evil\x1b[2J", classes=["a\x9b2J", "dog"])
    done("packages", "push", "dogs", home=tmp_path)
    for given in (["list"], ["show", "dogs"], ["show", "./dogs"], ["show", "dogs", "--json", "-"]):
        printed = run("packages", *given, home=tmp_path).stdout
        assert "evil" in printed and printed.replace("\n", "").isprintable()


def test_rm_removes_a_package_whose_newest_version_is_damaged(tmp_path: Path) -> None:
    at: dict[str, Any] = {"home": tmp_path, "MAINSTREAM_STORE": str(tmp_path / "store")}
    done("packages", "push", package(tmp_path / "dogs"), **at)
    parts(str(tmp_path / "store"))[0].add("dogs", b"{}")
    assert done("packages", "rm", "dogs", "--all-versions", **at) == ["removed dogs@1, dogs@2 and 3 model files"]
    assert "no package 'dogs'" in refused("packages", "rm", "dogs", "--all-versions", **at)


def test_rm_removes_what_it_is_told(tmp_path: Path) -> None:
    package(tmp_path / "dogs")
    for _ in range(3):
        done("packages", "push", "dogs", home=tmp_path)
    assert refused("packages", "rm", "dogs", home=tmp_path) == (
        "command line: dogs: name a version, dogs@1, or give --all-versions"
    )
    assert done("packages", "rm", "dogs@2", home=tmp_path) == ["removed dogs@2 and 0 model files"]
    assert refused("packages", "rm", "dogs@2", home=tmp_path).endswith("no version 2 of dogs")
    done("packages", "push", "dogs", "--name", "cats", home=tmp_path)
    assert done("packages", "rm", "dogs", "cats@1", "--all-versions", home=tmp_path) == [
        "removed dogs@1, dogs@3 and 0 model files",
        "removed cats@1 and 3 model files",
    ]
    done("packages", "push", "dogs", home=tmp_path)
    done("packages", "push", "dogs", "--name", "cats", home=tmp_path)
    record = tmp_path / ".mainstream/packages/packages/dogs/4.json"
    record.write_bytes(record.read_bytes()[:100])
    assert "its record is damaged" in run("packages", "list", home=tmp_path).stdout
    told = refused("packages", "rm", "cats@2", home=tmp_path)
    assert told.startswith(
        "the versions are removed, their model files are kept for now: dogs@4: its record is damaged"
    )


def test_what_was_done_as_json(tmp_path: Path) -> None:
    def told(*given: str) -> Any:
        return json.loads(run("packages", *given, "--json", "-", home=tmp_path).stdout)

    package(tmp_path / "dogs")
    store = f"{tmp_path}/.mainstream/packages"
    version = told("push", "dogs")
    assert version == {
        "name": "dogs",
        "version": 1,
        "digest": open_store(store).read(Reference("dogs")).digest,
        "folder": "dogs",
        "store": store,
        "sent_bytes": 60_000,
    }
    del version["sent_bytes"]
    assert told("pull", "dogs@1", "copy") == version | {"folder": "copy"}
    assert told("push", "dogs")["version"] == 2
    assert told("rm", "dogs@1") == [{"name": "dogs", "versions": [1], "model_files": 0}]
    saved = run("packages", "rm", "dogs@2", "--json", "done.json", home=tmp_path)
    assert saved.stdout == "removed dogs@2 and 3 model files\n"
    assert json.loads((tmp_path / "done.json").read_text()) == [{"name": "dogs", "versions": [2], "model_files": 3}]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["push", "none"], "none: not an M-Package: there is no package.yaml in it"),
        (["push", "dogs", "--name", "../x"], "package name '../x': it has to be letters"),
        (["push", "dogs", "--store", "redis://box"], "Redis does not hold model files"),
        (["pull", "dogs@x"], "the version has to be a whole number"),
        (["pull", "a/b"], "package name 'a/b': it has to be letters"),
        (["pull", "cats"], "no package 'cats'; there is none yet"),
        (["show", "./none"], "none: not an M-Package"),
        (["rm", "../x@1"], "package name '../x': it has to be letters"),
        (["push", "dogs", "--json", "/none/x.json"], "/none/x.json: cannot be written: there is no folder /none"),
        (["list", "--json", "/none/x.json"], "/none/x.json: cannot be written: there is no folder /none"),
    ],
)
def test_wrong_input(tmp_path: Path, given: list[str], message: str) -> None:
    package(tmp_path / "dogs")
    assert message in refused("packages", *given, home=tmp_path)


def problem_of(folder: Path, *names: str) -> Path:
    model = {"total_layers": 6, "layer_latencies": [1] * 6, "frozen_layer_names": {0: "in", 2: "a", 4: "b", 6: "out"}}
    model |= {"height": 96, "width": 128}
    path = folder / "problem.json"
    apps = [{"package": name} for name in names]
    path.write_text(json.dumps({"budget": 30, "video": {"stream_fps": 10}, "model": model, "apps": apps}))
    return path


@pytest.mark.slow
def test_commands_that_take_a_problem_find_its_packages(tmp_path: Path) -> None:
    store = tmp_path / "elsewhere"
    open_store(str(store)).push(package(tmp_path / "dogs"))
    open_store(str(store)).push(package(tmp_path / "cats", name="cats", fill=9))
    problem = problem_of(tmp_path, "store://dogs@1", "store://cats")
    named: dict[str, Any] = {"home": tmp_path, "MAINSTREAM_STORE": str(store)}
    assert "dogs" in "".join(done("solve", problem, **named))
    pulled = tmp_path / ".mainstream/pulled"
    assert sorted(path.name.split("-")[0] for path in pulled.iterdir()) == ["cats", "dogs"]
    plan = done("plan", problem, **named)
    models = set(re.findall(r'"model_path": "([^"]*)"', "".join(plan)))
    assert models and all(Path(model).is_relative_to(pulled) and Path(model).is_file() for model in models)
    assert refused("plan", problem, home=tmp_path).startswith(f"{problem}: apps[0]: package: ")
    # Every one of these commands has --store.
    quick = {"frontier": ["--points", 2], "simulate": ["--frames", 1000], "methods": [], "deploy": ["--dry-run"]}
    for name, more in {"plan": [], "solve": [], **quick}.items():
        done(name, problem, *more, "--store", store, home=tmp_path)
    ended = run("experiment", 2, "out", "--apps", problem, "--quiet", "--store", store, home=tmp_path)
    assert ended.returncode == 0, ended.stderr


def test_calibrate_makes_a_next_version(tmp_path: Path) -> None:
    store = tmp_path / "store"
    open_store(str(store)).push(package(tmp_path / "dogs", events=None))
    labels = tmp_path / "labels.csv"
    frames = [f"{n},{'dog' if n // 10 % 3 == 1 else 'other'}" for n in range(200)]
    labels.write_text("\n".join(["frame,label", *frames]) + "\n")
    how = ("--labels", labels, "--fps", 10, "--store", store)
    lines = done("calibrate", "store://dogs", *how, home=tmp_path)
    assert lines[-1] == "pushed dogs@2"
    one, two = (open_store(str(store)).read(Reference("dogs", number)) for number in (1, 2))
    assert one.package.events is None
    assert two.package.events is not None and two.package.events.events == 7
    assert two.files == one.files
    assert done("calibrate", "./dogs", *how, home=tmp_path)[-1] == "pushed dogs@3"
    assert read_package(tmp_path / "dogs")[0] == two.package
    assert open_store(str(store)).read(Reference("dogs", 3)).digest == two.digest
    before = contents(tmp_path / "dogs")
    told = refused("calibrate", "./dogs", "--labels", labels, "--fps", 10, "--store", "/dev/null", home=tmp_path)
    assert told == "/dev/null: owner cannot be read: not a directory"
    assert contents(tmp_path / "dogs") == before
