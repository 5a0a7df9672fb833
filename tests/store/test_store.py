"""The store on every kind of place: pulled is what was pushed, equal files are kept once, rm takes no more."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

pytest.importorskip("fsspec", reason="needs the extra store")

from support.packages import CURVE, EVENTS
from support.redis_server import RedisServer
from support.stores import contents, package, parts, refused

from mainstream.formats.package import Events, Package, read_package
from mainstream.io import load_package, load_problem, save_problem
from mainstream.store import Store, open_store
from mainstream.store.address import Reference
from mainstream.store.model_files import ModelFiles
from mainstream.store.records import Records


def stored(url: str) -> list[str]:
    return ModelFiles(parts(url)[1]).keys()


def pulled(store: Store, name: str, folder: Path) -> dict[str, bytes]:
    store.pull(Reference.of(name), folder)
    return contents(folder)


def test_what_is_pulled_is_what_was_pushed(url: str, tmp_path: Path) -> None:
    dogs = package(tmp_path / "dogs")
    store = open_store(url)
    assert store.entries() == []
    pushed = store.push(dogs)
    assert (str(pushed.version), pushed.sent) == ("dogs@1", 60_000)
    assert pushed.version.package == read_package(dogs)[0]
    assert pushed.version.curve == CURVE
    other = open_store(url)
    assert other.read(Reference("dogs")) == pushed.version
    assert pulled(other, "dogs", tmp_path / "pulled") == contents(dogs)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_versions_are_counted_and_stay_what_they_are(url: str, tmp_path: Path) -> None:
    store = open_store(url)
    before = contents(package(tmp_path / "dogs"))
    store.push(tmp_path / "dogs")
    after = contents(package(tmp_path / "dogs2", fill=7, events=None))
    assert str(store.push(tmp_path / "dogs2").version) == "dogs@2"
    assert pulled(store, "dogs@1", tmp_path / "one") == before
    assert pulled(store, "store://dogs@2", tmp_path / "two") == after
    assert pulled(store, "store://dogs", tmp_path / "newest") == after
    (entry,) = store.entries()
    assert (entry.name, entry.numbers, entry.newest) == ("dogs", (1, 2), store.read(Reference("dogs", 2)))


def test_equal_model_files_are_kept_once(url: str, tmp_path: Path) -> None:
    store = open_store(url)
    first = store.push(package(tmp_path / "dogs"))
    (tmp_path / "dogs" / "models" / "0.pb").write_bytes(b"other")
    second = store.push(tmp_path / "dogs")
    again = store.push(tmp_path / "dogs", "cats")
    assert (first.sent, second.sent, again.sent) == (60_000, 5, 0)
    assert len(stored(url)) == 4
    assert second.version.digest == again.version.digest != first.version.digest
    same = package(tmp_path / "same")
    for file in ("0.pb", "4.pb", "4.keras"):
        (same / "models" / file).write_bytes(b"all the same")
    assert store.push(same, "same").sent == len(b"all the same")
    assert pulled(store, "same", tmp_path / "pulled") == contents(same)


def test_rm_removes_what_no_version_names_any_more(url: str, tmp_path: Path) -> None:
    store = open_store(url)
    store.push(package(tmp_path / "dogs"))
    (tmp_path / "dogs" / "models" / "0.pb").write_bytes(b"other")
    store.push(tmp_path / "dogs")
    store.push(tmp_path / "dogs", "cats")
    cleaned = store.remove("dogs", [1])
    assert (cleaned.removed, cleaned.refused) == (1, None)
    assert store.remove("dogs", [2]).removed == 0
    assert pulled(store, "cats", tmp_path / "pulled") == contents(tmp_path / "dogs")
    assert store.remove("cats", [1]).removed == 3
    assert stored(url) == [] and store.entries() == []
    assert str(store.push(tmp_path / "dogs").version) == "dogs@3"


def test_what_is_not_there_is_one_line(url: str, tmp_path: Path) -> None:
    store = open_store(url)
    assert refused(store.read, Reference("dogs")) == f"{store}: no package 'dogs'; there is none yet"
    store.push(package(tmp_path / "dogs"))
    assert refused(store.read, Reference("dosg")) == f"{store}: no package 'dosg'; did you mean 'dogs'?"
    assert refused(store.read, Reference("dogs", 3)) == f"{store}: no version 3 of dogs; there are: 1"
    assert refused(store.remove, "dogs", [3]) == f"{store}: no version 3 of dogs"
    assert refused(store.pull, Reference("dogs"), tmp_path / "dogs") == (
        f"{tmp_path / 'dogs'}: exists already; give a new folder"
    )
    assert "cannot be written: no such file or directory" in refused(
        store.pull, Reference("dogs"), tmp_path / "a" / "b"
    )
    (tmp_path / "empty").mkdir()
    assert pulled(store, "dogs", tmp_path / "empty") == contents(tmp_path / "dogs")


def test_what_cannot_be_pushed(url: str, tmp_path: Path) -> None:
    store = open_store(url)
    folder = package(tmp_path / "dogs", name="dogs in straße #7")
    assert "package name 'dogs in straße #7': it has to be letters" in refused(store.push, folder)
    (folder / "models" / "0.pb").unlink()
    assert refused(store.push, folder, "dogs").startswith(f"{folder}: 'models/0.pb': is missing or not a file")
    (folder / "models" / "0.pb").mkdir()
    assert refused(store.push, folder, "dogs").startswith(f"{folder}: 'models/0.pb': is missing or not a file")
    (folder / "models" / "0.pb").rmdir()
    (tmp_path / "secret").write_text("secret")
    (folder / "models" / "0.pb").symlink_to(tmp_path / "secret")
    assert (
        refused(store.push, folder, "dogs")
        == f"{folder}: 'models/0.pb': is a link that leads out of the package; put the file itself there"
    )
    assert "not an M-Package" in refused(store.push, tmp_path / "none")
    assert store.entries() == [] and stored(url) == []
    odd = package(tmp_path / "odd", training={"rate": float("inf")})
    assert refused(store.push, odd).endswith("has a number that is not finite or text that UTF-8 cannot hold")
    assert store.entries() == [] and parts(url)[0].notes("pushing") == {}


def test_a_model_that_changes_while_it_is_pushed(
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = open_store(url)
    dogs = package(tmp_path / "dogs")
    noted = type(parts(url)[0]).note

    def note(self: Records, *given: Any) -> None:
        (dogs / "models" / "4.pb").write_bytes(b"trained on")
        noted(self, *given)

    monkeypatch.setattr(type(parts(url)[0]), "note", note)
    assert refused(store.push, dogs).endswith("4.pb: was changed while it was pushed; push again")
    assert store.entries() == []


def test_a_disk_without_space_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(str(tmp_path / "store"))
    store.push(package(tmp_path / "dogs"))
    full = os.statvfs_result((4096, 4096, 100, 0, 0, 1, 1, 1, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    said = refused(store.pull, Reference("dogs"), tmp_path / "pulled")
    assert f"dogs@1: has 60,000 bytes of models; {tmp_path} has only 0 bytes free" in said


def test_redis_stores_do_not_share_a_folder(redis_server: RedisServer, tmp_path: Path) -> None:
    files = tmp_path / "files"
    first = open_store(redis_server.url(files, db=3))
    first.push(package(tmp_path / "dogs"))
    for url in (redis_server.url(files, db=4), str(files)):
        other = open_store(url)
        for call in (lambda other=other: other.push(tmp_path / "dogs"), lambda other=other: other.remove("dogs", [1])):
            assert "these model files belong to another store" in refused(call)
    assert pulled(first, "dogs", tmp_path / "pulled") == contents(tmp_path / "dogs")


def test_a_calibrated_package_is_the_next_version(url: str, tmp_path: Path) -> None:
    store = open_store(url)
    first = store.push(package(tmp_path / "dogs", events=None)).version
    described: Package = first.package.model_copy(update={"events": Events.of(EVENTS)})
    second = store.push_events(first, described)
    assert (str(second.version), second.sent) == ("dogs@2", 0)
    assert store.read(Reference("dogs", 1)).package.events is None
    package(tmp_path / "calibrated")
    assert pulled(store, "dogs@2", tmp_path / "pulled") == contents(tmp_path / "calibrated")


def test_a_problem_names_packages_in_a_store(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    store = open_store(url)
    store.push(package(tmp_path / "dogs"))
    store.push(package(tmp_path / "dogs2", fill=9, events=None))
    model = {"total_layers": 6, "layer_latencies": [1] * 6, "frozen_layer_names": {0: "in", 2: "a", 4: "b", 6: "out"}}
    problem = tmp_path / "problem.yaml"
    apps = [{"package": "store://dogs@1"}, {"package": "store://dogs", "event_length_ms": 5}]
    problem.write_text(json.dumps({"budget": 9, "video": {"stream_fps": 10}, "model": model, "apps": apps}))
    one, two = load_problem(problem, fetch=store.fetch).apps
    home = tmp_path / "home/.mainstream/pulled"
    first, second = (store.fetch(name) for name in ("store://dogs@1", "store://dogs"))
    assert sorted(home.iterdir()) == sorted([first, second])
    assert one == load_package(first) and two == load_package(second, app_id=2, event_length_ms=5)
    assert contents(first) == contents(tmp_path / "dogs")
    assert two.model_path == {f: str(second / f"models/{f}.pb") for f in (0, 4)}
    loaded = load_problem(problem, fetch=store.fetch)
    save_problem(loaded, tmp_path / "copy.yaml")
    assert load_problem(tmp_path / "copy.yaml") == loaded
    said = refused(load_problem, problem)
    assert said.startswith(f"{problem}: apps[0]: package: 'store://dogs@1' is in a store; give load_problem() a fetch")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("store://dogs@3", "no version 3 of dogs; there are: 1"),
        ("store://dosg", "no package 'dosg'; did you mean 'dogs'?"),
        ("store://dogs@0", "the version has to be a whole number, 1 or more, as in store://NAME@3"),
        ("store://dogs@1@1", "the version has to be a whole number"),
        ("store://dogs@", "the version has to be a whole number"),
        ("store://dogs@" + "9" * 400, "the version has to be a whole number"),
        ("store://../dogs", "package name '../dogs': it has to be letters, digits"),
        ("store://.dogs", "package name '.dogs': it has to be letters, digits"),
        ("store://-rf", "package name '-rf': it has to be letters, digits"),
        ("store://" + "ß" * 51, "and have at most 100 bytes"),
        ("store://a\nb", "package name 'a\\nb': it has to be letters, digits"),
        ("store://dogs\n", "package name 'dogs\\n': it has to be letters, digits"),
        ("store://", "package name '': it has to be letters, digits"),
    ],
)
def test_wrong_names_in_a_problem(tmp_path: Path, name: str, message: str) -> None:
    store = open_store(str(tmp_path / "store"))
    store.push(package(tmp_path / "dogs"))
    problem = tmp_path / "problem.yaml"
    problem.write_text(json.dumps({"budget": 9, "video": {"stream_fps": 10}, "apps": [{"package": name}]}))
    said = refused(lambda: load_problem(problem, fetch=store.fetch))
    assert said.startswith(f"{problem}: apps[0]: package: ")
    assert message in said


def test_the_problem_in_the_docs_names_packages_in_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    text = (Path(__file__).parents[2] / "docs/packages.md").read_text(encoding="utf-8")
    (apps,) = re.findall(r"^    (apps:\n      - package: store:.*\n(?:      .*\n)+)", text, flags=re.MULTILINE)
    model = "{total_layers: 6, layer_latencies: [1, 1, 1, 1, 1, 1], frozen_layer_names: {0: in, 2: a, 4: b, 6: out}}"
    problem = tmp_path / "problem.yaml"
    problem.write_text(f"video: {{stream_fps: 10}}\nmodel: {model}\n{dedent('    ' + apps)}", encoding="utf-8")
    store = open_store(str(tmp_path / "store"))
    store.push(package(tmp_path / "dogs"))
    store.push(package(tmp_path / "dogs2", fill=9))
    one, two = load_problem(problem, fetch=store.fetch).apps
    assert one.name == two.name == "dogs"
    assert one.model_path != two.model_path


def test_a_package_in_a_store_that_is_not_calibrated_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    store = open_store(str(tmp_path / "store"))
    store.push(package(tmp_path / "dogs", events=None))
    problem = tmp_path / "problem.yaml"
    problem.write_text(json.dumps({"budget": 9, "video": {"stream_fps": 10}, "apps": [{"package": "store://dogs"}]}))
    said = refused(lambda: load_problem(problem, fetch=store.fetch))
    assert "give event_length_ms, or measure it: mainstream calibrate store://dogs --labels FILE" in said
