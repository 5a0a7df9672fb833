"""What the commands that take a problem file share: reading it, joining it with the flags, compiling it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mainstream.cli.progress import Bar
from mainstream.errors import InfeasibleError, ProblemError

if TYPE_CHECKING:
    from mainstream.io import Problem
    from mainstream.solver.precisions import Precisions

_OF_THE_PROBLEM: Final = ("memory_mb", "objective", "mode", "event_model")
"""The options that say what to solve; the others say how."""


@dataclass(frozen=True)
class Asked:
    """A problem file, and what it and the flags say about how to solve it.

    Attributes
    ----------
    file : Path
    problem : Problem
    options : mapping of str to object
        The options of :class:`mainstream.io.SolveOptions` that were given; flags override the file.
    """

    file: Path
    problem: Problem
    options: Mapping[str, Any]

    @property
    def title(self) -> str:
        """What to call it."""
        from mainstream.description import counted

        streams = len(self.problem.streams)
        within = f" in {counted(streams, 'stream')}" if streams else ""
        return f"{self.file.name}: {counted(len(self.problem.all_apps), 'app')}{within}"

    def needs_budget(self) -> None:
        """Raise :class:`ProblemError` if neither the file nor the flags have a budget."""
        if "budget" not in self.options:
            raise ProblemError(f"{self.file}: no budget; give 'budget' or 'utilisation' there or as a flag")

    def prepare(self) -> Precisions:
        """The problem, compiled in each precision that it has."""
        from mainstream.solver import prepare
        from mainstream.solver.precisions import Precisions

        each = self.problem.by_precision.items()
        what = {"budget": self.options.get("budget"), **self.what()}
        return Precisions({name: prepare(one.to_solve(), **what) for name, one in each})

    def in_one_precision(self, say: Callable[[str], None]) -> Asked:
        """The problem in the precision of its best schedule; if there are several precisions, a line names it.

        A command that measures and solves again stays with this precision, since what it learns about one says nothing
        about another. If nothing fits, it is the first precision.

        Raises
        ------
        ProblemError
            There is no budget, or the problem is wrong.
        """
        from mainstream.files import naming
        from mainstream.result_text import precision_text

        self.needs_budget()
        each = self.problem.by_precision
        precision = next(iter(each))
        if len(each) > 1:
            with suppress(InfeasibleError), naming(self.file):
                result = self.prepare().solve(**self.how())
                precision = result.precision or precision
                say(f"precision {precision_text(result)}")
        return replace(self, problem=each[precision])

    def what(self) -> dict[str, Any]:
        """Keywords for :func:`mainstream.prepare`."""
        return {key: self.options[key] for key in _OF_THE_PROBLEM if key in self.options}

    def how(self, *but: str) -> dict[str, Any]:
        """Keywords for :meth:`mainstream.Prepared.solve` and :meth:`mainstream.Prepared.frontier`, without some."""
        return {key: self.options[key] for key in self.options if key not in (*_OF_THE_PROBLEM, "budget", *but)}


def read_problem(
    file: Path, store: str | None, *, calibrated: bool = True, more: Sequence[Mapping[str, Any]] = ()
) -> Problem:
    """The problem in a file; the store is opened if a package is in it.

    Raises
    ------
    ProblemError
        The file, or a package in the store at this URL, is wrong.
    """
    from mainstream.io import load_problem

    def fetch(name: str) -> Path:
        from mainstream.store import open_store

        return open_store(store).fetch(name)

    return load_problem(file, fetch=fetch, calibrated=calibrated, more=more)


def ask(
    file: Path,
    flags: Mapping[str, Any],
    without: Iterable[str] = (),
    *,
    store: str | None,
    calibrated: bool = True,
    more: Sequence[Mapping[str, Any]] = (),
    quiet: bool = False,
) -> Asked:
    """Read a problem file and join it with flags.

    Parameters
    ----------
    file : Path
    flags : mapping of str to object
        Values for :class:`mainstream.io.SolveOptions`; None for those not given.
    without : iterable of str
        Options of the file to ignore.
    store : str or None
        URL of the store of its packages; None for the default.
    calibrated : bool
        Whether what was seen on the camera moves the curves of packages.
    more : sequence of mapping
        Apps to add to those of the file, as for :func:`mainstream.io.load_problem`.
    quiet : bool
        Show nothing while a large file is read.

    Raises
    ------
    ProblemError
        The file or a flag is wrong.
    """
    from mainstream.files import naming
    from mainstream.io import SolveOptions
    from mainstream.result_text import plain_console

    given = SolveOptions.of(flags, where="command line").given()
    with Bar(plain_console(stderr=True), f"reading {file.name}", quiet=quiet):
        problem = read_problem(file, store, calibrated=calibrated, more=more)
    if "utilisation" in given:
        with naming("command line"):
            given["budget"] = problem.share_of_cores(given.pop("utilisation"))
    options = {key: value for key, value in (problem.given() | given).items() if key not in without}
    return Asked(file, problem, options)
