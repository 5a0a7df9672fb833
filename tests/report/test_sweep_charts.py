"""What the charts of an experiment hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mainstream.formats.sweep import SweepRow
from mainstream.report.charts import Chart
from mainstream.report.page import report_page
from mainstream.report.sweep_charts import sections


def row(workload: str, version: str, objective: float | None, asked: str = "5", apps: int = 2) -> SweepRow:
    made = SweepRow(workload, apps, 1, version, asked, float(asked), "infeasible", "windowed", "f1", "mean")
    if objective is None:
        return made
    fps = (2.0,) * apps
    figures = {"stem_cost": 1.0, "tail_cost": 2.0, "runtime_s": 0.1, "relative_accuracy": 0.9, "target_fps": fps}
    return replace(made, status="optimal", unit="ms", objective=objective, x_vote=(0,) * apps, **figures)


def chart(rows: list[SweepRow], key: str) -> Chart:
    (found,) = [one for section in sections(rows) for one in section.charts if one.key == key]
    return found


def values(found: Chart, version: str) -> list[tuple[float, float]]:
    (series,) = [one for one in found.series if one.name == version]
    return [(point.x, point.y) for point in series.points]


def test_means_are_over_workloads_that_every_version_can_schedule() -> None:
    rows = [row("a", "mainstream", 0.9), row("a", "greedy", 0.6), row("b", "mainstream", 0.1), row("b", "greedy", None)]
    assert values(chart(rows, "objective-budget-1"), "mainstream") == [(2, 0.9)]
    assert values(chart(rows, "gain-budget-1"), "greedy") == [(2, pytest.approx(50))]
    # What a solve took is no matter of fairness.
    assert len(values(chart(rows, "time"), "mainstream")) == 1


def test_each_kind_of_objective_has_a_section() -> None:
    rows = [row("a", "mainstream", 0.9), replace(row("a", "mainstream", 0.8), event_model="paper")]
    titles = [section.title for section in sections(rows)]
    assert titles == ["mean f1, event model windowed", "mean f1, event model paper"]
    assert sections([row("a", "mainstream", None)]) == []


def test_the_budget_goes_to_stem_and_tails() -> None:
    found = chart([row("a", "mainstream", 0.9), row("b", "mainstream", 0.8)], "use-budget-1")
    assert [(one.name, [point.y for point in one.points]) for one in found.series] == [
        ("stem", [pytest.approx(20)]),
        ("tails", [pytest.approx(40)]),
        ("unused", [pytest.approx(40)]),
    ]


@pytest.mark.parametrize(("capacity", "marked"), [(6.0, True), (2000.0, False), (None, False)])
def test_the_box_s_capacity_is_told(capacity: float | None, marked: bool) -> None:
    objectives = {"1": 0.2, "4": 0.8, "7": 0.9}
    rows = [replace(row("a", "mainstream", y, asked), capacity=capacity) for asked, y in objectives.items()]
    found = chart(rows, "objective-against-budget-2")
    assert found.marks == ((4.0, "knee"), *([(6.0, "the box's capacity")] if marked else []))
    assert ("The box has 2000 ms per second." in found.note) == (capacity == 2000)
    assert values(found, "mainstream") == [(1, 0.2), (4, 0.8), (7, 0.9)]


@pytest.mark.slow
def test_a_report_of_the_study_s_size_is_under_two_megabytes() -> None:
    versions = [
        "mainstream",
        "no-sharing",
        "max-sharing",
        "max-sharing-best",
        "static-fps",
        "greedy",
        "greedy-released",
    ]
    rows = []
    for event_model in ("windowed", "released"):
        for apps in range(1, 26):
            for workload in "ab":
                for asked in ("5", "15", "30", "60", "100"):
                    for k, version in enumerate(versions):
                        objective = 0.9 - 0.0123456 * k - 0.00654321 * apps + 0.001 * float(asked)
                        one = row(f"{apps}{workload}", version, objective, asked, apps)
                        rows.append(replace(one, event_model=event_model))
    page = report_page("The study", [], [], sections(rows))
    assert page.count("<figure") == 38
    assert len(page.encode()) < 2_000_000
