"""What the camera showed against what the curve says: intervals, warnings, the shift, what a schedule makes of it."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any

import pytest
from support.packages import CURVE, EVENTS, make
from typer.testing import CliRunner

from mainstream import App, ProblemError, Result, solve
from mainstream.cli import app as command
from mainstream.events import event_metrics
from mainstream.formats.correction import contradictions, rates
from mainstream.formats.curve import Curve
from mainstream.formats.package import Package, read_package
from mainstream.formats.package_app import load_package

TESTED = {"accuracy": 40, "false_positive_rate": 400}
MODEL = {
    "total_layers": 6,
    "layer_latencies": [1.0] * 6,
    "frozen_layer_names": {0: "in", 2: "a", 4: "b", 6: "out"},
}
VIDEO = {"stream_fps": 5}


def seen(accuracy: tuple[float, float, float], alarms: tuple[float, float, float] | None = None) -> dict[str, Any]:
    """Event parameters with what the model of `num_frozen` 4 did, whose curve has 0.85 and 0.04."""

    def keys(three: tuple[float, float, float]) -> dict[str, float]:
        return dict(zip(("value", "low", "high"), three, strict=True))

    found = {"num_frozen": 4, "accuracy": keys(accuracy)}
    return {**EVENTS, "seen": found if alarms is None else {**found, "false_positive_rate": keys(alarms)}}


def logit(x: float) -> float:
    return math.log(x / (1 - x))


def test_test_images_give_wilsons_intervals(tmp_path: Path) -> None:
    app = load_package(make(tmp_path / "p", tested=TESTED, events=EVENTS))
    assert app.accuracy_intervals is not None and app.false_positive_intervals is not None
    assert app.accuracy_intervals.keys() == app.accuracies.keys() == {0, 4}
    # 38 of 40, and 4 of 400, by an independent solution of (x - p)^2 n = z^2 p (1 - p).
    for ends, x, n in ((app.accuracy_intervals[0], 0.95, 40), (app.false_positive_intervals[0], 0.01, 400)):
        for end in ends:
            assert (x - end) ** 2 * n == pytest.approx(1.959964**2 * end * (1 - end), rel=1e-5)
    assert load_package(make(tmp_path / "q", events=EVENTS)).accuracy_intervals is None


def test_the_curve_is_moved_by_one_shift(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", tested=TESTED, events=seen((0.6, 0.5, 0.7), (0.1, 0.05, 0.2)))
    app = load_package(folder)
    assert app.accuracies[4] == pytest.approx(0.6)
    assert app.accuracy_intervals is not None and app.false_positive_rates is not None
    assert app.accuracy_intervals[4] == pytest.approx((0.5, 0.7))
    assert logit(app.accuracies[0]) - logit(CURVE.accuracies[0]) == pytest.approx(logit(0.6) - logit(0.85))
    assert logit(app.accuracy_intervals[0][0]) - logit(0.95) == pytest.approx(logit(0.5) - logit(0.85))
    assert app.false_positive_rates[4] == pytest.approx(0.1)
    assert logit(app.false_positive_rates[0]) - logit(0.01) == pytest.approx(logit(0.1) - logit(0.04))
    plain = load_package(folder, calibrated=False)
    assert plain.accuracies == {0: 0.95, 4: CURVE.accuracies[4]}
    own = load_package(folder, accuracies={0: 0.5})
    assert (own.accuracies, own.accuracy_intervals) == ({0: 0.5}, None)


def test_each_model_that_was_seen_has_a_shift_of_its_own(tmp_path: Path) -> None:
    both = [
        {"num_frozen": f, "accuracy": {"value": x, "low": x - 0.1, "high": x + 0.04}} for f, x in ((4, 0.6), (0, 0.95))
    ]
    folder = make(tmp_path / "p", events={**EVENTS, "seen": both})
    package, curve = read_package(folder)
    moved, _ = rates(package, curve)
    assert moved.intervals is not None
    for f, x in ((0, 0.95), (4, 0.6)):
        assert moved.values[f] == pytest.approx(x) and moved.intervals[f] == pytest.approx((x - 0.1, x + 0.04))
    between = (logit(0.6) - logit(0.85) + logit(0.95) - logit(0.95)) / 2  # 2 lies in the middle
    assert logit(moved.values[2]) == pytest.approx(logit(CURVE.accuracies[2]) + between)
    with pytest.raises(ProblemError, match="seen has num_frozen 0 twice"):
        make(tmp_path / "q", events={**EVENTS, "seen": [both[1], both[1]]})


def test_how_false_alarms_hang_together_is_each_models_own(tmp_path: Path) -> None:
    """On a line between models that were seen, at the rate of the events' correlation."""
    rho = {"value": 0.64, "low": 0.5, "high": 0.7}
    both = [
        {"num_frozen": 0, "false_correlation": rho, "correlation_fps": 10.0},
        {"num_frozen": 4, "false_correlation": rho, "correlation_fps": 2.5},
    ]
    folder = make(tmp_path / "p", Curve({0: 0.95, 2: 0.8, 4: 0.7}, None), events={**EVENTS, "seen": both})
    app = load_package(folder)
    assert app.correlation_fps == 5
    assert app.false_correlations == pytest.approx({0: 0.64**2, 2: (0.64**2 + 0.8) / 2, 4: 0.8})
    assert load_package(folder, correlation=0.5).false_correlations is None
    alone = {**EVENTS, "correlation": None, "correlation_fps": None, "seen": both}
    of_first = load_package(make(tmp_path / "q", events=alone))
    assert of_first.correlation_fps == 10
    assert of_first.false_correlations is not None and of_first.false_correlations[4] == pytest.approx(0.64**0.25)
    with pytest.raises(ProblemError, match="false_correlation and correlation_fps go together"):
        make(tmp_path / "r", events={**EVENTS, "seen": {"num_frozen": 0, "false_correlation": rho}})


