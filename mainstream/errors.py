"""Every error that this package raises on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainstream.history import History
    from mainstream.schedule import Frontier, Result


class MainstreamError(Exception):
    """Base of all errors of this package; its text is one line that a user can act on."""


class ProblemError(MainstreamError, ValueError):
    """A problem, a file or an argument is not what it has to be."""


class NotKeptError(ProblemError):
    """What has to outlive a restart cannot be written to disk."""


class InfeasibleError(MainstreamError):
    """No schedule satisfies the problem.

    Attributes
    ----------
    smallest_budget : float or None
        The smallest budget that has a schedule, in cost units; None when no budget has one.
    """

    def __init__(self, message: str, smallest_budget: float | None = None) -> None:
        super().__init__(message)
        self.smallest_budget = smallest_budget

    def __reduce__(self) -> tuple[type[InfeasibleError], tuple[str, float | None]]:
        return type(self), (str(self), self.smallest_budget)


class OutOfTimeError(MainstreamError):
    """The limits came before any schedule that fits the budget, and before a proof that there is none."""


class MissingExtraError(MainstreamError, ImportError):
    """An optional package is not installed; the text names the extra that brings it."""


class DeployError(MainstreamError):
    """A net plan did not get to run, or what its runtime answered is no list of frame rates."""


class InterruptedSearch(KeyboardInterrupt):
    """Ctrl-C during a search.

    Attributes
    ----------
    result : Result or None
        The best schedule so far with its bound; None when there was none yet.
    frontier : Frontier or None
        Of :func:`mainstream.frontier`: the budgets that were answered; None when there was none yet.
    """

    def __init__(self, result: Result | None, frontier: Frontier | None = None) -> None:
        super().__init__("interrupted")
        self.result = result
        self.frontier = frontier


class InterruptedLoop(KeyboardInterrupt):
    """Ctrl-C during :meth:`mainstream.Scheduler.run`.

    Attributes
    ----------
    history : History
        The rounds that were over, at least one.
    """

    def __init__(self, history: History) -> None:
        super().__init__("interrupted")
        self.history = history


class WorkerDiedError(MainstreamError):
    """The processes in which a task was to run died, each time that it was tried."""

    @classmethod
    def of(cls, key: object, times: int, why: str) -> WorkerDiedError:
        """The error of a task."""
        return cls(f"{key}: its worker died {times} times ({why}); it may need more memory than there is")
