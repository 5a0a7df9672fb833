"""What a store holds is not what it has to be: one line, nothing half-written, and it hides no others."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fsspec", reason="needs the extra store")

from support.stores import package, parts, refused

from mainstream.store import open_store
from mainstream.store.address import Reference
from mainstream.store.version import _digest


def damage_file(url: str, key: str, content: bytes) -> None:
    parts(url)[1].put(f"files/{key}", iter([content]))


@pytest.mark.parametrize("damaged", [b"\0" * 20_000, b"\1" * 19_999, b"\1" * 20_001, b""])
def test_a_model_that_does_not_match_its_digest(url: str, tmp_path: Path, damaged: bytes) -> None:
    store = open_store(url)
    version = store.push(package(tmp_path / "dogs")).version
    damage_file(url, version.files["models/0.pb"].sha256, damaged)
    said = refused(store.pull, Reference("dogs"), tmp_path / "pulled")
    assert f"{version}: models/0.pb: what" in said
    assert said.endswith("does not match its digest: it is damaged; remove it and push it again")
    parts(url)[1].remove(f"files/{version.files['models/0.pb'].sha256}")
    said = refused(store.pull, Reference("dogs"), tmp_path / "pulled")
    assert said.endswith("it is lost, or was just removed")
    assert sorted(path.name for path in tmp_path.iterdir() if "store" not in path.name) == ["dogs"]


def with_record(url: str, change: object) -> None:
    """Push what the newest record of dogs becomes."""
    records, _ = parts(url)
    text = records.read("dogs", 1)
    assert text is not None and callable(change)
    values = json.loads(text)
    changed = change(values)
    records.add("dogs", changed if isinstance(changed, bytes) else json.dumps(values).encode())


def redigested(values: dict[str, Any]) -> None:
    """Give a changed record the digest of what it holds, as whoever means harm would."""
    with suppress(ValueError):  # a number that JSON does not have
        values["digest"] = _digest(values["content"])


def models(to: str) -> object:
    def change(values: dict[str, Any]) -> None:
        content = values["content"]
        content["package"]["models"]["0"] = to
        content["files"][to] = content["files"].pop("models/0.pb")
        redigested(values)

    return change


def setting(*path: str, to: object) -> object:
    def change(values: dict[str, Any]) -> None:
        inner = values
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = to
        redigested(values)

    return change


DAMAGE = {
    "no text": (lambda values: b"\xff", "not UTF-8 text: byte 0"),
    "cut": (lambda values: json.dumps(values).encode()[:-20], "no JSON: "),
    "empty": (lambda values: b"", "no JSON: "),
    "a list": (lambda values: b"[]", "it has to be a mapping"),
    "deep": (lambda values: b"[" * 200_000, "no JSON: "),
    "twice": (lambda values: b'{"digest": 1, "digest": 2}', "stands twice"),
    "changed": (
        lambda values: values["content"]["curve"]["accuracies"].update({"0": 0.99}),
        "its digest does not match its content",
    ),
    "no digest": (lambda values: values.update(digest="md5:0"), "digest: got 'md5:0'; it has to be"),
    "no number": (setting("content", "curve", "accuracies", "0", to=float("nan")), "accuracies.0: got nan"),
    "absolute": (models("/etc/0.pb"), "it has to be a .pb file inside the package's folder"),
    "above": (models("../../0.pb"), "it has to be a .pb file inside the package's folder"),
    "another file": (
        setting("content", "files", ".bashrc", to={"sha256": "0" * 64, "bytes": 1}),
        "files has '.bashrc', which is not a model of the package",
    ),
    "huge": (
        setting("content", "files", "models/0.pb", "bytes", to=2**40),
        "files.models/0.pb: bytes: got 1099511627776; it has to be a whole number, 0 to 4294967296",
    ),
    "negative": (setting("content", "files", "models/0.pb", "bytes", to=-1), "it has to be a whole number, 0 to"),
    "key": (setting("copies", to={"0" * 64: "../../etc/passwd"}), "it has to be the key of a copy"),
    "sha": (setting("content", "files", "models/0.pb", "sha256", to="../x"), "it has to be 64 hexadecimal digits"),
    "moment": (setting("pushed", to="\x1b[2J"), "it has to be a moment"),
    "no package": (setting("content", "package", to={}), "missing key 'name'"),
    "a curve of another": (setting("content", "curve", "accuracies", to={"0": 0.5, "3": 0.5}), "3 is not a chokepoint"),
}


@pytest.mark.parametrize("url", ["folder", "redis"], indirect=True)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_record_is_one_line_and_hides_no_others(url: str, tmp_path: Path, damage: str) -> None:
    change, message = DAMAGE[damage]
    store = open_store(url)
    store.push(package(tmp_path / "dogs"))
    store.push(tmp_path / "dogs", "cats")
    with_record(url, change)
    said = refused(store.read, Reference("dogs"))
    assert said.startswith(f"{store}: dogs@2: its record is damaged: ")
    assert message in said
    assert refused(store.pull, Reference("dogs"), tmp_path / "pulled") == said
    assert not (tmp_path / "pulled").exists()
    cats, dogs = store.entries()
    assert cats.newest is not None and dogs.newest is None
    assert dogs.damage == said
    assert str(store.read(Reference("dogs", 1))) == "dogs@1"
    # What a damaged record names is not known: so no model file goes as long as it is there.
    cleaned = store.remove("cats", [1])
    assert cleaned.removed == 0 and cleaned.refused is not None and "dogs@2: its record is damaged" in cleaned.refused
    assert store.remove("dogs", [2]).refused is None
    assert store.remove("dogs", [1]).removed == 3
    assert str(store.push(tmp_path / "dogs").version) == "dogs@3"
