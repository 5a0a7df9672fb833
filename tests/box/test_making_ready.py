"""What is done beforehand for the packages of a model folder, with an engine that notes what it is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.sites import write_package
from support.third_party import MATRICES, Matrices
from support.waiting import becomes

from mainstream import ProblemError
from mainstream.box import making_ready as module
from mainstream.box.making_ready import making_ready


class Preparing(Matrices):
    """An engine with something to do beforehand."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def make_ready(self, path: Path, *, trusted: bool) -> None:
        self.asked.append(f"{path.parent.name}/{path.name}")
        if path.parent.name == "birds":
            raise ProblemError("it cannot be converted")


def test_each_model_of_each_package_is_made_ready_once_and_again_when_it_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOK_S", 0.05)
    engine = Preparing()
    write_package(tmp_path, "birds")
    write_package(tmp_path, "cats")
    outside = write_package(tmp_path.parent / f"{tmp_path.name}-outside", "dogs")
    (tmp_path / "dogs").symlink_to(outside)
    damaged = write_package(tmp_path, "damaged")
    (damaged / "package.yaml").write_text("name: [")
    both = ["birds/0.pb", "birds/2.pb", "cats/0.pb", "cats/2.pb"]
    with making_ready(engine, tmp_path, trusted=False):
        becomes(lambda: engine.asked, both)
        (tmp_path / "cats" / "2.pb").write_bytes(b"another")
        becomes(lambda: engine.asked, [*both, "cats/2.pb"])
        write_package(tmp_path, "apes")
        becomes(lambda: engine.asked, [*both, "cats/2.pb", "apes/0.pb", "apes/2.pb"])
    with making_ready(MATRICES, tmp_path, trusted=False):  # it has nothing to do
        pass
