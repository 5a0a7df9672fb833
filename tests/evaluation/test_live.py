"""What is scored of apps that a runtime runs, on a clip or a camera; and a replay beside a run at the clip's pace."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import time
from typing import Any

import numpy as np
import pytest
import yaml
from support.colours import write_colours
from support.plans import result_of
from support.watching import EVENTS, FRAMES, SHOTS, problem, write_watching
from typer.testing import CliRunner

pytest.importorskip("tensorflow", reason="needs the extra run", exc_type=ImportError)

from mainstream.cli import app
from mainstream.errors import ProblemError
from mainstream.evaluation.footage import Footage
from mainstream.evaluation.labels import Labels, read_times
from mainstream.evaluation.live import Decided, LiveCheck, Scored, run_live, score_deployed
from mainstream.evaluation.outputs import Outputs
from mainstream.evaluation.watched import Watched
from mainstream.graphs.part import TENSORFLOW
from mainstream.io import Problem, load_problem
from mainstream.schedule import Result
from mainstream.streamer import NetPlan, net_plan
from mainstream.streamer.events.event import planned_apps
from mainstream.streamer.results import Analysis

FPS = 30
NAMES = list(EVENTS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A problem and a clip of 30 frames a second: 5 s."""
    made = tmp_path_factory.mktemp("live")
    write_watching(made)
    write_colours(made / "clip.avi", SHOTS, fps=FPS)
    keys = problem(event_length_ms=330) | {"video": {"stream_fps": FPS}, "budget": 210}
    (made / "problem.yaml").write_text(yaml.safe_dump(keys))
    return made


def told(plan: NetPlan, decided: Decided, frames: Sequence[int], positive: Callable[[str, int], bool]) -> None:
    """Every app decides on some frames, which are 100 ms apart; their first was taken at 1,000 s."""
    for frame in frames:
        for number, one in planned_apps(plan, 0).items():
            scores = np.array([0.0, 1.0])
            said = positive(one.name, frame)
            decided.heard(plan, one, Analysis(1000 + frame / 10, frame, number, scores, 1, said, said))


def scheduled(asked: Problem) -> tuple[Result, NetPlan, list[Watched]]:
    result = result_of(asked.model, [(2, 10), (2, 10), (2, 10)])
    watched = [Watched.of(one, Path()) for one in asked.apps]
    return result, net_plan(result, asked.apps, asked.model), watched


def labels_of(known: tuple[int, int] = (0, FRAMES)) -> Labels:
    inside = {name: [(a, b) for a, b in some if known[0] <= a and b <= known[1]] for name, some in EVENTS.items()}
    return Labels({i: np.array(inside[name]).reshape(-1, 2) for i, name in enumerate(NAMES, start=1)}, known)


def is_event(name: str, frame: int) -> bool:
    return any(a <= frame % FRAMES < b for a, b in EVENTS[name])


def counts(scored: Scored) -> dict[str, tuple[int, int, int]]:
    """Name -> events, those caught, false alarms."""
    return {one.watched.called: (len(one.score.events), one.score.hits, len(one.score.alarms)) for one in scored.apps}


def test_the_passes_of_a_clip_follow_each_other_and_cut_events_are_left_out(folder: Path) -> None:
    """From within red's first event to within its second one of the third pass."""
    result, plan, watched = scheduled(load_problem(folder / "problem.yaml"))
    clip, decided = Footage(Path("clip.avi"), FRAMES, 10.0, 64, 48), Decided()
    told(plan, decided, range(15, 2 * FRAMES + 95), is_event)
    scored = score_deployed(decided, result, watched, labels_of(), clip, seed=0)
    assert counts(scored) == {"red": (4, 4, 0), "green": (5, 5, 0), "blue": (5, 5, 0)}
    assert scored.seconds == pytest.approx(36) and scored.unscored == ()
    # Nothing on a part of the second pass, and one shot where there is no event.
    decided = Decided()
    told(plan, decided, range(3 * FRAMES), lambda name, n: (is_event(name, n) and not 140 <= n < 212) or n == 80)
    found = counts(score_deployed(decided, result, watched, labels_of(), clip, seed=0))
    assert found == {"red": (6, 5, 1), "green": (6, 5, 1), "blue": (6, 5, 1)}


def test_of_frames_of_which_the_labels_say_nothing_nothing_is_scored(folder: Path) -> None:
    result, plan, watched = scheduled(load_problem(folder / "problem.yaml"))
    clip, decided, known = Footage(Path("clip.avi"), FRAMES, 10.0, 64, 48), Decided(), (30, 112)
    told(plan, decided, range(3 * FRAMES), lambda name, n: not known[0] <= n % FRAMES < known[1] or is_event(name, n))
    scored = score_deployed(decided, result, watched, labels_of(known), clip, seed=0)
    assert counts(scored) == {"red": (3, 3, 0), "green": (6, 6, 0), "blue": (3, 3, 0)}
    assert scored.seconds == pytest.approx(24.6)


