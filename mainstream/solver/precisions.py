"""A problem in several precisions, of which one is chosen by solving all.

Apps in one precision share no stem with apps in another, and nobody has measured what such a mixture would be worth. So
each precision is a problem of its own, with the curves and latencies of its models, and the best schedule wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from mainstream.errors import InfeasibleError, InterruptedSearch, OutOfTimeError, ProblemError
from mainstream.frontiers import Frontier
from mainstream.schedule import Result
from mainstream.solver.prepared import Prepared

_Answer = TypeVar("_Answer")
_MOST: Final = 1.0
"""No value is larger than this, so it is the bound of a search that found nothing in time."""


@dataclass(frozen=True)
class Precisions:
    """A problem that is compiled in each precision that its apps have.

    Attributes
    ----------
    prepared : mapping of str to Prepared
        Name of a precision -> the problem in it. With only one, results do not mention precisions.

    Raises
    ------
    ProblemError
        There is no precision, or their objectives differ.
    """

    prepared: Mapping[str, Prepared]

    def __post_init__(self) -> None:
        objectives = {name: one.objective for name, one in self.prepared.items()}
        if not objectives:
            raise ProblemError("precisions: there is none; at least one is needed")
        if len(set(objectives.values())) > 1:
            each = ", ".join(f"{objective} in {name}" for name, objective in objectives.items())
            raise ProblemError(
                f"objective: by default it would be {each}; give one that all apps allow, such as recall"
            )

    def of(self, result: Result) -> Prepared:
        """The problem in the precision of a result."""
        return next(iter(self.prepared.values())) if result.precision is None else self.prepared[result.precision]

    def solve(self, budget: float | None = None, *, time_limit: float | None = None, **how: Any) -> Result:
        """The best schedule in any precision.

        Parameters
        ----------
        budget : float, optional
        time_limit : float, optional
            Seconds, for all precisions together.
        **how
            As for :meth:`mainstream.Prepared.solve`, with the same errors.

        Returns
        -------
        Result
            It has `precision` and `precisions` if there are several.
        """
        each_s = None if time_limit is None else time_limit / len(self.prepared)
        found: dict[str, Result | None] = {}
        failures: list[InfeasibleError | OutOfTimeError] = []
        for name, prepared in self.prepared.items():
            try:
                found[name] = prepared.solve(budget, time_limit=each_s, **how)
            except (InfeasibleError, OutOfTimeError) as error:
                found[name] = None
                failures.append(error)
            except InterruptedSearch as interruption:
                found[name] = interruption.result
                raise InterruptedSearch(_better(found, len(self.prepared), complete=False)) from None
        complete = not any(isinstance(error, OutOfTimeError) for error in failures)
        best = _better(found, len(self.prepared), complete=complete)
        if best is None:
            raise _worst(failures)
        return best

    def frontier(self, budgets: Iterable[float], **how: Any) -> Frontier:
        """The best schedule in any precision for each of several budgets, as :meth:`mainstream.Prepared.frontier`."""
        budgets = list(budgets)
        found: dict[str, Frontier] = {}

        def ask(prepared: Prepared) -> Frontier:
            name = next(name for name, one in self.prepared.items() if one is prepared)
            try:
                found[name] = prepared.frontier(budgets, **how)
            except InterruptedSearch as interruption:
                if interruption.frontier is not None:
                    found[name] = interruption.frontier
                done = self._together(found, whole=False) if found else None
                raise InterruptedSearch(interruption.result, done) from None
            return found[name]

        return self._together(self._each(ask), whole=True)

    def _together(self, found: Mapping[str, Frontier], *, whole: bool) -> Frontier:
        """The better answer to each budget; if it is not the `whole`, some precisions have not answered all budgets."""
        longest = max(found.values(), key=lambda one: len(one.results))
        results = []
        for k in range(len(longest.results)):
            line = {name: one.results[k] for name, one in found.items() if k < len(one.results)}
            results.append(_better(line, len(self.prepared), complete=whole or len(line) == len(self.prepared)))
        return Frontier(longest.budgets, tuple(results))

    def smallest_budget(self) -> float:
        """The smallest budget that has a schedule in any precision."""
        return min(self._each(Prepared.smallest_budget).values())

    def useful_budget(self) -> float:
        """The budget beyond which nothing is gained in any precision."""
        return max(self._each(Prepared.useful_budget).values())

    def _each(self, ask: Callable[[Prepared], _Answer]) -> dict[str, _Answer]:
        """The answer in each precision in which there is a schedule for some budget."""
        answers: dict[str, _Answer] = {}
        failures: list[InfeasibleError | OutOfTimeError] = []
        for name, prepared in self.prepared.items():
            try:
                answers[name] = ask(prepared)
            except InfeasibleError as error:
                failures.append(error)
        if not answers:
            raise _worst(failures)
        return answers


def _better(found: Mapping[str, Result | None], precisions: int, *, complete: bool) -> Result | None:
    """The best result, or the first of equal ones, with a bound that holds in every precision.

    `complete` says that a precision without a result has no schedule.
    """
    results = {name: result for name, result in found.items() if result is not None}
    if precisions == 1 or not results:
        return next(iter(results.values()), None)
    best = max(results, key=lambda name: (results[name].objective, results[name].mean or 0.0))
    chosen = results[best]
    others = [result for name, result in results.items() if name != best]
    proven = complete and all(one.status == "optimal" or one.bound < chosen.objective for one in others)
    return replace(
        chosen,
        status=chosen.status if proven else "feasible",
        bound=max(result.bound for result in results.values()) if complete else max(_MOST, chosen.bound),
        runtime_s=sum(result.runtime_s for result in results.values()),
        nodes=sum(result.nodes for result in results.values()),
        precision=best,
        precisions={name: None if result is None else result.objective for name, result in found.items()},
    )


def _worst(failures: list[InfeasibleError | OutOfTimeError]) -> InfeasibleError | OutOfTimeError:
    """The error to raise when no precision has a schedule; it names the smallest of the smallest budgets."""
    out_of_time = [error for error in failures if isinstance(error, OutOfTimeError)]
    if out_of_time:
        return out_of_time[0]
    known = [error for error in failures if isinstance(error, InfeasibleError) and error.smallest_budget is not None]
    return min(known, key=lambda error: error.smallest_budget or 0.0, default=failures[0])
