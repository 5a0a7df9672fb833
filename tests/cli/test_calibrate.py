"""``mainstream calibrate``: what it reads, what it writes into the package, and what it refuses."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from support.commands import run_here
from support.packages import CURVE, make

from mainstream import ProblemError
from mainstream.formats.calibration_files import read_labels, read_scores
from mainstream.formats.package import read_package
from mainstream.io import load_package

EVENT = np.isin(np.arange(200) // 10, [1, 2, 5, 8, 9, 12, 16])
"""Whether each frame is one of an event: 5 events of 1 and 2 s at 10 fps."""


def run(*given: object) -> subprocess.CompletedProcess[str]:
    return run_here("calibrate", *given)


def refused(*given: object) -> str:
    done = run(*given)
    assert done.returncode == 2, done.stdout
    assert done.stderr.startswith("mainstream: ")
    assert done.stderr.count("\n") == 1
    return done.stderr.removeprefix("mainstream: ").rstrip()


def result(frame: int, app_id: int = 3, **changes: Any) -> str:
    """A line as the runtime writes it."""
    hit = bool(EVENT[frame]) != (frame % 7 == 0)
    keys = {"time": 1732396800.1 + frame / 10, "frame": frame, "app_id": app_id, "scores": [1.0 - hit, float(hit)]}
    return json.dumps({**keys, "event_class": 1, "positive": hit, "event": False, **changes})


def write(path: Path, lines: Iterable[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return make(tmp_path / "dogs", events=None)


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    names = ["dog" if event else "other" for event in EVENT]
    return write(tmp_path / "labels.csv", ["frame,label", *(f"{n},{name}" for n, name in enumerate(names))])


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return write(tmp_path / "results.jsonl", [result(frame) for frame in range(0, 200, 2)])


def test_parameters_go_into_the_package_and_the_rest_of_it_stays(package: Path, labels: Path, results: Path) -> None:
    before = yaml.safe_load((package / "package.yaml").read_text(encoding="utf-8"))
    done = run(package, "--labels", labels, "--fps", 10, "--scores", results)
    assert done.returncode == 0, done.stderr
    after = yaml.safe_load((package / "package.yaml").read_text(encoding="utf-8"))
    events = after.pop("events")
    assert after == before
    assert read_package(package)[1] == CURVE
    assert events["event_length_ms"]["value"] == pytest.approx(1400)
    assert events["min_event_length_ms"]["value"] == pytest.approx(1000)
    assert events["event_frequency"]["value"] == pytest.approx(70 / 200)
    assert events["correlation_fps"] == 5
    app = load_package(package)
    assert app.event_length_ms == events["event_length_ms"]["value"]
    assert app.event_frequency == events["event_frequency"]["value"]
    assert app.correlation == events["correlation"]["value"]
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[0] == "events 5 in 200 frames, 0 of them cut off"
    assert any(line.startswith("event length 1400 ms (") for line in lines)
    assert any(line.startswith("correlation 0") and line.endswith("at 5 fps") for line in lines)
    assert "on these frames 100 with a label and a score" in lines
    assert any(line.startswith("accuracy 0.8") and line.endswith("; the curve has 0.8 to 0.95") for line in lines)
    assert any(line.startswith("false positives 0.1") for line in lines)


def test_scores_in_csv_say_the_same_as_the_runtimes_results(package: Path, labels: Path, results: Path) -> None:
    run(package, "--labels", labels, "--fps", 10, "--scores", results)
    events = read_package(package)[0].events
    kept = [json.loads(line) for line in results.read_text().splitlines()]
    rows = ["score,frame", *(f"{0.3 if one['positive'] else 0.29},{one['frame']}" for one in kept)]
    scores = write(package.parent / "scores.csv", rows)
    done = run(package, "--labels", labels, "--fps", 10, "--scores", scores, "--threshold", 0.3)
    assert done.returncode == 0, done.stderr
    assert read_package(package)[0].events == events


def test_without_scores_the_correlation_of_before_is_kept(package: Path, labels: Path, results: Path) -> None:
    run(package, "--labels", labels, "--fps", 10, "--scores", results)
    before = read_package(package)[0].events
    done = run(package, "--labels", labels, "--fps", 20)
    assert done.returncode == 0, done.stderr
    after = read_package(package)[0].events
    assert before is not None and after is not None
    assert (after.correlation, after.correlation_fps) == (before.correlation, before.correlation_fps)
    assert after.event_length_ms.value == before.event_length_ms.value / 2
    assert "on these frames" not in done.stdout


def test_the_results_of_one_app_among_several(package: Path, labels: Path, results: Path) -> None:
    both = write(
        package.parent / "both.jsonl",
        [line for frame in range(0, 200, 2) for line in (result(frame), result(frame, 4, positive=True))],
    )
    assert refused(package, "--labels", labels, "--fps", 10, "--scores", both) == (
        f"{both}: line 2: results of app 4, after those of app 3; choose one with --app-id"
    )
    assert run(package, "--labels", labels, "--fps", 10, "--scores", both, "--app-id", 3).returncode == 0
    chosen = read_package(package)[0].events
    run(package, "--labels", labels, "--fps", 10, "--scores", results)
    assert read_package(package)[0].events == chosen
    assert refused(package, "--labels", labels, "--fps", 10, "--scores", both, "--app-id", 5) == (
        f"{both}: it has no results of app 5"
    )


def test_the_event_is_the_packages_or_the_given_one(tmp_path: Path, labels: Path) -> None:
    package = make(tmp_path / "cats", events=None, event_class=None)
    given = [package, "--labels", labels, "--fps", 10]
    assert refused(*given) == "dogs in straße #7 has no event class; give --event-class, one of: other, dog"
    assert refused(*given, "--event-class", "dgo") == "--event-class 'dgo' is no class; did you mean 'dog'?"
    assert run(*given, "--event-class", "dog").returncode == 0
    assert read_package(package)[0].event_class == "dog"
    assert refused(*given, "--event-class", "other") == (
        "--event-class 'other': the package's curve was measured for 'dog'"
    )


def test_when_decisions_do_not_differ_it_says_so(package: Path, labels: Path) -> None:
    same = write(package.parent / "same.csv", ["frame,score", *(f"{frame},1" for frame in range(200))])
    done = run(package, "--labels", labels, "--fps", 10, "--scores", same)
    assert "all decisions on frames of events were the same" in done.stdout
    assert "correlation       not measured" in done.stdout


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--fps", 0], "command line: fps: got 0.0; it has to be a finite number above 0"),
        (["--fps", "nan"], "command line: fps: got nan; it has to be a finite number above 0"),
        (["--fps", 10, "--threshold", 2], "command line: threshold: got 2.0; it has to be a number in [0, 1]"),
        (["--fps", 10, "--scores", "none.csv"], "none.csv: no such file or directory"),
        ([], "Missing option '--fps'."),
    ],
)
def test_a_wrong_command_line(package: Path, labels: Path, flags: list[Any], message: str) -> None:
    before = (package / "package.yaml").read_bytes()
    assert refused(package, "--labels", labels, *flags) == message
    assert (package / "package.yaml").read_bytes() == before


def test_a_package_that_is_none(tmp_path: Path, labels: Path) -> None:
    assert "not an M-Package" in refused(tmp_path, "--labels", labels, "--fps", 10)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("frame,lable\n0,dog\n", "unknown column 'lable'; did you mean 'label'?"),
        ("frame\n0\n", "columns frame; needed: frame, label"),
        ("frame,label\n", "it has no rows below its header"),
        ("frame,label\n0,dog,x\n", "line 2: it has to have 2 values: frame, label"),
        ("frame,label\n-1,dog\n", "line 2: frame: got '-1'; it has to be a whole number, 0 or more"),
        ("frame,label\n0,dgo\n", "line 2: label 'dgo' is not a class; did you mean 'dog'?"),
        ("frame,label\n0,dog\n0,other\n", "line 3: frame 0 is listed twice; the file has to be of one recording"),
    ],
)
def test_wrong_labels(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(content)
    with pytest.raises(ProblemError) as refusal:
        read_labels(path, ("other", "dog"), "dog")
    assert str(refusal.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("s.csv", "frame,score\n0,1.5\n", "line 2: score: got '1.5'; it has to be a number in [0, 1]"),
        ("s.csv", "frame,score\n3,1\n3,1\n", "line 3: frame 3 is listed twice; the file has to be of one recording"),
        ("s.csv", "frame,scroe\n", "unknown column 'scroe'; did you mean 'score'?"),
        ("s.jsonl", result(0) + "\nframe,score\n", "line 2: no JSON"),
        ("s.jsonl", result(0) + "\n[1]\n", "line 2: got [1]; it has to be a result of the runtime"),
        ("s.jsonl", '{"frame": 1, "app_id": 2}\n', "line 1: missing key 'positive'"),
        ("s.jsonl", result(0, positive=1), "line 1: positive: got 1; it has to be true or false"),
        (
            "s.jsonl",
            result(0, positive=None),
            "line 1: no decision, since the app had no event_class; deploy it with one",
        ),
        ("s.jsonl", f"{result(0)}\n\n{result(0)}\n", "line 3: frame 0 is listed twice; the file has to be of one"),
    ],
)
def test_wrong_scores(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ProblemError) as refusal:
        read_scores(path, 0.5)
    assert str(refusal.value).startswith(f"{path}: {message}")


def test_frames_in_any_order_are_sorted(tmp_path: Path) -> None:
    path = write(tmp_path / "s.jsonl", [result(4), result(0, positive=True), result(2, positive=False)])
    frames, positive = read_scores(path, 0.5)
    assert frames.tolist() == [0, 2, 4]
    assert positive.tolist()[:2] == [True, False]


def test_what_a_model_did_on_the_camera_is_kept_where_it_is_known_which(
    package: Path, labels: Path, results: Path
) -> None:
    given = (package, "--labels", labels, "--fps", 10, "--scores", results)
    assert run(*given).returncode == 0
    unknown = read_package(package)[0].events
    assert unknown is not None and unknown.seen is None
    assert unknown.event_lengths_ms == pytest.approx((1000, 1000, 1000, 2000, 2000))
    assert run(*given, "--num-frozen", 4).returncode == 0
    events = read_package(package)[0].events
    assert events is not None and events.seen is not None
    in_events = EVENT[::2]
    hits = in_events != (np.arange(0, 200, 2) % 7 == 0)
    (seen,) = events.seen
    assert (seen.num_frozen, seen.accuracy.value) == (4, pytest.approx(hits[in_events].mean()))
    assert seen.false_positive_rate.value == pytest.approx(hits[~in_events].mean())
    assert seen.false_correlation is not None and seen.correlation_fps == 5
    app = load_package(package)
    assert app.accuracies[4] == pytest.approx(seen.accuracy.value)
    assert app.false_correlations is not None and app.false_correlations[4] == seen.false_correlation.value
    assert (app.correlation_fps, app.event_lengths_ms) == (5, events.event_lengths_ms)
    assert load_package(package, event_length_ms=700).event_lengths_ms is None
    assert "--num-frozen 2: the package has no such model; allowed: [0, 4]" in refused(*given, "--num-frozen", 2)
