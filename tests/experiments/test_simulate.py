"""The event simulator against the event model, exact intervals, and a draw of every stream frame."""

from __future__ import annotations

import math
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.commands import but_progress, run_here

from mainstream import App, Prepared, ProblemError, Result, Video, prepare, solve
from mainstream.events import METRICS, event_metrics
from mainstream.experiments.simulate import simulate, simulate_schedule
from mainstream.extensions import EVENT_MODELS
from mainstream.io import load_problem
from mainstream.shares import f1_interval, share_interval

PROBLEMS = Path(__file__).parents[2] / "data" / "problems"
ONE = {
    "accuracy": 0.6,
    "false_positive_rate": 0.1,
    "event_length_ms": 900,
    "event_frequency": 0.2,
    "correlation": 0.4,
    "stream_fps": 15,
    "target_fps": 6,
    "x_vote": 2,
}


def random_parameters(n: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    stream_fps = rng.uniform(5, 30, n)
    return {
        "accuracy": rng.uniform(0.2, 1, n),
        "false_positive_rate": rng.uniform(0, 0.4, n),
        "event_length_ms": rng.uniform(50, 3000, n),
        "event_frequency": rng.uniform(0.02, 0.95, n),
        "correlation": rng.random(n) * rng.integers(0, 2, n),
        "stream_fps": stream_fps,
        "target_fps": rng.uniform(0.5, 1, n) * stream_fps,
        "x_vote": rng.integers(0, 5, n),
    }


def inside(value: Any, estimate: Any) -> Any:
    """Where the interval holds the value; also where nothing was tried."""
    return ~((value < estimate.low) | (value > estimate.high))


def chance(count: int, of: int, share: float) -> float:
    """How probable so many of `of` trials, or more (fewer, whichever is less), are at that share."""
    if share in (0, 1):
        return float(count == of * share)
    k = np.arange(of + 1)
    choose = np.array([math.lgamma(n + 1) for n in range(of + 1)])
    density = np.exp(choose[of] - choose - choose[::-1] + k * math.log(share) + (of - k) * math.log1p(-share))
    return min(density[: count + 1].sum(), density[count:].sum())


def trials(simulated: Any, metric: str) -> Any:
    """Successes and trials whose share tells the metric."""
    claims = simulated.found + simulated.alarms
    return simulated.found, {
        "recall": simulated.events,
        "precision": claims,
        "f1": simulated.events + claims - simulated.found,
    }[metric]


def share_of(metric: str, value: Any) -> Any:
    """The share that belongs to a value of the metric."""
    return value / (2 - value) if metric == "f1" else value


@pytest.mark.parametrize("metric", METRICS)
def test_windowed_lies_in_the_intervals(metric: str) -> None:
    """Nothing simulated is beyond belief, and the 95 % interval holds the prediction as often as it says."""
    n = 600
    parameters = random_parameters(n, seed=1)
    simulated = simulate(**parameters, windows=5000, seed=2)
    predicted = getattr(event_metrics(**parameters), metric)
    chances = [
        chance(count, of, share)
        for count, of, share in zip(*trials(simulated, metric), share_of(metric, predicted), strict=True)
    ]
    assert min(chances) > 1e-6
    tried = (predicted > 0.01) & (predicted < 0.99)
    share = inside(predicted, getattr(simulated, metric))[tried].mean()
    assert tried.sum() > n / 2
    # 0.95 with a deviation of about 0.01; evenly spaced frames vary a little less than independent ones.
    assert 0.92 < share < 0.985


def every_stream_frame(
    rng: np.random.Generator, windows: int, *, p: float, rho: float, nbar: float, stride: float, votes: int
) -> int:
    """How many windows of events are found, drawing the chain at every stream frame, whether analysed or not."""
    found = 0
    phase = rng.random()
    for window in range(windows):
        due = np.arange(math.ceil(window * nbar - phase), math.ceil((window + 1) * nbar - phase))
        frames = np.floor((due + phase) * stride).astype(int)
        if not len(frames):
            continue
        hits = [rng.random() < p]
        for draw in rng.random(frames[-1] - frames[0]):
            hits.append(draw < (p + (1 - p) * rho if hits[-1] else p * (1 - rho)))
        analysed = "".join("x" if hits[frame - frames[0]] else "." for frame in frames)
        found += "x" * votes in analysed
    return found


@pytest.mark.parametrize(("stream_fps", "target_fps", "x_vote"), [(10, 10, 2), (10, 4, 1), (10, 4, 2), (10, 7, 3)])
def test_decay_equals_a_draw_of_every_stream_frame(stream_fps: int, target_fps: int, x_vote: int) -> None:
    windows, rho = 6000, 0.8
    simulated = simulate(
        0.5,
        np.nan,
        event_length_ms=1250,
        event_frequency=np.nan,
        correlation=rho**3,
        stream_fps=stream_fps,
        target_fps=target_fps,
        x_vote=x_vote,
        windows=200_000,
        seed=3,
        decay_unit=3,
    )
    found = every_stream_frame(
        np.random.default_rng(4),
        windows,
        p=0.5,
        rho=rho,
        nbar=1.25 * target_fps,
        stride=stream_fps / target_fps,
        votes=x_vote,
    )
    interval = share_interval(found, windows, z=4)
    assert interval.low < simulated.found / simulated.events < interval.high


def test_decay_over_a_whole_stride_is_windowed_at_a_smaller_correlation() -> None:
    changed = ONE | {"target_fps": 5, "correlation": 0.6}
    decayed = simulate(**changed, windows=100_000, seed=5, decay_unit=2)
    predicted = event_metrics(**changed | {"correlation": 0.6**1.5})
    for metric in METRICS:
        count, of = trials(decayed, metric)
        assert chance(count, of, share_of(metric, getattr(predicted, metric))) > 1e-4
    count, of = trials(decayed, "f1")
    assert chance(count, of, share_of("f1", event_metrics(**changed).f1)) < 1e-12


def test_a_trace_has_the_frames_that_are_due() -> None:
    parameters = random_parameters(50, seed=6)
    parameters["event_length_ms"][:10] = 20
    simulated = simulate(**parameters, windows=777, seed=7)
    due = 777 * parameters["event_length_ms"] / 1000 * parameters["target_fps"]
    assert (np.abs(simulated.frames - due) < 1).all()
    assert (simulated.windows == 777).all()
    assert (simulated.found <= simulated.events).all()
    assert (simulated.alarms <= simulated.windows - simulated.events).all()
    assert simulated.frames[:10].max() < 777


def test_extremes_are_exact() -> None:
    never = simulate(**ONE | {"accuracy": 0, "false_positive_rate": 0}, windows=500, seed=1)
    assert (never.found, never.alarms, never.recall.value, never.f1.value) == (0, 0, 0, 0)
    assert np.isnan(never.precision.value)
    always = simulate(**ONE | {"accuracy": 1, "event_frequency": 1}, windows=500, seed=1)
    assert (always.events, always.found, always.alarms) == (500, 500, 0)
    assert (always.recall.value, always.precision.value, always.f1.value) == (1, 1, 1)
    assert always.recall.low < 1
    assert always.recall.high == 1


def test_without_false_positives_or_frequency_there_is_recall_only() -> None:
    for key in ("false_positive_rate", "event_frequency"):
        simulated = simulate(**ONE | {key: np.nan}, windows=100, seed=1)
        assert simulated.recall.value > 0
        assert np.isnan([*simulated.precision, *simulated.f1]).all()


def test_a_seed_is_a_trace() -> None:
    pair = ONE | {"accuracy": [0.6, 0.6]}
    first, again, other = (simulate(**pair, windows=1000, seed=seed) for seed in (1, 1, 2))
    assert first.found.tolist() == again.found.tolist() != other.found.tolist()
    assert first.found[0] != first.found[1]
    longer = simulate(**ONE | {"accuracy": [0.6, 0.6, 0.1]}, windows=1000, seed=1)
    assert longer.found.tolist()[:2] == first.found.tolist()


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (8, 10, 0.4902, 0.9433), (50, 100, 0.4038, 0.5962)],
)
def test_wilson_intervals(count: int, of: int, low: float, high: float) -> None:
    estimate = share_interval(count, of)
    assert estimate.value == count / of
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=5e-5)


