"""Every error that this package raises on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainstream.frontiers import Frontier
    from mainstream.history import History
    from mainstream.schedule import Result


class MainstreamError(Exception):
    """Base of all errors of this package; its text is one line that a user can act on.

    Examples
    --------
    >>> from mainstream import MainstreamError, load_problem
    >>> try:
    ...     load_problem("nowhere.yaml")
    ... except MainstreamError as error:
    ...     print(error)
    nowhere.yaml: no such file or directory
    """


class ProblemError(MainstreamError, ValueError):
    """A problem, a file or an argument is not what it has to be.

    Examples
    --------
    >>> from mainstream import ProblemError, Video
    >>> try:
    ...     Video(stream_fps=-1)
    ... except ProblemError as error:
    ...     print(error)
    video: stream_fps: got -1; it has to be a finite number above 0
    """


class UnknownAppError(ProblemError, KeyError):
    """There is no such app in a result."""

    __str__ = Exception.__str__  # a KeyError by itself puts its text in quotes


class NotKeptError(ProblemError):
    """What has to outlive a restart cannot be written to disk."""


class InfeasibleError(MainstreamError):
    """No schedule satisfies the problem.

    Attributes
    ----------
    smallest_budget : float or None
        The smallest budget that has a schedule, in cost units; None when no budget has one.

    Examples
    --------
    >>> from mainstream import InfeasibleError, load_problem, solve
    >>> try:
    ...     solve(load_problem("data/problems/tiny.yaml").to_solve(), budget=1)
    ... except InfeasibleError as error:
    ...     print(f"{error.smallest_budget:.3g}")
    4.11
    """

    def __init__(self, message: str, smallest_budget: float | None = None) -> None:
        super().__init__(message)
        self.smallest_budget = smallest_budget

    def __reduce__(self) -> tuple[type[InfeasibleError], tuple[str, float | None]]:
        return type(self), (str(self), self.smallest_budget)


class OutOfTimeError(MainstreamError):
    """The limits came before any schedule that fits the budget, and before a proof that there is none.

    Examples
    --------
    >>> from mainstream import OutOfTimeError, load_problem, solve
    >>> try:
    ...     solve(load_problem("data/problems/tiny.yaml").to_solve(), budget=20, memory_limit=1)
    ... except OutOfTimeError as error:
    ...     print(error)
    the options of this problem need ... more bytes of memory, 1 are left of memory_limit; give it more
    """


class MissingExtraError(MainstreamError, ImportError):
    """An optional package is not installed; the text names the extra that brings it.

    Examples
    --------
    >>> from mainstream import MissingExtraError
    >>> try:
    ...     raise MissingExtraError("matplotlib is not installed; pip install 'mainstream[report]'")
    ... except ImportError as error:
    ...     print(error)
    matplotlib is not installed; pip install 'mainstream[report]'
    """


class DeployError(MainstreamError):
    """A net plan did not get to run, or what its runtime answered is no list of frame rates.

    Examples
    --------
    >>> from mainstream import DeployError, Scheduler, load_problem
    >>> problem = load_problem("data/problems/tiny.yaml")
    >>> class Lost:
    ...     def deploy(self, plan):
    ...         raise DeployError("the box does not answer")
    >>> app = {**problem.apps[0].model_dump(), "model_path": {f: f"person-{f}.pb" for f in problem.apps[0].accuracies}}
    >>> Scheduler([app], problem.model, problem.video, deployer=Lost()).run(20)
    Traceback (most recent call last):
        ...
    mainstream.errors.DeployError: the box does not answer
    """


class InterruptedSearch(KeyboardInterrupt):
    """Ctrl-C during a search.

    Attributes
    ----------
    result : Result or None
        The best schedule so far with its bound; None when there was none yet.
    frontier : Frontier or None
        Of :func:`mainstream.frontier`: the budgets that were answered; None when there was none yet.

    Examples
    --------
    >>> from mainstream import InterruptedSearch
    >>> try:  # a long solve, and Ctrl-C
    ...     raise InterruptedSearch(None)
    ... except InterruptedSearch as interruption:
    ...     print(interruption.result)
    None
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

    Examples
    --------
    >>> from mainstream import History, InterruptedLoop
    >>> try:  # a long run, and Ctrl-C
    ...     raise InterruptedLoop(History((), "max rounds", {}))
    ... except InterruptedLoop as interruption:
    ...     print(repr(interruption.history))
    <History: 0 rounds, max rounds>
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