def test_what_the_plan_before_said_is_forgotten_and_one_event_is_too_few(folder: Path) -> None:
    asked = load_problem(folder / "problem.yaml")
    result, plan, watched = scheduled(asked)
    clip, decided = Footage(Path("clip.avi"), FRAMES, 10.0, 64, 48), Decided()
    told(net_plan(result, asked.apps, asked.model), decided, range(FRAMES), lambda name, n: True)
    told(plan, decided, range(FRAMES, FRAMES + 105), is_event)
    scored = score_deployed(decided, result, watched, labels_of(), clip, seed=0)
    assert counts(scored) == {"red": (2, 2, 0)}
    assert [(one.called, events) for one, events in scored.unscored] == [("green", 1), ("blue", 1)]
    assert score_deployed(Decided(), result, watched, labels_of(), clip, seed=0).apps == ()


def test_a_camera_is_scored_by_the_clock(folder: Path, tmp_path: Path) -> None:
    result, plan, watched = scheduled(load_problem(folder / "problem.yaml"))
    rows = [f"{1000 + a / 10},{1000 + b / 10},{name}" for name, some in EVENTS.items() for a, b in some]
    (tmp_path / "labels.csv").write_text("\n".join(["start_s,end_s,label", *rows]) + "\n")
    decided = Decided()
    told(plan, decided, range(0, FRAMES, 2), lambda name, n: is_event(name, n) and (name, n < 60) != ("red", True))
    scored = score_deployed(decided, result, watched, read_times(tmp_path / "labels.csv", watched), None, seed=0)
    assert counts(scored) == {"red": (2, 1, 0), "green": (2, 2, 0), "blue": (2, 2, 0)}
    assert scored.seconds == pytest.approx(13.8, abs=0.01)


def deploy(folder: Path, *flags: object) -> Any:
    fixed = ["deploy", folder / "problem.yaml", "--local", "-m", folder, "--one-round"]
    return CliRunner().invoke(app, list(map(str, [*fixed, *flags])))


def test_deploy_measures_events_on_a_clip_as_it_runs(folder: Path, tmp_path: Path) -> None:
    given = ["--source", folder / "clip.avi", "--labels", folder / "labels.csv", "--window", 5]
    done = deploy(folder, *given, "--json", tmp_path / "rounds.json")
    assert done.exit_code == 0, done.output
    assert re.search(r"^labels +\S+labels\.csv: \d\.\d s of the last plan$", done.stdout, re.M)
    rounds = json.loads((tmp_path / "rounds.json").read_text())
    choices = {one["app_id"]: one for one in rounds["rounds"][0]["result"]["choices"]}
    assert len(rounds["labels"]["apps"]) == 3 and rounds["labels"]["too_few_events"] == []
    for one in rounds["labels"]["apps"]:
        assert one["events"] in (2, 3)
        # A busy machine drops frames, and with them an event of a third of a second.
        assert one["caught"] >= 1 and one["false_alarms"] == 0
        assert one["f1"]["predicted"] == choices[one["app_id"]]["f1"]
        assert re.search(rf"^ *{one['name']} .* {one['caught']} of {one['events']} +recall ", done.stdout, re.M)


def test_deploy_reads_the_labels_of_a_camera_in_the_end(folder: Path, tmp_path: Path) -> None:
    """Nobody sees a colour on the test pattern; something is there every second."""
    now = int(time())
    rows = [
        f"{now + k / 2 + 0.1 * i},{now + k / 2 + 0.1 * i + 0.3},{name}"
        for k in range(600)
        for i, name in enumerate(NAMES)
    ]
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(["start_s,end_s,label", *rows]) + "\n")
    given = ["--source", "test://?fps=30&width=32&height=32", "--labels", labels, "--json", "-", "--window", 3]
    found = json.loads(deploy(folder, *given).stdout)["labels"]
    assert [one["name"] for one in found["apps"]] == NAMES and found["seconds"] > 1.5
    assert all(one["events"] >= 2 and one["caught"] == 0 == one["f1"]["measured"] for one in found["apps"])
    assert all(one["precision"]["measured"] is None for one in found["apps"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--source", "{folder}/clip.avi", "--labels", "{folder}/none.csv"], r"none\.csv: no such file"),
        (
            ["--source", "{folder}/clip.avi", "--labels", "{folder}/far.csv"],
            r"far\.csv: labels frame 140, but .*0 to 139",
        ),
        (["--source", "file://{folder}/clip.avi", "--labels", "{folder}/far.csv"], r"far\.csv: labels frame 140"),
        (
            ["--source", "test://", "--labels", "{folder}/labels.csv"],
            r"labels\.csv: a camera's frames have no known numbers, so its labels have to be CSV start_s,end_s,label",
        ),
        (["--source", "{folder}/clip.avi", "--region", "0,0,1,1"], r"--region says where boxes of --labels count"),
        (
            ["--source", "{folder}/clip.avi", "--labels", "{folder}/labels.csv", "--region", "0,0,1,1"],
            r"labels\.csv: has no boxes, so --region has no effect",
        ),
        (["--source", "{folder}/clip.avi", "--labels", "x", "--dry-run"], r"--dry-run measures nothing"),
    ],
)
def test_labels_that_do_not_fit_are_one_line_before_anything_runs(
    folder: Path, flags: Sequence[str], message: str
) -> None:
    (folder / "far.csv").write_text("start,end,label\n3,141,red\n5,9,green\n")
    done = deploy(folder, *(flag.replace("{folder}", str(folder)) for flag in flags))
    assert isinstance(done.exception, ProblemError), done.output
    assert re.search(message, str(done.exception)) and "\n" not in str(done.exception)
    assert "round" not in done.output


