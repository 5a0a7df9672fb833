"""The charts of an experiment, from its rows.

Means are over the workloads in which every compared version has a schedule. Otherwise a version would look better
because it fails on the hard ones.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mainstream.formats.sweep import SweepRow
from mainstream.report.charts import Chart, Point, Series, bar_series, version_series
from mainstream.report.knee import knee

_STEM, _TAILS, _UNUSED = "stem", "tails", "unused"
_BUDGETS: Final = 3
"""The most budgets that have charts against apps: with more, the smallest, the largest and one between."""
_COUNTS: Final = 3
"""The most numbers of apps that have charts against budget."""
_MUCH: Final = 20.0
"""Percent; with larger gains the axis is logarithmic, since small ones could not be told apart."""
_MOST_POINTS: Final = 400
"""The most points of a cloud; of more points, an even selection is drawn."""

Figure = Callable[[SweepRow], float | None]


@dataclass(frozen=True)
class Section:
    """The charts of one kind of objective.

    Attributes
    ----------
    title : str
    charts : tuple of Chart
    """

    title: str
    charts: tuple[Chart, ...]


def sections(rows: Iterable[SweepRow]) -> list[Section]:
    """The charts of each event model and objective, without empty ones."""
    groups: dict[str, list[SweepRow]] = {}
    for row in rows:
        groups.setdefault(row.kind, []).append(row)
    made = []
    for i, (kind, group) in enumerate(groups.items()):
        prefix = f"{i + 1}-" if len(groups) > 1 else ""
        if any(row.fits for row in group):
            made.append(Section(kind, tuple(_Charts(group, prefix).all())))
    return made


class _Charts:
    """The charts of rows that have one objective."""

    def __init__(self, given: Sequence[SweepRow], prefix: str) -> None:
        self._prefix = prefix
        self._rows = rows = [row for row in given if row.fits]
        self._versions = list(dict.fromkeys(row.version for row in rows))
        budgets: dict[str, list[float]] = {}
        for row in rows:
            budgets.setdefault(row.asked, []).append(row.budget)
        self._budgets = sorted(budgets, key=lambda asked: float(np.mean(budgets[asked])))
        self._fair = _where_all_have(rows, self._versions)
        self._unit = f"{rows[0].unit or 'model units'} per second"
        self._metric = f"{'smallest' if rows[0].aggregate == 'min' else 'mean'} {rows[0].metric}"

    def all(self) -> list[Chart]:
        charts = []
        for k in _evenly(len(self._budgets), _BUDGETS):
            charts += self._against_apps(f"budget-{k + 1}", self._budgets[k])
        charts += self._against_budget()
        charts += self._use()
        charts += self._votes()
        charts += self._observed()
        charts += self._time()
        return [chart for chart in charts if any(series.points for series in chart.series)]

    def _against_apps(self, key: str, asked: str) -> list[Chart]:
        rows = [row for row in self._fair if row.asked == asked]
        within = f"budget {asked}" if asked != "own" else "each workload's budget"
        charts = [
            self._lines(
                f"objective-{key}", f"Objective against apps, {within}", self._metric, rows, lambda row: row.objective
            )
        ]
        if "mainstream" in self._versions and len(self._versions) > 1:
            charts.append(self._gain(f"gain-{key}", within, rows))
        for name, title, label, figure in (
            ("fps", "Frame rates chosen", "mean target rate (fps)", _mean_fps),
            ("accuracy", "Accuracy kept", "mean relative accuracy (share)", lambda row: row.relative_accuracy),
        ):
            charts.append(self._lines(f"{name}-{key}", f"{title}, {within}", label, rows, figure))
        return charts

    def _lines(self, key: str, title: str, label: str, rows: Sequence[SweepRow], figure: Figure) -> Chart:
        def points(version: str) -> tuple[Point, ...]:
            return _means([(row.apps, figure(row)) for row in rows if row.version == version])

        return Chart(self._prefix + key, title, "apps", label, "lines", self._each(points))

    def _each(self, points: Callable[[str], tuple[Point, ...]]) -> tuple[Series, ...]:
        return tuple(version_series(name, points(name), i) for i, name in enumerate(self._versions))

    def _gain(self, key: str, within: str, rows: Sequence[SweepRow]) -> Chart:
        def points(version: str) -> tuple[Point, ...]:
            if version == "mainstream":
                return ()
            own = _means([(row.apps, row.objective) for row in rows if row.version == "mainstream"])
            other = _means([(row.apps, row.objective) for row in rows if row.version == version])
            pairs = zip(own, other, strict=True)
            return tuple(Point(one.x, 100 * (one.y / two.y - 1)) for one, two in pairs if two.y > 0)

        series = tuple(one for one in self._each(points) if one.points)
        most = max((point.y for one in series for point in one.points), default=0.0)
        return Chart(
            self._prefix + key,
            f"Gain of mainstream, {within}",
            "apps",
            "gain over the version (%)",
            "lines",
            series,
            scale="symlog" if most > _MUCH else "linear",
            note="max-sharing-best is the fair static comparison: the best single chokepoint for the workload.",
        )

    def _against_budget(self) -> list[Chart]:
        if len(self._budgets) < 2:
            return []
        counts = sorted({row.apps for row in self._fair})
        return [self._budget_chart(counts[place]) for place in _evenly(len(counts), _COUNTS)]

    def _budget_chart(self, count: int) -> Chart:
        rows = [row for row in self._fair if row.apps == count]
        relative = all(asked.endswith("%") for asked in self._budgets)

        def points(version: str) -> tuple[Point, ...]:
            return _means([(_place(row, relative), row.objective) for row in rows if row.version == version])

        series = self._each(points)
        own = next((one for one in series if one.name == "mainstream"), series[0]).points
        bend = knee([point.x for point in own], [point.y for point in own])
        marks = [] if bend is None else [(bend, "knee")]
        told = [] if bend is None else ["Knee: where mainstream's curve is farthest above the line between its ends."]
        capacities = {row.capacity for row in rows} - {None}
        if not relative and len(capacities) == 1:
            capacity = float(capacities.pop() or 0)
            if capacity <= max(row.budget for row in rows):
                marks.append((capacity, "the box's capacity"))
            else:
                told.append(f"The box has {capacity:.6g} {self._unit}.")
        return Chart(
            f"{self._prefix}objective-against-budget-{count}",
            f"Objective against budget, {count} {'app' if count == 1 else 'apps'}",
            "budget (% of the useful range)" if relative else f"budget ({self._unit})",
            self._metric,
            "lines",
            series,
            marks=tuple(marks),
            note=" ".join(told),
        )

    def _use(self) -> list[Chart]:
        charts = []
        for k in _evenly(len(self._budgets), _BUDGETS):
            asked = self._budgets[k]
            shares: dict[str, list[list[float]]] = {version: [] for version in self._versions}
            for row in self._fair:
                if row.asked == asked and row.stem_cost is not None and row.tail_cost is not None:
                    stem, tails = row.stem_cost / row.budget, row.tail_cost / row.budget
                    shares[row.version].append([100 * stem, 100 * tails, 100 * max(0.0, 1 - stem - tails)])
            means = {version: np.mean(found, axis=0) for version, found in shares.items() if found}
            within = f"budget {asked}" if asked != "own" else "each workload's budget"
            charts.append(
                Chart(
                    f"{self._prefix}use-budget-{k + 1}",
                    f"Where the budget goes, {within}",
                    "",
                    "mean share of the budget (%)",
                    "bars",
                    _stack({version: mean.tolist() for version, mean in means.items()}, (_STEM, _TAILS, _UNUSED)),
                    places=tuple(means),
                )
            )
        return charts

    def _votes(self) -> list[Chart]:
        found = {version: Counter[int]() for version in self._versions}
        for row in self._fair:
            found[row.version].update(x for x, fps in zip(row.x_vote, row.target_fps, strict=True) if fps)
        kinds = sorted(set().union(*found.values()))
        if kinds in ([], [0]):
            return []
        shares = {
            version: [100 * counts[x] / counts.total() for x in kinds] for version, counts in found.items() if counts
        }
        names = tuple("no voting" if x == 0 else f"{x} in a row" for x in kinds)
        return [
            Chart(
                f"{self._prefix}votes",
                "Votes that make a detection",
                "",
                "share of the apps (%)",
                "bars",
                _stack(shares, names),
                places=tuple(shares),
            )
        ]

    def _observed(self) -> list[Chart]:
        seen = [row for row in self._rows if row.rates == "observed"]

        def cloud(
            key: str, title: str, axes: tuple[str, str], of: Callable[[SweepRow], Iterable[tuple[float, float]]]
        ) -> Chart:
            def points(version: str) -> tuple[Point, ...]:
                pairs = [
                    Point(x, y, f"workload {row.id}, budget {row.asked}")
                    for row in seen
                    if row.version == version
                    for x, y in of(row)
                ]
                return _thinned(pairs)

            return Chart(f"{self._prefix}{key}", title, *axes, "points", self._each(points))

        def compute(row: SweepRow) -> list[tuple[float, float]]:
            known = row.unit == "ms" and row.cost is not None and row.measured_compute is not None
            return [(row.cost or 0.0, row.measured_compute or 0.0)] if known else []

        def objective(row: SweepRow) -> list[tuple[float, float]]:
            return [] if row.objective_at_observed is None else [(row.objective or 0.0, row.objective_at_observed)]

        return [
            cloud(
                "observed-rates",
                "Frame rates: target and observed",
                ("target rate (fps)", "observed rate (fps)"),
                lambda row: zip(row.target_fps, row.observed_fps, strict=True),
            ),
            cloud(
                "observed-compute",
                "Compute: predicted and measured",
                ("predicted compute (ms per second)", "measured compute (ms per second)"),
                compute,
            ),
            cloud(
                "observed-objective",
                "Objective: predicted at target and at observed rates",
                (f"{self._metric}, at target rates", f"{self._metric}, at observed rates"),
                objective,
            ),
        ]

    def _time(self) -> list[Chart]:
        def points(version: str) -> tuple[Point, ...]:
            return _means([(row.apps, row.runtime_s) for row in self._rows if row.version == version])

        return [
            Chart(
                f"{self._prefix}time",
                "Time to the answer",
                "apps",
                "mean time (s)",
                "lines",
                self._each(points),
                scale="log",
                note="For max-sharing-best and static-fps: the sum over all chokepoints, or rates, that were tried.",
            )
        ]


def _where_all_have(rows: Sequence[SweepRow], versions: Sequence[str]) -> list[SweepRow]:
    """The rows of those workloads and budgets for which every version has a schedule."""
    found = Counter((row.id, row.trial, row.asked) for row in rows)
    return [row for row in rows if found[row.id, row.trial, row.asked] == len(versions)]


def _means(pairs: Iterable[tuple[float, float | None]]) -> tuple[Point, ...]:
    """The mean y for each x, with its standard error."""
    groups: dict[float, list[float]] = {}
    for x, y in pairs:
        if y is not None:
            groups.setdefault(x, []).append(y)
    points = []
    for x in sorted(groups):
        values = np.array(groups[x])
        note = f"{len(values)} workloads"
        if len(values) > 1:
            note += f" ± {values.std(ddof=1) / math.sqrt(len(values)):.2g}"
        points.append(Point(x, float(values.mean()), note if len(values) > 1 else ""))
    return tuple(points)


def _mean_fps(row: SweepRow) -> float:
    return float(np.mean(row.target_fps))


def _place(row: SweepRow, relative: bool) -> float:
    return float(row.asked.removesuffix("%")) if relative else row.budget


def _stack(values: dict[str, list[float]], names: Sequence[str]) -> tuple[Series, ...]:
    """Stacked bars: a bar for each version, a series for each name."""
    return tuple(
        bar_series(name, tuple(Point(float(k), shares[j]) for k, shares in enumerate(values.values())), j)
        for j, name in enumerate(names)
    )


def _thinned(points: list[Point]) -> tuple[Point, ...]:
    return tuple(sorted(points[place] for place in _evenly(len(points), _MOST_POINTS)))


def _evenly(count: int, most: int) -> list[int]:
    """At most `most` of the indices 0 to count - 1, evenly spaced, with both ends."""
    places: list[int] = np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()
    return places