def test_an_interval_holds_what_was_observed() -> None:
    of = np.arange(1, 3000)
    for count in (0 * of, of // 2, of):
        estimate = share_interval(count, of)
        assert (estimate.low >= 0).all()
        assert (estimate.high <= 1).all()
        assert inside(estimate.value, estimate).all()


def test_f1_interval_is_that_of_its_share() -> None:
    estimate = f1_interval(found=30, events=50, claims=40)
    share = share_interval(30, 60)
    assert estimate.value == pytest.approx(2 * 30 / 90)
    assert (estimate.low, estimate.high) == pytest.approx((2 * share.low / (1 + share.low), 2 - 2 / (1 + share.high)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"windows": 0}, "windows: got 0"),
        ({"windows": 1.5}, "windows"),
        ({"seed": -1}, "seed: got -1"),
        ({"decay_unit": 0}, "decay_unit: got 0"),
        ({"decay_unit": np.nan}, "decay_unit: got nan"),
        ({"accuracy": 2}, "accuracy: got 2"),
        ({"accuracy": [0.1, 0.2], "x_vote": [1, 2, 3]}, "broadcast"),
        ({"windows": [10, 20]}, "windows"),
    ],
)
def test_bad_arguments_are_named_in_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ProblemError, match=re.escape(message)) as caught:
        simulate(**{**ONE, "windows": 100, "seed": 0, **changes})
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def crossing() -> tuple[Prepared, Result]:
    problem = load_problem(PROBLEMS / "crossing.yaml")
    prepared = prepare(problem.apps, problem.model, problem.video, problem.budget)
    return prepared, prepared.solve()


