"""The commands of docs/tutorial.md, in their order, on images, a network and a clip that are small enough."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason="needs the extra train", exc_type=ImportError)
pytest.importorskip("av", reason="needs the extra run")
pytest.importorskip("uvicorn", reason="needs the extra page")

from support.clips import write_clip
from support.commands import Run, one_process
from support.labelled_images import draw, network

from mainstream.io import load_problem

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (\S.*)$", PAGE, flags=re.MULTILINE)
SMALLER = {
    "train": ["--net", "tiny.keras", "--config", "short.ini", "--chokepoints", "11,15"],
    "profile": ["--seconds", "0.5"],
    "run": ["--once", "--page", "0", "--window", "0.5"],
}
"""Options beside those of the page; the page's own files and names stay."""


def type_in(run: Run, line: str, folder: Path) -> str:
    """What a command of the page prints, on stdout and stderr."""
    program, command, *arguments = shlex.split(line)
    assert program == "mainstream"
    spread = [name for word in arguments for name in (_expanded(folder, word) if "*" in word else [word])]
    done = run(command, *spread, *SMALLER.get(command, []), cwd=folder)
    assert done.returncode == 0, f"{line}: {done.stderr}"
    return done.stdout + done.stderr


def _expanded(folder: Path, pattern: str) -> list[str]:
    """As a shell does it."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.glob(pattern))


@pytest.mark.slow
def test_five_commands_lead_from_a_clip_and_images_to_a_running_box(tmp_path: Path) -> None:
    install, *five, train_more, init_more, capacity = COMMANDS
    assert install.startswith("pip install") and len([install, *five]) == 5
    drawn = draw(tmp_path / "images", 12)
    for name, called in (("circle", "car"), ("cross", "nothing"), ("square", "person")):
        (drawn / name).rename(drawn / called)
    network(tmp_path / "tiny.keras")
    (tmp_path / "short.ini").write_text("[finetune-config]\nmax_nb_epoch = 1\nlearning-rate = 0.01\n")
    write_clip(tmp_path / "clip.mp4", frames=15)
    with one_process() as train_there, one_process() as run:  # TensorFlow keeps its threads: all, or one
        train, profile, init, box = five
        assert "packages/car" in type_in(train_there, train, tmp_path)
        assert "written    tiny.json" in type_in(run, profile, tmp_path)
        assert box.startswith(type_in(run, init, tmp_path).splitlines()[1].removeprefix("run").strip())
        said = type_in(run, box, tmp_path)
        assert "1 app" in said and "predicted mean F1" in said and "measured: " in said
        assert {"events", "state"} <= {path.name for path in tmp_path.iterdir()}
        type_in(train_there, train_more, tmp_path)
        type_in(run, init_more, tmp_path)
        assert [app.name for app in load_problem(tmp_path / "problem.yaml").apps] == ["car", "person"]
        assert "fits        yes" in type_in(run, capacity, tmp_path)
