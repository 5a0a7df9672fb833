"""Schedules on a labelled clip with real graphs: as the runtime decides, each part once, and scored by hand."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.terminal import COMMAND
from support.watching import EVENTS, FRAMES, problem, write_watching
from typer.testing import CliRunner

pytest.importorskip("tensorflow", reason="needs the extra run", exc_type=ImportError)

from support.plans import Given, result_of

from mainstream.cli import app
from mainstream.errors import ProblemError
from mainstream.evaluation.footage import Footage
from mainstream.evaluation.outputs import Outputs
from mainstream.graphs.part import TENSORFLOW
from mainstream.io import Problem, load_problem
from mainstream.streamer import LocalRunner, NetPlan, net_plan


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("watching")
    write_watching(made)
    return made


def planned(asked: Problem, given: Given, **keys: Any) -> NetPlan:
    return net_plan(result_of(asked.model, given, **keys), asked.apps, asked.model)


def call(folder: Path, *flags: object, **files: str) -> Any:
    given = {"problem": "problem.yaml", "video": "clip.avi", "labels": "labels.csv"} | files
    fixed = ["evaluate", "--live", 0, folder / given["problem"], "--video", folder / given["video"], "--labels"]
    return CliRunner().invoke(app, list(map(str, [*fixed, folder / given["labels"], "-m", folder, *flags])))


def measured(folder: Path, *flags: object, **files: str) -> Any:
    done = call(folder, "--json", "-", *flags, **files)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def refused(folder: Path, *flags: object, **files: str) -> str:
    done = call(folder, *flags, **files)
    assert isinstance(done.exception, ProblemError), done.output
    assert "\n" not in str(done.exception)
    return str(done.exception)


def test_it_decides_what_the_runtime_does(folder: Path) -> None:
    asked = load_problem(folder / "problem.yaml")
    plan = planned(asked, [(2, 4), (2, 3), (0, 2.5)])
    (ours,) = Outputs(Footage.of(folder / "clip.avi"), folder, TENSORFLOW).decisions([plan])
    results = folder / "results.jsonl"
    with LocalRunner(folder / "clip.avi", folder, loop=False, paced=False, window_s=1, results=results) as runner:
        runner.deploy(plan)
        assert runner.wait(60)
    theirs: dict[int, list[tuple[int, bool]]] = {1: [], 2: [], 3: []}
    for line in results.read_text().splitlines():
        row = json.loads(line)
        theirs[row["app_id"]].append((row["frame"], row["positive"]))
    assert {len(rows) for rows in theirs.values()} == {56, 42, 35}
    found = {app_id: [*zip(*map(list, some), strict=True)] for app_id, some in ours.items()}
    assert {app_id: [(int(f), bool(p)) for f, p in rows] for app_id, rows in found.items()} == theirs


def test_each_part_decides_once_on_a_frame_whatever_the_schedules(folder: Path) -> None:
    asked = load_problem(folder / "problem.yaml")
    outputs = Outputs(Footage.of(folder / "clip.avi"), folder, TENSORFLOW)
    every, some = planned(asked, [(2, 10), (2, 10), (2, 10)]), planned(asked, [(2, 5), (2, 3), (2, 2)])
    outputs.decisions([every, some])
    assert outputs.computed == 3 * FRAMES
    before = outputs.decisions([some, every])
    assert outputs.computed == 3 * FRAMES
    (alone,) = Outputs(Footage.of(folder / "clip.avi"), folder, TENSORFLOW).decisions([some])
    assert {k: [*map(list, v)] for k, v in alone.items()} == {k: [*map(list, v)] for k, v in before[0].items()}
    outputs.decisions([planned(asked, [(0, 1), (2, 7), (2, 7)])])
    assert outputs.computed == 3 * FRAMES + FRAMES // 10


def by_name(found: Mapping[str, Any], version: int = 0) -> dict[str, Any]:
    return {one["name"]: one for one in found["versions"][version]["apps"]}


def test_events_caught_and_missed_are_those_of_the_clip(folder: Path) -> None:
    found = measured(folder)
    assert found["versions"][0]["mean"]["measured"] == 1
    apps = by_name(found)
    for name, one in apps.items():
        assert (one["label"], one["events"], one["caught"], one["false_alarms"]) == (name, 2, 2, 0)
        assert one["recall"]["measured"] == one["precision"]["measured"] == one["f1"]["measured"] == 1
        assert 0.3 < one["recall"]["low"] < one["recall"]["predicted"] < 1
        assert 0.3 < one["f1"]["low"] < one["f1"]["predicted"] < 1 == one["f1"]["high"]
    # An event of red that nobody can see, and a shot of blue that nobody marked.
    text = (folder / "labels.csv").read_text().replace("122,131,blue", "30,35,blue")
    (folder / "wrong.csv").write_text(text + "76,86,red\n")
    apps = by_name(measured(folder, labels="wrong.csv"))
    assert apps["red"]["missed"] == [[76, 86]]
    assert apps["red"]["recall"]["measured"] == pytest.approx(2 / 3)
    assert apps["blue"]["missed"] == [[30, 35]] and apps["blue"]["false_alarms"] >= 1
    assert all(122 <= frame < 131 for frame in apps["blue"]["false_alarm_frames"])
    assert apps["green"]["f1"]["measured"] == 1


def test_versions_stand_side_by_side_and_the_report_shows_what_was_missed(folder: Path) -> None:
    page = folder / "report.html"
    done = call(folder, "--versions", "mainstream,no-sharing,max-sharing", "-o", page, labels="wrong.csv")
    assert done.exit_code == 0, done.output
    heads = re.findall(r"^(\S+), budget 70: mean f1 0\.\d+ predicted, (0\.\d+) measured$", done.stdout, re.M)
    assert [version for version, _ in heads] == ["mainstream", "no-sharing", "max-sharing"]
    assert len(re.findall(r"^ *red +\S+ +- +2 of 3 +recall ", done.stdout, re.M)) == 3
    text = page.read_text()
    assert "red: missed, 1" in text and "blue: missed, 1" in text and "green: caught, 2" in text
    assert "green: missed" not in text
    assert "<td>red</td><td>recall</td>" in text and "<td>2 of 3</td>" in text
    assert text.count("data:image/jpeg;base64,") == text.count("<img ") >= 8


def boxes() -> list[tuple[int, str, tuple[int, int, int, int]]]:
    """Frame, label and box: every event's on the left, and one thing on the right the whole time."""
    left = [(f, name, (2, 4, 20, 20)) for name, some in EVENTS.items() for a, b in some for f in range(a, b)]
    return left + [(f, name, (40, 4, 20, 20)) for name in EVENTS for f in range(FRAMES)]


