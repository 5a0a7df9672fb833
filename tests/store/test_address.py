"""URLs of stores: what is taken, what is refused, and that no password is ever told."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainstream import ProblemError
from mainstream.store.address import Address, Reference, is_folder, passwords, without_passwords


def test_the_default_is_a_folder_at_home_or_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAINSTREAM_STORE", raising=False)
    monkeypatch.setenv("HOME", "/home/anna")
    home = "/home/anna/.mainstream/packages"
    assert Address.of(None) == Address.of("~/.mainstream/packages") == Address(home, home)
    monkeypatch.setenv("MAINSTREAM_STORE", "/srv/packages")
    assert Address.of(None) == Address("/srv/packages", "/srv/packages")
    assert Address.of("memory://x") == Address("memory://x", "memory://x")


@pytest.mark.parametrize("files", ["file:///srv/models", "s3://bucket/models", "/srv/models"])
def test_redis_and_the_folder_of_its_models(files: str) -> None:
    for head in ("redis://box:6379/0", "rediss://box/3", "redis://box", "redis://anna:p%2Fw@[::1]:7000/"):
        address = Address.of(f"{head}?files={files}")
        assert address == Address(head, files)
        assert address.in_redis
    quoted = Address.of("redis://box?files=sftp%3A//anna:p%2540w@host/models%3Fa%26b")
    assert quoted.files == "sftp://anna:p%40w@host/models?a&b"


def test_a_folder_is_absolute_and_needs_no_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Address.of("store").files == str(tmp_path / "store")
    assert Address.of("redis").files == str(tmp_path / "redis")
    assert not Address.of("redis").in_redis


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "store '': it has to be a folder or a URL"),
        ("a\0b", "it has to be a folder or a URL"),
        ("store://dogs", "store:// names a package in a store; give the URL of the store"),
        (
            "redis://box",
            "Redis does not hold model files; say where they go, as in redis://box?files=file:///srv/models",
        ),
        ("redis://box?files=", "Redis does not hold model files"),
        ("redis://box?files=/a&files=/b", "Redis does not hold model files"),
        ("redis://box?file=/a", "unknown key 'file' behind the '?'; known: files"),
        ("redis://box?files=/a&password=geheim", "unknown key 'password' behind the '?'; known: files"),
        ("redis://box?files=redis://:geheim@box", "files has to be a folder or a URL of fsspec, not 'redis://'"),
        ("redis://?files=/a", "it has to be redis://HOST:PORT/DB?files=URL"),
        ("redis://box:99999?files=/a", "its host or port is wrong"),
        ("redis://box:x?files=/a", "its host or port is wrong"),
        ("redis://[::1?files=/a", "its host or port is wrong"),
        ("redis://box/zero?files=/a", "it has to be redis://HOST:PORT/DB?files=URL"),
        ("redis://box/0/1?files=/a", "it has to be redis://HOST:PORT/DB?files=URL"),
        ("redis://:ge/geheim@box:6379/0?files=/a", "its host or port is wrong"),
        ("redis://:ge#geheim@box:6379/0?files=/a", "its host or port is wrong"),
        ("redis://anna:geheim@box:6379/0#x?files=/a", "in a password, write '%23' for '#' and '%2F' for '/'"),
    ],
)
def test_what_is_no_store_is_one_line_without_passwords(url: str, message: str) -> None:
    with pytest.raises(ProblemError) as refusal:
        Address.of(url)
    said = str(refusal.value)
    assert message in said
    assert "geheim" not in said and "\n" not in said


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://:p@ss@box:1/0", "redis://***@box:1/0"),
        ("sftp://anna:p@box/a", "sftp://***@box/a"),
        ("dir::sftp://anna:p@box/a", "dir::sftp://***@box/a"),
        ("redis://:p@box?files=sftp://b:q@c/d", "redis://***@box?files=sftp://***@c/d"),
        ("/srv/a@b", "/srv/a@b"),
        ("s3://bucket/models", "s3://bucket/models"),
    ],
)
def test_passwords_are_left_out(url: str, told: str) -> None:
    assert without_passwords(url) == told


def test_passwords_are_found_as_they_are_written_and_meant() -> None:
    assert passwords("redis://:p%2Fw@box") == ["p%2Fw", "p/w"]
    assert passwords("redis://box/0") == []


def test_references() -> None:
    assert Reference.of("dogs") == Reference.of("store://dogs") == Reference("dogs")
    assert Reference.of("dogs@3") == Reference.of("store://dogs@3") == Reference("dogs", 3)
    assert str(Reference.of("straße_1.b-c@12")) == "straße_1.b-c@12"
    assert [is_folder(given) for given in ("dogs", "dogs@3", "store://dogs", "./dogs", "a/dogs", "/dogs", "dogs/")] == [
        *[False] * 3,
        *[True] * 4,
    ]
