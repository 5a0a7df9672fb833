"""Every public name has examples that are true: all of them run here, as a reader would type them in the repository."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

import mainstream

ROOT = Path(__file__).parents[1]
NAMES = {
    **{name: getattr(mainstream, name) for name in mainstream.__all__ if name != "__version__"},
    **{f"io.{name}": getattr(mainstream.io, name) for name in mainstream.io.__all__ if name not in mainstream.__all__},
}
PARSER = doctest.DocTestParser()


def members(of: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties of a class that this package wrote, each once."""
    found: dict[str, Any] = {}
    for base in of.__mro__:
        if base.__module__.startswith("mainstream."):
            found = {**vars(base), **found}
    for name, value in found.items():
        known = inspect.isfunction(value) or isinstance(value, classmethod | property | cached_property)
        if known and not name.startswith("_"):
            yield name, value


def docs(name: str) -> Iterator[tuple[str, str]]:
    """The docstring of a public name, then those of its methods, which go on from it."""
    value = NAMES[name]
    yield name, inspect.getdoc(value) or ""
    if inspect.isclass(value):
        for member, own in members(value):
            yield f"{name}.{member}", inspect.getdoc(own) or ""


@pytest.mark.parametrize("name", NAMES)
def test_each_public_name_and_method_has_an_example(name: str) -> None:
    texts = dict(docs(name))
    assert PARSER.get_examples(texts.pop(name)), f"{name} has no example"
    shown = "".join(example.source for _, text in docs(name) for example in PARSER.get_examples(text))
    for member, text in texts.items():
        value = dict(members(NAMES[name]))[member.rpartition(".")[2]]
        if isinstance(value, property | cached_property):
            assert f".{member.rpartition('.')[2]}" in shown, f"no example of {name} has {member}"
        else:
            assert PARSER.get_examples(text), f"{member} has no example"


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_true(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for place, text in docs(name):
        test = PARSER.get_doctest(text, names, place, None, 0)
        said: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        runner.run(test, out=said.append, clear_globs=False)
        names = test.globs
        assert not runner.failures, "".join(said)