def test_all_kinds_of_labels_say_the_same(folder: Path) -> None:
    wanted = measured(folder)["versions"]
    of_frame = dict.fromkeys(range(FRAMES), "nothing")
    for name, some in EVENTS.items():
        of_frame |= {frame: name for a, b in some for frame in range(a, b)}
    (folder / "frames.csv").write_text("frame,label\n" + "".join(f"{f},{one}\n" for f, one in of_frame.items()))
    rows = [f"{a / 10},{b / 10},{name}\n" for name, some in EVENTS.items() for a, b in some]
    (folder / "seconds.csv").write_text("start_s,end_s,label\n" + "".join(rows))
    names = list(EVENTS)
    coco = {
        "images": [{"id": f + 1, "frame_id": f, "video_id": 1, "file_name": "x.jpg"} for f in range(FRAMES)],
        "categories": [{"id": k, "name": name} for k, name in enumerate(names)],
        "annotations": [
            {"id": k, "image_id": f + 1, "category_id": names.index(name), "bbox": box}
            for k, (f, name, box) in enumerate(boxes())
        ],
    }
    (folder / "boxes.json").write_text(json.dumps(coco))
    assert measured(folder, labels="frames.csv")["versions"] == wanted
    assert measured(folder, labels="seconds.csv")["versions"] == wanted
    assert measured(folder, "--region", "0,0,0.5,1", labels="boxes.json")["versions"] == wanted