def test_all_or_none_seen_stays_a_share(tmp_path: Path) -> None:
    package, curve = read_package(make(tmp_path / "p", events=seen((1.0, 0.9, 1.0), (0.0, 0.0, 0.1))))
    for moved in rates(package, curve):
        assert moved is not None and moved.intervals is not None
        for f, x in moved.values.items():
            low, high = moved.intervals[f]
            assert 0 <= low <= x <= high <= 1


@pytest.mark.parametrize(
    ("accuracy", "tested", "contradicts"),
    [
        ((0.6, 0.5, 0.7), TESTED, True),
        ((0.6, 0.5, 0.9), TESTED, False),  # the curve's 0.85 is within what the camera leaves open
        ((0.75, 0.7, 0.8), TESTED, False),  # 0.75 is within what 40 images leave open
        ((0.75, 0.7, 0.8), None, True),
        ((0.75, 0.7, 0.8), {**TESTED, "accuracy": 4000}, True),
    ],
)
def test_a_contradiction_is_outside_both_intervals(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, accuracy: Any, tested: Any, contradicts: bool
) -> None:
    logging.getLogger("mainstream").propagate = True
    folder = make(tmp_path / "p", events=seen(accuracy), **({"tested": tested} if tested else {}))
    package, curve = read_package(folder)
    assert bool(contradictions(package, curve)) == contradicts
    with caplog.at_level(logging.WARNING, "mainstream"):
        load_package(folder)
    assert ("calibration contradicts the curve: accuracy at num_frozen 4" in caplog.text) == contradicts