def test_a_schedule_does_what_was_predicted(crossing: tuple[Prepared, Result]) -> None:
    prepared, result = crossing
    replay = simulate_schedule(result, prepared, frames=300_000, seed=1)
    assert replay.app_ids.tolist() == [choice.app_id for choice in result.choices]
    assert list(replay.predicted) == list(EVENT_MODELS)
    for metric in METRICS:
        promised = [getattr(choice, metric) for choice in result.choices]
        assert getattr(replay.predicted[result.event_model], metric) == pytest.approx(promised)
        for count, of, share in zip(
            *trials(replay.simulated, metric), share_of(metric, np.array(promised)), strict=True
        ):
            assert chance(count, of, share) > 1e-5
    assert (replay.simulated.frames >= 300_000).all()


def test_a_saved_result_in_another_order_is_the_same(crossing: tuple[Prepared, Result]) -> None:
    prepared, result = crossing
    problem = load_problem(PROBLEMS / "crossing.yaml")
    backwards = prepare(problem.apps[::-1], problem.model, problem.video)
    saved = Result.from_json(result.to_json())
    first = simulate_schedule(result, prepared, frames=1000, seed=1).simulated
    second = simulate_schedule(saved, backwards, frames=1000, seed=1).simulated
    assert first.found.tolist() == second.found.tolist()


def test_how_far_each_event_model_is_off(crossing: tuple[Prepared, Result]) -> None:
    prepared, result = crossing
    rows = {}
    for decay_unit in (None, 1.0):
        replay = simulate_schedule(result, prepared, frames=300_000, seed=1, decay_unit=decay_unit)
        rows[decay_unit] = {(off.event_model, off.metric): off for off in replay.off()}
        assert set(rows[decay_unit]) == {(model, metric) for model in EVENT_MODELS for metric in METRICS}
        distance = np.abs(replay.predicted["paper"].f1 - replay.simulated.f1.value)
        assert rows[decay_unit]["paper", "f1"][2:] == pytest.approx((distance.mean(), distance.max()))
    without, decayed = (rows[unit]["windowed", "f1"] for unit in (None, 1.0))
    assert without.mean < 0.01
    assert without.mean < decayed.mean
    assert without.largest < rows[None]["released", "f1"].largest


def test_recall_alone_is_compared_alone() -> None:
    app = App(app_id=1, accuracies={1: 0.8}, event_length_ms=700)
    model = {"total_layers": 2, "layer_latencies": [1, 1], "frozen_layer_names": {1: "in", 2: "out"}}
    result = solve([app], model, {"stream_fps": 4}, budget=8)
    assert result.choices[0].num_frozen == 1
    replay = simulate_schedule(result, prepare([app], model, Video(stream_fps=4)), frames=100, seed=1)
    assert [off.metric for off in replay.off()] == ["recall"] * 4


def test_strange_results_are_refused(crossing: tuple[Prepared, Result]) -> None:
    prepared, result = crossing
    other = App(app_id=999, accuracies={0: 0.8}, event_length_ms=700)
    others = prepare([other], prepared.model, prepared.video)
    with pytest.raises(ProblemError, match=r"app \d+ with num_frozen \d+ is not among the apps"):
        simulate_schedule(result, others, frames=100, seed=1)
    with pytest.raises(ProblemError, match="frames: got 0"):
        simulate_schedule(result, prepared, frames=0, seed=1)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run_here("simulate", *arguments)


