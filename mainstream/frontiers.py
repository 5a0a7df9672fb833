"""What comes back for several budgets."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mainstream.description import counted
from mainstream.notebook import frame, html_table
from mainstream.problem import FloatArray
from mainstream.schedule import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


@dataclass(frozen=True, eq=False, repr=False)
class Frontier:
    """The best that each of several budgets can pay for.

    Attributes
    ----------
    budgets : (B,) float
        Increasing, compute a second.
    results : tuple of Result or None, length B
        None where nothing fits.

    Examples
    --------
    >>> from mainstream import frontier, load_problem
    >>> found = frontier(load_problem("data/problems/tiny.yaml").to_solve(), budgets=[1, 10, 20])
    >>> found
    <Frontier: 3 budgets from 1 to 20, mean f1 0.6546 to 0.8331>
    >>> found.objectives.round(3).tolist(), found.bounds.round(3).tolist()
    ([nan, 0.655, 0.833], [nan, 0.655, 0.833])
    >>> found.goal, found.unit, found.in_several_precisions
    ('mean f1', 'ms', False)
    """

    budgets: FloatArray
    results: tuple[Result | None, ...]

    def __len__(self) -> int:
        return len(self.budgets)

    def __repr__(self) -> str:
        values = self.objectives[~np.isnan(self.objectives)]
        reached = f"{self.goal} {values[0]:.4f} to {values[-1]:.4f}" if len(values) else "nothing fits any of them"
        return f"<Frontier: {counted(len(self), 'budget')} from {self.budgets[0]:g} to {self.budgets[-1]:g}, {reached}>"

    def _repr_html_(self) -> str:
        columns = self._columns()
        rows = [[_text(value) for value in row] for row in zip(*columns.values(), strict=True)]
        return html_table(repr(self).strip("<>"), [[*columns], *rows])

    @property
    def goal(self) -> str:
        """What was maximised, in words: "mean f1", say, or "objective" where nothing fits."""
        return next((result.goal for result in self.results if result is not None), "objective")

    @property
    def unit(self) -> str | None:
        """Unit of the latencies; None where it is not known, or nothing fits."""
        return next((result.unit for result in self.results if result is not None), None)

    @property
    def objectives(self) -> FloatArray:
        """The best objective for each budget; NaN where nothing fits."""
        return np.array([np.nan if result is None else result.objective for result in self.results])

    @property
    def bounds(self) -> FloatArray:
        """What no schedule within each budget surpasses; NaN where nothing fits."""
        return np.array([np.nan if result is None else result.bound for result in self.results])

    @property
    def in_several_precisions(self) -> bool:
        """Whether there were precisions to choose from."""
        return any(result is not None and result.precision is not None for result in self.results)

    def to_csv(self) -> str:
        """One line for each budget; empty columns where nothing fits. The precision where there are several.

        >>> found.to_csv().splitlines()[:2]
        ['budget,objective,bound,gap,cost,status,runtime_s', '1.0,,,,,infeasible,']
        """
        several = self.in_several_precisions
        lines = ["budget,objective,bound,gap,cost,status,runtime_s" + ",precision" * several]
        for budget, result in zip(self.budgets.tolist(), self.results, strict=True):
            if result is None:
                lines.append(f"{budget!r},,,,,infeasible," + "," * several)
            else:
                numbers = (budget, result.objective, result.bound, result.gap, result.cost)
                lines.append(f"{','.join(repr(x) for x in numbers)},{result.status},{result.runtime_s:.6f}")
                lines[-1] += f",{result.precision}" * several
        return "\n".join(lines) + "\n"

    def to_frame(self) -> DataFrame:
        """A table of pandas: a row for each budget, with the columns of :meth:`to_csv`; NaN where nothing fits.

        Raises
        ------
        MissingExtraError
            pandas is not installed.

        Examples
        --------
        >>> found.to_frame()[["budget", "objective", "status"]]
           budget  objective      status
        0     1.0        NaN  infeasible
        1    10.0   0.654636     optimal
        2    20.0   0.833105     optimal
        """
        return frame(self._columns())

    def plot(self, *, title: str = "", chosen: float | None = None) -> Figure:
        """A picture of the frontier with its knee, as a figure of matplotlib.

        Parameters
        ----------
        title : str
            Above the picture.
        chosen : float, optional
            A budget to mark.

        Raises
        ------
        MissingExtraError
            matplotlib is not installed.

        Examples
        --------
        >>> found.plot(chosen=20).savefig("frontier.png")
        """
        from mainstream.report.figures import FrontierCurve, frontier_figure

        drawn = FrontierCurve(self.budgets, self.objectives, self.bounds)
        return frontier_figure(drawn, metric=self.goal, unit=self.unit, title=title, chosen=chosen)

    def _columns(self) -> dict[str, list[Any]]:
        def column(name: str, missing: object) -> list[Any]:
            return [missing if result is None else getattr(result, name) for result in self.results]

        numbers = ("objective", "bound", "gap", "cost")
        return {
            "budget": self.budgets.tolist(),
            **{name: column(name, math.nan) for name in numbers},
            "status": column("status", "infeasible"),
            "runtime_s": column("runtime_s", math.nan),
            **({"precision": column("precision", None)} if self.in_several_precisions else {}),
        }


def answered(budgets: list[float], results: list[Result | None], gap: float) -> Frontier:
    """The frontier of the first of the budgets, those that have their results."""
    return Frontier(np.array(budgets[: len(results)], dtype=np.float64), with_dearer_bounds(results, gap))


def with_dearer_bounds(results: list[Result | None], gap: float) -> tuple[Result | None, ...]:
    """The results, budgets rising; a bound holds for every smaller budget, too."""
    bound = math.inf
    sharper: list[Result | None] = []
    for result in reversed(results):
        if result is None:
            sharper.append(None)
            continue
        bound = max(result.objective, min(bound, result.bound))
        proven = result.aggregate == "mean" and bound - result.objective <= gap
        sharper.append(replace(result, bound=bound, status="optimal" if proven else result.status))
    return tuple(reversed(sharper))


def _text(value: object) -> str:
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.6g}"
    return "-" if value is None else str(value)
