"""A third party adds an engine and a source without touching the core: as objects, by register(), as a package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import third_party
from support.terminal import COMMAND
from support.third_party import MATRICES, SLIDES, SLIDES_OPENER, Slides, write_matrices

from mainstream import DeployError, ProblemError
from mainstream.extensions import PART_LOADERS, SOURCES
from mainstream.streamer import LocalRunner, NetPlan, StreamerClient
from mainstream.streamer.sources import open_source

pytest.importorskip("av", reason="needs the extra run")
pytest.importorskip("zmq", reason="needs the extra run")

_SIZE = {"channels": 3, "height": 8, "width": 8, "model_path": "net.npz"}
_TAIL = {"parent_id": 0, "input_layer": "hidden", "output_layer": "scores", "shared": False}
PLAN = NetPlan.from_json(
    json.dumps(
        [
            {"net_id": 0, "app_id": -1, "parent_id": -1, "input_layer": "frame", "output_layer": "hidden"}
            | {"target_fps": 10, "shared": True, **_SIZE},
            {"net_id": 1, "app_id": 1, "target_fps": 10, **_TAIL, **_SIZE},
            {"net_id": 2, "app_id": 2, "target_fps": 5, **_TAIL, **_SIZE},
        ]
    )
)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    write_matrices(tmp_path / "net.npz")
    return tmp_path


@contextmanager
def registered() -> Iterator[None]:
    SOURCES.register(SLIDES_OPENER)
    PART_LOADERS.register(MATRICES)
    try:
        yield
    finally:
        SOURCES.unregister("slides")
        PART_LOADERS.unregister("matrices")


def check_results(path: Path, models: Path) -> None:
    """Every slide was analysed, and its scores are what the model says of its grey."""
    with np.load(models / "net.npz") as file:
        slide = np.ones(3) @ file["hidden"] @ file["scores"]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["frame"] for line in lines if line["app_id"] == 1] == list(range(SLIDES))
    assert len([line for line in lines if line["app_id"] == 2]) == SLIDES / 2
    for line in lines:
        np.testing.assert_allclose(line["scores"], line["frame"] * slide, rtol=1e-4)


def test_as_objects(models: Path) -> None:
    out = models / "results.jsonl"
    with LocalRunner(Slides(paced=False), models, engine=MATRICES, window_s=60, paced=False, results=out) as runner:
        assert runner.deploy(PLAN) == pytest.approx({1: 10, 2: 5})
        assert runner.wait()
    check_results(out, models)


def test_another_engine_needs_no_tensorflow(models: Path) -> None:
    script = (
        "import sys; from mainstream.streamer import *; from support.third_party import *\n"
        f"source = Slides(paced=False)\n"
        f"with LocalRunner(source, {str(models)!r}, engine=MATRICES, window_s=60, paced=False) as runner:\n"
        f"    runner.deploy(NetPlan.from_json({PLAN.to_json()!r}))\n"
        "print({'tensorflow', 'keras'} & set(sys.modules))"
    )
    paths = [str(Path(third_party.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment, timeout=60
    )
    assert done.stdout == "set()\n", done.stderr


def test_by_name_once_they_are_registered(models: Path) -> None:
    out = models / "results.jsonl"
    options: dict[str, Any] = {"loop": False, "paced": False, "window_s": 60, "results": out}
    with registered(), LocalRunner("slides://", models, engine="matrices", **options) as runner:
        assert runner.deploy(PLAN) == pytest.approx({1: 10, 2: 5})
        assert runner.wait()
    check_results(out, models)
    with pytest.raises(ProblemError, match=r"'slides://' has an unknown scheme; known: file://, rtsp://, "):
        open_source("slides://")


def package(folder: Path, *points: str) -> dict[str, str]:
    """A package of the third party's, installed into a folder; the environment in which it is found."""
    info = folder / "theirs-1.0.dist-info"
    info.mkdir(parents=True)
    shutil.copy(third_party.__file__, folder / "theirs.py")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(points) + "\n")
    return os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}