def test_predictions_carry_the_intervals_on(tmp_path: Path) -> None:
    app = load_package(make(tmp_path / "p", tested=TESTED, events=EVENTS), x_vote=2)
    result = solve([app], MODEL, VIDEO, budget=12)
    (choice,) = result.choices
    assert app.accuracy_intervals is not None and app.false_positive_intervals is not None
    given = {
        "event_length_ms": app.event_length_ms,
        "event_frequency": app.event_frequency,
        "correlation": app.correlation,
        "correlation_fps": app.correlation_fps,
        "stream_fps": 5,
        "target_fps": choice.target_fps,
        "x_vote": 2,
        "event_model": "measured",
    }
    low, high = app.accuracy_intervals[choice.num_frozen]
    few, many = app.false_positive_intervals[choice.num_frozen]
    worst, best = event_metrics([low, high], [many, few], **given).f1.tolist()
    assert choice.f1_interval == pytest.approx((worst, best))
    assert choice.f1 is not None and worst < choice.f1 < best
    assert f"{choice.f1:.4f} ({worst:.2f}-{best:.2f})" in str(result)
    again = Result.from_json(result.to_json())
    assert again == result and again.choices == result.choices
    assert json.loads(result.to_json())["choices"][0]["recall_interval"] == list(choice.recall_interval or ())


def test_without_a_number_of_images_nothing_is_shown(tmp_path: Path) -> None:
    result = solve([load_package(make(tmp_path / "p"))], MODEL, VIDEO, budget=12)
    assert result.choices[0].f1_interval is None
    assert not [key for key in json.loads(result.to_json())["choices"][0] if key.endswith("interval")]
    assert "(" not in str(result).splitlines()[1]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("accuracy_intervals", {0: [0.9, 0.1]}, "it has to be a pair"),
        ("accuracy_intervals", {0: [0.1, 0.2]}, "accuracy_intervals: the curve has 0.8, not 0.1 to 0.2, for num_f"),
        ("accuracy_intervals", {3: [0.1, 0.2]}, "accuracy_intervals: the curve has no rate for num_frozen 3"),
        ("false_positive_intervals", {0: [0, 0.2]}, "false_positive_intervals: the curve has no rate for num_frozen 0"),
    ],
)
def test_intervals_have_to_hold_the_curve(key: str, value: Any, words: str) -> None:
    with pytest.raises(ProblemError, match=words):
        App.of({"app_id": 1, "accuracies": {0: 0.8}, "event_length_ms": 100, key: value})


def test_seen_is_of_one_of_the_chokepoints() -> None:
    from support.packages import keys

    wrong = {**EVENTS, "seen": {"num_frozen": 3}}
    with pytest.raises(ProblemError, match="seen: num_frozen 3 is not a chokepoint"):
        Package(**keys(events=wrong))


def test_commands_warn_and_take_the_curve_as_they_are_told(tmp_path: Path) -> None:
    make(tmp_path / "p", tested=TESTED, events=seen((0.6, 0.5, 0.7), (0.2, 0.1, 0.3)))
    (tmp_path / "problem.yaml").write_text(
        json.dumps({"budget": 12, "video": VIDEO, "model": MODEL, "apps": [{"package": "p"}]})
    )
    run = CliRunner().invoke
    accuracies = {}
    for flag in ("--calibrated", "--as-trained"):
        out = tmp_path / f"{flag}.json"
        done = run(command, ["solve", str(tmp_path / "problem.yaml"), flag, "--json", str(out)])
        assert done.exit_code == 0, done.output
        used = {"--calibrated": "the curve is moved by it", "--as-trained": "the curve is used as it is"}[flag]
        assert done.output.count("calibration contradicts the curve") == 2 and used in done.output
        choice = json.loads(out.read_text())["choices"][0]
        accuracies[flag] = choice["accuracy"]
    assert accuracies["--calibrated"] < 0.85 <= accuracies["--as-trained"]
    shown = run(command, ["packages", "show", str(tmp_path / "p")]).output
    assert "warning" in shown and "calibration contradicts the curve: accuracy at num_frozen 4" in shown
    assert "moves the curve by -1.33 (-1.73 to -0.89) there on the logit scale" in shown