@pytest.mark.parametrize(("flags", "decay_unit"), [([], None), (["--decay"], 1.0)])
def test_command_shows_what_the_library_computes(
    crossing: tuple[Prepared, Result], flags: list[str], decay_unit: float | None
) -> None:
    prepared, result = crossing
    done = run(PROBLEMS / "crossing.yaml", "--frames", 50_000, "--seed", 3, *flags)
    assert (done.returncode, but_progress(done.stderr)) == (0, "")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    replay = simulate_schedule(result, prepared, frames=50_000, seed=3, decay_unit=decay_unit)
    assert lines[0] == f"crossing.yaml: {replay.simulated.frames.sum():,} frames drawn, seed 3"
    sides = set()
    for k, choice in enumerate(result.choices):
        for metric, line in zip(("recall", "precision", "f1"), lines[2 + 3 * k :], strict=False):
            estimate = [float(part[k]) for part in getattr(replay.simulated, metric)]
            shown = [getattr(choice, metric), *estimate]
            assert re.findall(r"[01]\.\d{4}", line) == [f"{value:.4f}" for value in shown]
            sides.add(-1 if shown[0] < estimate[1] else 1 if shown[0] > estimate[2] else 0)
            assert line.endswith("outside") == (not estimate[1] <= shown[0] <= estimate[2])
    last = lines[2 + 3 * len(result.choices)]
    within, of = re.match(r"windowed: (\d+) of (\d+) predictions are in their interval", last).groups()
    assert int(of) == 30
    assert int(within) == 30 - sum(line.endswith("outside") for line in lines)
    assert int(within) >= 24 if decay_unit is None else sides == {-1, 0, 1}


def test_command_with_decay_says_how_far_each_event_model_is_off() -> None:
    done = run(PROBLEMS / "tiny.yaml", "--frames", 100_000, "--decay", "--decay-unit", 2)
    assert done.returncode == 0
    rows = [line.split() for line in done.stdout.splitlines()[-12:]]
    assert {(row[0], row[1]) for row in rows} == {(model, metric) for model in EVENT_MODELS for metric in METRICS}
    windowed = next(row for row in rows if row[:2] == ["windowed", "f1"])
    assert float(windowed[4]) < float(windowed[2])
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_command_counts_the_apps_that_it_does_not_list() -> None:
    done = run(PROBLEMS / "district.yaml", "--frames", 1000)
    assert done.returncode == 0
    assert "... and 90 more apps" in done.stdout
    assert len(done.stdout.splitlines()) == 2 + 3 * 10 + 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.yaml"], "nowhere.yaml: "),
        ([PROBLEMS / "tiny.yaml", "--frames", 0], "frames: got 0"),
        ([PROBLEMS / "tiny.yaml", "--frames", 10**13], "frames: got 10000000000000"),
        ([PROBLEMS / "tiny.yaml", "--seed", -1], "seed: got -1"),
        ([PROBLEMS / "tiny.yaml", "--decay", "--decay-unit", 0], "decay_unit: got 0"),
        ([PROBLEMS / "tiny.yaml", "--decay", "--decay-unit", "inf"], "decay_unit: got inf"),
        ([PROBLEMS / "tiny.yaml", "--budget", -1], "budget: got '-1'"),
    ],
)
def test_command_refuses_in_one_line(arguments: list[object], message: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("mainstream: ") and done.stderr.count("\n") == 1
    assert message in done.stderr


def test_progress_comes_often_and_changes_nothing() -> None:
    shares: list[float] = []
    given: dict[str, Any] = {
        "accuracy": [0.8, 0.6], "false_positive_rate": 0.1, "event_length_ms": [2000, 700], "event_frequency": 0.3,
        "correlation": 0.4, "stream_fps": 30, "target_fps": [30, 7], "x_vote": [2, 1], "windows": 400_000, "seed": 3,
    }  # fmt: skip
    told = simulate(**given, progress=shares.append)
    assert len(shares) >= 6 and shares == sorted(shares) and shares[-1] == pytest.approx(1)
    assert max(np.diff([0.0, *shares])) < 0.2  # Ctrl-C waits for no more of it
    whole = simulate(**given)
    for counts in ("events", "found", "alarms", "frames"):
        np.testing.assert_array_equal(getattr(told, counts), getattr(whole, counts))
