"""Each version's schedule is the best of its restriction, by trying every schedule."""

from __future__ import annotations

from typing import Any

import pytest
from support import oracle

from mainstream import InfeasibleError, ProblemError
from mainstream.experiments.versions import Version, Workbench
from mainstream.formats.named_stream import NamedStream
from mainstream.io import SolveOptions

KINDS = ["mainstream", "no-sharing", "max-sharing", "max-sharing-best", "static-fps", "greedy", "greedy-released"]


def workbench(problem: dict[str, Any], **options: Any) -> Workbench:
    given = SolveOptions(objective=problem["metric"], event_model=problem["event_model"], gap=0.0, **options)
    return Workbench([NamedStream.of({key: problem[key] for key in ("apps", "model", "video")})], given)


def restricted(problem: dict[str, Any], version: str) -> list[dict[str, Any]]:
    """The problems of which the best counts, as the oracle takes them; apps that are pinned stay so."""
    if version in ("no-sharing", "max-sharing"):
        return [{**problem, "mode": version}]
    plain = {**problem, "mode": "mainstream"}
    if version == "static-fps":
        video = problem["video"]
        return [{**plain, "video": {**video, "fps_options": [fps]}} for fps in video["fps_options"]]
    if version == "max-sharing-best":
        keys = [{0 if f <= 1 else f for f in app["accuracies"]} for app in problem["apps"]]
        return [cut_at(plain, f) for f in set.intersection(*keys)]
    return [plain]


def cut_at(problem: dict[str, Any], num_frozen: int) -> dict[str, Any]:
    apps = []
    for app in problem["apps"]:
        curves = {
            key: {f: rate for f, rate in app[key].items() if (0 if f <= 1 else f) == num_frozen}
            for key in ("accuracies", "false_positive_rates")
        }
        apps.append({**app, **curves})
    return {**problem, "apps": apps}


def without_pins(problem: dict[str, Any]) -> dict[str, Any]:
    apps = [{key: value for key, value in app.items() if key != "pinned"} for app in problem["apps"]]
    return {**problem, "apps": apps}


@pytest.mark.parametrize("version", KINDS[:5])
def test_the_best_schedule_is_found(version: str) -> None:
    solved = 0
    for seed in range(40):
        problem = without_pins(oracle.random_problem(seed))
        parts = restricted(problem, version)
        for budget in oracle.budgets({**problem, "mode": "mainstream"}, seed):
            best = max(
                (found for part in parts if (found := oracle.best(part, budget).objective) is not None), default=None
            )
            bench = workbench(problem)
            if not parts:
                with pytest.raises(ProblemError, match="there is no num_frozen that all apps have"):
                    bench.solve(Version.of(version), budget)
            elif best is None:
                with pytest.raises(InfeasibleError):
                    bench.solve(Version.of(version), budget)
            else:
                result = bench.solve(Version.of(version), budget).result
                assert result.objective == pytest.approx(best, abs=1e-9), f"seed {seed}, budget {budget}"
                assert best - 1e-9 <= result.bound <= best + 1e-6
                assert result.status == "optimal"
                solved += 1
    assert solved > 30


def test_one_chokepoint_for_all_is_where_they_all_are() -> None:
    for seed in range(30):
        problem = without_pins(oracle.random_problem(seed))
        bench = workbench(problem)
        budget = 4 * oracle.best({**problem, "mode": "mainstream"}, float("inf")).smallest
        try:
            every = bench.common_chokepoints()
            best = bench.solve(Version("max-sharing-best"), budget)
        except (ProblemError, InfeasibleError):
            continue
        own = []
        for f in every:
            try:
                solved = bench.solve(Version(f"max-sharing-{f}"), budget).result
            except InfeasibleError:
                continue
            assert {0 if key <= 1 else key for key in solved.schedule.num_frozen.tolist()} == {f}
            own.append(solved.objective)
        assert best.result.objective == max(own)
        assert {0 if key <= 1 else key for key in best.result.schedule.num_frozen.tolist()} == {
            best.restriction.num_frozen
        }


def test_a_pinned_app_stays_as_it_is_pinned() -> None:
    app = {"accuracies": {0: 0.9, 2: 0.8, 4: 0.7}, "event_length_ms": 500.0}
    problem = {
        "apps": [{**app, "app_id": 1, "pinned": (2, 1.0)}, {**app, "app_id": 2}],
        "model": {"total_layers": 4, "layer_latencies": [1.0] * 4, "frozen_layer_names": {0: "a", 2: "b", 4: "c"}},
        "video": {"stream_fps": 4},
        "metric": "recall",
        "event_model": "windowed",
    }
    for name, others in (("max-sharing-4", 4), ("max-sharing-0", 0), ("max-sharing", 4)):
        schedule = workbench(problem).solve(Version.of(name), 100.0).result.schedule
        assert schedule.num_frozen.tolist() == [2, others]
        assert schedule.target_fps[0] == 1.0


@pytest.mark.parametrize(
    ("given", "name", "file"),
    [
        ("nosharing", "no-sharing", "nosharing"),
        ("maxsharing", "max-sharing", "maxsharing"),
        ("mainstream", "mainstream", "mainstream"),
        ("max-sharing-1", "max-sharing-0", "maxsharing-0"),
        ("max-sharing-90", "max-sharing-90", "maxsharing-90"),
        ("max-sharing-best", "max-sharing-best", "maxsharing-best"),
        ("greedy-released", "greedy-released", "greedy-released"),
    ],
)
def test_names(given: str, name: str, file: str) -> None:
    version = Version.of(given)
    assert (version.name, version.published) == (name, file)


@pytest.mark.parametrize(
    ("given", "advice"),
    [("max-sharing-K", "did you mean 'max-sharing"), ("greddy", "did you mean 'greedy'?"), ("", "known: mainstream")],
)
def test_other_names_are_refused(given: str, advice: str) -> None:
    with pytest.raises(ProblemError, match="is not known") as refusal:
        Version.of(given)
    assert advice in str(refusal.value)


def test_a_chokepoint_that_an_app_lacks_is_refused() -> None:
    problem = without_pins(oracle.random_problem(3))
    with pytest.raises(ProblemError, match=r"max-sharing-77: app 0 has no such num_frozen; it has \["):
        workbench(problem).solve(Version("max-sharing-77"), 1e6)


def test_intervals_are_cut_with_their_curve() -> None:
    app = {
        "app_id": 1, "event_length_ms": 1000, "event_frequency": 0.3, "accuracies": {0: 0.9, 2: 0.8},
        "accuracy_intervals": {0: (0.8, 0.95), 2: (0.7, 0.9)}, "false_positive_rates": {0: 0.02, 2: 0.1},
        "false_positive_intervals": {0: (0.0, 0.1), 2: (0.0, 0.2)}, "false_correlations": {2: 0.5},
    }  # fmt: skip
    model = {"total_layers": 4, "layer_latencies": [1.0] * 4, "frozen_layer_names": {0: "a", 2: "b"}}
    bench = Workbench([NamedStream.of({"apps": [app], "model": model, "video": {"stream_fps": 5}})], SolveOptions())
    (choice,) = bench.solve(Version.of("max-sharing-2"), 10).result.choices
    assert choice.num_frozen == 2 and choice.f1_interval is not None
    (other,) = bench.solve(Version.of("max-sharing-0"), 20).result.choices
    assert other.num_frozen == 0
