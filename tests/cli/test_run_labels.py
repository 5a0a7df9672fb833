"""`mainstream run --labels`: measured F1 beside the predicted one, as what runs changes."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
from support.boxes import app, write_cameras
from support.colours import write_colours
from support.third_party import MATRICES
from support.waiting import comes_true, found
from support.watching import EVENTS, FRAMES, SHOTS

from mainstream import ProblemError
from mainstream.box.box import Box
from mainstream.box.changes import AppChange
from mainstream.box.file_watch import FileWatch
from mainstream.box.wanted import Wanted
from mainstream.cli import run_labels
from mainstream.cli.run_labels import live_scores, scores_of
from mainstream.io import load_problem
from mainstream.streamer import LocalRunner
from mainstream.streamer.together import Together
from mainstream.web.address import Address
from mainstream.web.server import Site
from mainstream.web.timeline import Timeline

pytest.importorskip("av", reason="needs the extra run")
pytest.importorskip("uvicorn", reason="needs the extra page")

HOW = (None, 0.5, 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two cameras on one clip, with labels of it; an app sees red, another one says yes to everything else."""
    write_colours(tmp_path / "clip.avi", SHOTS, fps=40)
    with (tmp_path / "net.npz").open("wb") as file:
        np.savez(file, hidden=np.eye(3), scores=np.array([[0.0, 1.0], [0.0, -1.0], [0.0, -1.0]]))
    rows = [f"{start},{end},red" for start, end in EVENTS["red"]]
    (tmp_path / "labels.csv").write_text("start,end,label\n" + "\n".join(rows) + "\n")
    keys = {"video": {"stream_fps": 40.0}, "source": "clip.avi"}
    pinned = {"pinned": [0, 20.0], "event_length_ms": 250.0, "name": "red"}
    write_cameras(
        tmp_path,
        {"door": [app("sees", event_class=1, **pinned), app("not", event_class=0, **pinned)], "yard": [app("else")]},
        budget=1000.0,
        door=keys,
        yard=keys,
    )
    return tmp_path


def test_what_is_measured_stands_beside_what_is_predicted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_labels, "_EVERY_S", 0.1)
    problem, clip = load_problem(folder / "problem.yaml"), str(folder / "clip.avi")
    scores = live_scores(
        [f"door={folder / 'labels.csv'}"], problem, {"door": clip, "yard": clip}, folder, HOW, page=True
    )
    runners = {name: LocalRunner(clip, folder, engine=MATRICES, window_s=1, stream=name) for name in ("door", "yard")}

    def read(_: object) -> Wanted:
        return Wanted(load_problem(folder / "problem.yaml"), 1000.0, {}, {})

    with Together(runners) as together:
        box = Box(read, FileWatch(folder / "problem.yaml"), together, lambda _: None)
        of_apps = scores_of(box, scores)
        assert of_apps is not None
        with Site(Address("127.0.0.1", 0), "x" * 30, box, Timeline({}), folder, of_apps) as site:
            box.start()
            watching = threading.Thread(target=box.run)
            watching.start()
            try:
                measured = found(lambda: of_apps() if len(of_apps()) == 2 else None)
                with urlopen(f"{site.url}api/apps", timeout=30) as answer:
                    apps = {one["app_id"]: one["measured"] for one in json.load(answer)["apps"]}
                assert apps["else"] is None and apps["sees"]["events"] >= 2
                assert measured["sees"]["f1"] == 1 and measured["not"]["f1"] < 0.5
                low, high = measured["sees"]["f1_interval"]
                assert 0 < low < high == 1 and 2 <= measured["sees"]["seconds"] < 60 * FRAMES
                # What was decided under the plan before counts no more.
                box.change(lambda changes, _: changes.with_app("not", AppChange(paused=True)))
                comes_true(lambda: set(of_apps()) == {"sees"})
            finally:
                box.close()
                watching.join(30)


def test_labels_that_say_nothing_are_refused(folder: Path) -> None:
    problem, places = load_problem(folder / "problem.yaml"), {"door": str(folder / "clip.avi"), "yard": "clip.avi"}
    labels = str(folder / "labels.csv")
    assert live_scores(None, problem, places, folder, HOW, page=False) == {}
    with pytest.raises(ProblemError, match="--labels is for --page"):
        live_scores([f"door={labels}"], problem, places, folder, HOW, page=False)
    for given, folder_, how, message in (
        ([labels], folder, HOW, r"^--labels: got .*NAME=\.\.\., NAME one of door, yard"),
        ([f"yard={labels}"], folder, HOW, "app else: it has no event_class"),
        ([f"door={labels}x"], folder, HOW, "no such file"),
        ([f"door={labels}"], None, HOW, "for a runtime in this process"),
        (None, folder, (["0,0,1,1"], 0.5, 0), "--region says where boxes of --labels count"),
    ):
        with pytest.raises(ProblemError, match=message):
            live_scores(given, problem, places, folder_, how, page=True)