def test_as_an_installed_package_which_the_command_line_knows(models: Path) -> None:
    environment = package(
        models / "site",
        *("[mainstream.sources]", "slides = theirs:SLIDES_OPENER"),
        *("[mainstream.part_loaders]", "matrices = theirs:MATRICES"),
    )
    out, address = models / "results.jsonl", f"ipc://{models}/socket"
    process = subprocess.Popen(
        [
            *(COMMAND, "streamer", "--source", "slides://", "--engine", "matrices", "-m", models, "--once"),
            *("--bind", address, "--window", "60", "--results", str(out)),
        ],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        with StreamerClient(address) as client:
            assert process.stderr is not None
            assert process.stderr.readline() == f"listening at {address}; the source has 10 fps\n"
            assert client.deploy(PLAN) == pytest.approx({1: 10, 2: 5}, rel=0.1)
        assert process.communicate(timeout=20)[1] == "ended: the source has no more frames\n"
    finally:
        process.kill()
        process.communicate()
    check_results(out, models)


EXITING = """

class Exiting(Matrices):
    name = "exiting"

    def load(self, path, input_layer, output_layer, *, trusted):
        import os

        if path.name.startswith("exiting"):
            os._exit(1)
        return super().load(path, input_layer, output_layer, trusted=trusted)


EXITING = Exiting()
"""


def test_an_engine_of_a_package_is_tried_in_the_spare_process_too(models: Path) -> None:
    environment = package(models / "site", "[mainstream.part_loaders]", "exiting = theirs:EXITING")
    with (models / "site" / "theirs.py").open("a") as file:
        file.write(EXITING)
    write_matrices(models / "exiting.npz")
    address = f"ipc://{models}/socket"
    command = [COMMAND, "streamer", "--source", "test://", "--engine", "exiting", "-m", models, "--window", "1"]
    process = subprocess.Popen([*command, "--bind", address], stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("listening at ")
        with StreamerClient(address) as client:
            with pytest.raises(DeployError, match="the plan ended the process in which it was tried"):
                client.deploy(NetPlan.from_json(PLAN.to_json().replace("net.npz", "exiting.npz")))
            assert set(client.deploy(PLAN)) == {1, 2}
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("points", "arguments", "message"),
    [
        (
            ["[mainstream.sources]", "test = theirs:SLIDES_OPENER"],
            ["--source", "slides://"],
            "source: the installed package theirs brings 'test', a name that is taken; uninstall it, ",
        ),
        (
            ["[mainstream.sources]", "slides = theirs:MATRICES"],
            ["--source", "slides://"],
            "which lacks open; it has to have what mainstream.extensions.SourceOpener asks for",
        ),
        (
            ["[mainstream.part_loaders]", "matrices = theirs:SLIDES_OPENER"],
            ["--source", "test://", "--engine", "matrices"],
            "which lacks start, load; it has to have what mainstream.extensions.PartLoader asks for",
        ),
        (
            ["[mainstream.part_loaders]", "matrices = theirs:MATRICES"],
            ["--source", "test://", "--engine", "matrixes"],
            "engine: 'matrixes' is not known; did you mean 'matrices'? known: tensorflow, onnx, auto, matrices",
        ),
    ],
)
def test_a_package_that_does_not_fit_is_one_line(
    models: Path, points: list[str], arguments: list[str], message: str
) -> None:
    environment = package(models / "site", *points)
    done = subprocess.run(
        [COMMAND, "streamer", "-m", models, *arguments], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 2
    assert message in done.stderr and done.stderr.count("\n") == 1


class Half:
    """Lacks most of what is asked for."""

    name = "half"
    fps = 10.0

    def close(self) -> None:
        pass


class Failing:
    """An opener that raises what it likes, and one whose source says nonsense."""

    name = "failing"

    def __init__(self, what: Exception | Any) -> None:
        self._what = what

    def open(self, uri: str, *, loop: bool, paced: bool) -> Any:
        if isinstance(self._what, Exception):
            raise self._what
        return self._what


def slides_of(fps: object) -> Slides:
    source = Slides()
    source.fps = fps  # type: ignore[assignment]
    return source


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"source": Half()}, "source: got .*, which lacks live, reconnects, damaged, __iter__; it has to "),
        ({"engine": Half()}, "engine: got .*, which lacks start, load; it has to have what "),
        ({"engine": "half"}, "engine: 'half' is not known; known: tensorflow"),
        ({"source": slides_of(0)}, "source: its fps is 0; it has to be a finite number above 0"),
        ({"source": slides_of("ten")}, "source: its fps is 'ten'; it has to be a finite number above 0"),
        ({"source": Failing(RuntimeError("no\ncable"))}, r"failing://x: cannot be opened: RuntimeError\('no.*cable'\)"),
        (
            {"source": Failing(Half())},
            "source: got .*, which lacks live, reconnects, damaged, __iter__; it has to ",
        ),
    ],
)
def test_objects_that_do_not_fit_are_refused_in_one_line(models: Path, keys: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"source": "test://", "engine": MATRICES} | keys
    opener = given["source"]
    if isinstance(opener, Failing):
        SOURCES.register(opener)
        given["source"] = "failing://x"
    try:
        with pytest.raises(ProblemError, match=message) as caught:
            LocalRunner(model_dir=models, **given)
        assert "\n" not in str(caught.value)
    finally:
        if isinstance(opener, Failing):
            SOURCES.unregister("failing")


def test_a_part_that_lacks_something_is_refused(models: Path) -> None:
    class Halves:
        name = "halves"

        def start(self) -> None:
            pass

        def load(self, path: Path, input_layer: str, output_layer: str, *, trusted: bool) -> Any:
            return lambda batch: batch

    message = "net 0: a part of engine halves: got .*, which lacks input_shape, output_shape; it has to have what "
    with LocalRunner("test://", models, engine=Halves()) as runner, pytest.raises(Exception, match=message):
        runner.deploy(PLAN)


def test_a_name_that_is_taken_is_refused() -> None:
    class Test(Failing):
        name = "test"

    class Tensorflow(third_party.Matrices):
        name = "tensorflow"

    with pytest.raises(ProblemError, match="source: the name 'test' is taken; give the part another one"):
        SOURCES.register(Test(None))
    with pytest.raises(ProblemError, match="engine: the name 'tensorflow' is taken; give the part another one"):
        PART_LOADERS.register(Tensorflow())