def test_labels_are_not_for_a_streamer(folder: Path) -> None:
    line = ["deploy", str(folder / "problem.yaml"), "--labels", str(folder / "labels.csv")]
    done = CliRunner().invoke(app, line)
    assert str(done.exception).endswith("--labels is for --local; a Streamer does not tell what its apps decide")


def test_a_run_at_the_clips_own_pace_agrees_with_the_replay(folder: Path) -> None:
    asked = load_problem(folder / "problem.yaml")
    result, _, watched = scheduled(asked)
    outputs = Outputs(Footage.of(folder / "clip.avi"), folder, TENSORFLOW)
    found = run_live(result, watched, asked.model, outputs, 2)
    assert found.seconds == 2 and {target for target, _ in found.rates.values()} == {10}
    assert 0 < found.equal == found.decisions <= 80  # 20 for each app, and some until it is closed
    assert FRAMES <= outputs.computed <= FRAMES + 3  # the replay is of the whole clip, on each third frame


def test_a_replay_that_says_something_else_is_told(folder: Path) -> None:
    """The replay is of another clip, where nothing is blue."""
    asked = load_problem(folder / "problem.yaml")
    result, _, watched = scheduled(asked)
    write_colours(folder / "other.avi", [("red", FRAMES)], fps=FPS)
    other = Outputs(Footage.of(folder / "other.avi"), folder, TENSORFLOW)
    other.decisions([net_plan(result, asked.apps, asked.model)])
    other.clip = Footage.of(folder / "clip.avi")
    found = run_live(result, watched, asked.model, other, 2)
    assert 0 < found.equal < found.decisions and not found.agrees
    assert "IT DOES NOT AGREE" in str(found)


@pytest.mark.parametrize(
    ("rates", "decisions", "equal", "agrees"),
    [
        ({1: (10.0, 9.9)}, 50, 50, True),
        ({1: (10.0, 9.9)}, 50, 49, False),
        ({1: (10.0, 8.5)}, 50, 50, False),
        ({1: (10.0, 11.5)}, 50, 50, False),
        ({1: (0.5, 0.4), 2: (10.0, 10.0)}, 50, 50, True),  # a frame more or less in 5 s
        ({1: (10.0, 10.0)}, 0, 0, False),
    ],
)
def test_rates_agree_within_a_tenth_and_a_frame(
    rates: Mapping[int | str, tuple[float, float]], decisions: int, equal: int, agrees: bool
) -> None:
    assert LiveCheck(5, rates, decisions, equal).agrees == agrees


def test_evaluate_tells_it_in_a_line_in_json_and_in_the_report(folder: Path, tmp_path: Path) -> None:
    files = [folder / "problem.yaml", "--video", folder / "clip.avi", "--labels", folder / "labels.csv", "-m", folder]
    line = list(map(str, ["evaluate", *files, "--live", 1, "-o", tmp_path / "report.html"]))
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    told_in = re.search(
        r"^live: 1 s at the clip's own pace, (\S+) of \S+ frames a second, (\d+) of \2 decisions as in the replay: .+$",
        done.stdout.replace("\n", " ").replace("  live:", "\nlive:"),
        re.M,
    )
    assert told_in, done.stdout
    assert "1 s at the clip&#x27;s own pace" in (tmp_path / "report.html").read_text()
    found = json.loads(CliRunner().invoke(app, [*line, "--json", "-"]).stdout)["live"]
    assert found["version"] == "mainstream" and found["decisions"] == found["equal"] > 0
    assert {one["app_id"] for one in found["apps"]} == {1, 2, 3}
