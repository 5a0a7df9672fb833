"""The doors: names, objects in place of names, clashes, and what an installed package brings along."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from support.third_party_solver import DELAYED, RANDOM_DRAWS, Delayed, RandomDraws, install

from mainstream import ProblemError, prepare, solve
from mainstream.extensions import EVENT_MODELS, METHODS, PART_LOADERS, SOURCES
from mainstream.registry import Registry

ROOT = Path(__file__).parents[1]
TINY = ROOT / "data" / "problems" / "tiny.yaml"
APPS = [{"app_id": 1, "accuracies": {0: 0.9, 2: 0.8}, "event_length_ms": 1500}]
MODEL = {"total_layers": 3, "layer_latencies": [1, 1, 1], "frozen_layer_names": {0: "in", 2: "cut"}}
VIDEO = {"stream_fps": 4}


@pytest.fixture
def registered() -> Iterator[None]:
    METHODS.register(RANDOM_DRAWS)
    EVENT_MODELS.register(DELAYED)
    yield
    METHODS.unregister("random-draws")
    EVENT_MODELS.unregister("delayed")


def test_a_third_partys_parts_are_taken_as_objects() -> None:
    result = solve(APPS, MODEL, VIDEO, 100, method=RANDOM_DRAWS, event_model=DELAYED)
    assert (result.method, result.event_model) == ("random-draws", "delayed")
    # A second of the event is seen, at 4 fps: with 0.9 a frame, the first of them and any of three more.
    assert result.objective == pytest.approx(1 - 0.1**4)
    assert prepare(APPS, MODEL, VIDEO, event_model=DELAYED).solve(100).objective == pytest.approx(1 - 0.1**4)


@pytest.mark.usefixtures("registered")
def test_registered_parts_are_taken_by_name_everywhere(tmp_path: Path) -> None:
    assert solve(APPS, MODEL, VIDEO, 100, method="random-draws", event_model="delayed").method == "random-draws"
    assert "random-draws" in METHODS and "delayed" in list(EVENT_MODELS)
    from mainstream.io import load_problem

    problem = {"apps": APPS, "model": MODEL, "video": VIDEO, "budget": 9, "method": "random-draws"}
    (tmp_path / "problem.json").write_text(json.dumps(problem), encoding="utf-8")
    assert load_problem(tmp_path / "problem.json").method == "random-draws"


def test_an_unknown_name_lists_what_is_registered() -> None:
    with pytest.raises(ProblemError) as error:
        solve(APPS, MODEL, VIDEO, 9, method="anneal")
    assert str(error.value) == (
        "method: 'anneal' is not known; known: auto, branch-and-bound, cp-sat, greedy, greedy-released"
    )
    with pytest.raises(ProblemError, match=r"did you mean 'greedy'\? known: auto, branch-and-bound, "):
        solve(APPS, MODEL, VIDEO, 9, method="gredy")


class _NoBound(RandomDraws):
    aggregates: Any = property(lambda self: (_ for _ in ()).throw(AttributeError("none")))


@pytest.mark.parametrize(
    ("given", "lacks"),
    [
        ({"method": object()}, "method: got <object object at .*>, which lacks name, aggregates, exact, maximise; "),
        ({"method": _NoBound()}, "method: got .*, which lacks aggregates; "),
        ({"event_model": 7}, "event_model: got 7, which lacks name, frames, freedom, negatives; "),
    ],
)
def test_an_object_that_lacks_something_is_told_what(given: dict[str, Any], lacks: str) -> None:
    with pytest.raises(ProblemError, match=lacks + "it has to have what mainstream.extensions.[ME]"):
        solve(APPS, MODEL, VIDEO, 9, **given)


@pytest.mark.usefixtures("registered")
def test_a_name_belongs_to_one_part() -> None:
    METHODS.register(RANDOM_DRAWS)  # the same one again is no clash
    with pytest.raises(ProblemError, match="method: the name 'random-draws' is taken; give the part another one"):
        METHODS.register(RandomDraws())
    impostor = Delayed()
    impostor.name = "windowed"
    with pytest.raises(ProblemError, match="event_model: the name 'windowed' is taken"):
        EVENT_MODELS.register(impostor)
    impostor.name = ""
    with pytest.raises(ProblemError, match="event_model: its name is ''; it has to be a word"):
        EVENT_MODELS.register(impostor)
    with pytest.raises(ProblemError, match="'windowed' was not registered by this program"):
        EVENT_MODELS.unregister("windowed")


class _Toy(Protocol):
    name: str

    def play(self) -> None: ...


def test_two_packages_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("one", "two"):
        monkeypatch.syspath_prepend(install(tmp_path / place, f"toys_{place}", {"toys": {"ball": f"{place}:BALL"}}))
    toys = Registry("toy", _Toy, {"doll": "dolls:DOLL"}, "toys")
    for _ in range(2):
        with pytest.raises(
            ProblemError, match=r"toy: the installed package toys_\w+ brings 'ball', a name that is taken"
        ):
            list(toys)
    assert "doll" in toys  # what comes along needs no look at what is installed


def test_every_part_that_comes_along_is_what_its_door_asks_for() -> None:
    for registry in (METHODS, EVENT_MODELS, PART_LOADERS, SOURCES):
        for name in registry.built_in:
            assert registry[name].name == name
            assert registry.find(registry[name]) is registry[name]


def test_the_command_line_knows_what_an_installed_package_brings(tmp_path: Path) -> None:
    points = {
        "mainstream.methods": {"random-draws": "support.third_party_solver:RANDOM_DRAWS"},
        "mainstream.event_models": {"delayed": "support.third_party_solver:DELAYED"},
    }
    path = os.pathsep.join([str(install(tmp_path, "somebodys_parts", points)), str(ROOT / "tests"), str(ROOT)])

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mainstream", *words]
        environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "100"}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    done = run("solve", str(TINY), "--method", "random-draws", "--event-model", "delayed")
    assert (done.returncode, done.stderr) == (0, "")
    assert "random-draws" in done.stdout
    compared = run("methods", str(TINY), "--time-limit", "10")
    assert compared.returncode == 0, compared.stderr
    assert any(line.startswith("random-draws ") for line in compared.stdout.splitlines())