def test_of_boxes_those_count_that_lie_in_the_region_far_enough(folder: Path) -> None:
    """Red's boxes are on the left, 16 of their 20 columns in its half; MOT counts frames from 1, and skips flag 0."""
    mot = [f"{f + 1},1,16,4,20,20,1,-1,-1,-1" for a, b in EVENTS["red"] for f in range(a, b)]
    mot += [f"{f + 1},2,40,4,20,20,1,-1,-1,-1" for a, b in EVENTS["green"] for f in range(a, b)]
    mot += [f"{f + 1},3,40,30,20,10,1,-1,-1,-1" for a, b in EVENTS["blue"] for f in range(a, b)]
    mot += [f"{f + 1},4,16,4,20,20,0,-1,-1,-1" for f in range(FRAMES)]
    (folder / "gt.txt").write_text("\n".join(mot) + "\n")
    regions = ["--region", "red=0,0,0.5,1", "--region", "green=0.5,0,0.5,0.55", "--region", "0.5,0.55,0.5,0.45"]
    wanted = {name: len(some) for name, some in EVENTS.items()}
    apps = by_name(measured(folder, *regions, labels="gt.txt"))
    assert {name: one["events"] for name, one in apps.items()} == wanted
    assert all(one["caught"] == 2 and not one["false_alarms"] for one in apps.values())
    assert "app red: the labels have 0 events of 'red'" in refused(folder, *regions, "--inside", 0.9, labels="gt.txt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("start,end,label\n3,141,red\n", r"bad\.csv: labels frame 140, but .*clip\.avi has frames 0 to 139"),
        ("frame,label\n0,red\n140,nothing\n", r"bad\.csv: labels frame 140, but .*clip\.avi has frames 0 to 139"),
        ("start,end,label\n", r"bad\.csv: it has no rows below its header"),
        ("start,end,label\n3,7,rad\n", r"bad\.csv: label 'rad' is not a class of any app; did you mean 'red'\?"),
        ("start,end,label\n3,7,red\n", r"bad\.csv: app red: the labels have 1 events of 'red'; .*label more"),
        ("start,end,label\n3,7,red\n5,9,red\n", r"bad\.csv: labels: two intervals of 'red' overlap at frame 5"),
        ("frame,label\n3,red\n3,green\n", r"bad\.csv: line 3: frame 3 is listed twice"),
        ("1,1,2,3,4\n", r"bad\.csv: line 1: got '1,1,2,3,4'; it has to be frame,identity,left,top,width,height"),
        ("0,1,2,3,4,5\n", r"bad\.csv: line 1: frame 0; MOT counts from 1"),
        ("1,1,2,3,nan,5\n", r"bad\.csv: line 1: a box of nan x 5 at 2, 3; width and height have to be positive"),
        ("1,1,2,3,4,5,0\n", r"bad\.csv: has no label, so there is nothing to score against"),
    ],
)
def test_labels_that_say_nothing_of_the_clip_are_one_line(folder: Path, text: str, message: str) -> None:
    (folder / "bad.csv").write_text(text)
    assert re.search(message, refused(folder, labels="bad.csv"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--region", "0,0,1"], r"--region '0,0,1': got '0,0,1'; it has to be x,y,width,height as shares, 0 to 1"),
        (["--region", "0.5,0,0.6,1"], r"it reaches outside the frame"),
        (["--region", "rad=0,0,1,1"], r"no app has the event 'rad'; did you mean 'red'\?"),
        (["--inside", "1.5"], r"--inside: got 1\.5"),
        (["--region", "0,0,1,1"], r"labels\.csv: has no boxes, so --region has no effect"),
        (["--versions", "mainsteam"], r"problem\.yaml: version 'mainsteam' is not known"),
        (["--versions", ","], r"--versions: there is none"),
        (["--video", "none.avi"], r"none\.avi: no such file or directory; name a clip"),
        (["-m", "none"], r"none: is not a folder; give the one with the model files"),
        (["-o", "/no/such/folder/report.html"], r"cannot be written: there is no folder"),
    ],
)
def test_flags_that_make_no_sense_are_one_line(folder: Path, flags: list[str], message: str) -> None:
    assert re.search(message, refused(folder, *flags))


def test_models_that_lack_something_are_one_line(folder: Path) -> None:
    (folder / "lacks.yaml").write_text(yaml.safe_dump(problem(model_path={0: "red-0.pb", 2: "gone-2.pb"})))
    assert "there is no file 'gone-2.pb' in the folder of the models" in refused(
        folder, "--versions", "max-sharing", problem="lacks.yaml"
    )
    (folder / "lacks.yaml").write_text(yaml.safe_dump(problem(model_path={0: "red-0.pb"})))
    assert "max-sharing: app 1: no model_path for num_frozen 2" in refused(
        folder, "--versions", "max-sharing", problem="lacks.yaml"
    )
    (folder / "lacks.yaml").write_text(yaml.safe_dump(problem(event_class=None)))
    assert "app 1: it has no event_class" in refused(folder, problem="lacks.yaml")


def test_the_command_ends_with_2_and_a_line(folder: Path) -> None:
    files = ["--video", folder / "clip.avi", "--labels", folder / "none.csv", "-m", folder, "--live", "0"]
    done = subprocess.run(
        [COMMAND, "evaluate", folder / "problem.yaml", *files], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == f"mainstream: {folder / 'none.csv'}: no such file or directory\n"
