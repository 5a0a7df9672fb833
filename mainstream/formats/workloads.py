"""Workload files: one problem a line, as JSON, each with an id that is made from its content.

Each line is a complete problem file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from mainstream.description import counted, shown
from mainstream.errors import ProblemError
from mainstream.files import Name, json_values, naming, read_text, write_text
from mainstream.formats.problem import Problem

_DIGITS: Final = 12
"""Digits of an id: among a million workloads, two have the same id with a probability of 0.002."""


class Workloads(NamedTuple):
    """The content of a workload file.

    Attributes
    ----------
    problems : tuple of Problem
        Each with its id.
    cut : int or None
        Number of the last line if the file ends within it; that line is left out of the problems.

    Examples
    --------
    >>> from mainstream.io import Workloads, load_problem
    >>> Workloads(problems=(load_problem("data/problems/tiny.yaml"),), cut=None)
    <Workloads: 1 problem>
    """

    problems: tuple[Problem, ...]
    cut: int | None

    def __repr__(self) -> str:
        cut = "" if self.cut is None else f", line {self.cut} is cut off"
        return f"<Workloads: {counted(len(self.problems), 'problem')}{cut}>"


def workload_id(problem: Problem) -> str:
    """The id of a workload: equal content has the same id, whatever the order of keys or the form of numbers.

    Examples
    --------
    >>> from mainstream.io import load_problem, workload_id
    >>> workload_id(load_problem("data/problems/tiny.yaml"))
    '2ea7b2cbae6b'
    """
    text = json.dumps(_content(problem), sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def load_workloads(path: Name) -> Workloads:
    """Read a workload file, with one problem a line; a missing id is made.

    Raises
    ------
    ProblemError
        The file cannot be read, has no complete line, or a line is not a problem, has the id of other content, or is
        there twice; the message names the line.

    Examples
    --------
    >>> from mainstream.io import load_problem, load_workloads, save_workloads
    >>> save_workloads([load_problem("data/problems/tiny.yaml")], "workloads.jsonl")
    >>> load_workloads("workloads.jsonl")
    <Workloads: 1 problem>
    """
    path = Path(path)
    lines = read_text(path).split("\n")
    problems: dict[str, Problem] = {}
    cut = None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        with naming(f"{path}: line {number}"):
            try:
                values = json_values(line)
            except ProblemError:
                if number < len(lines):  # a complete line ends with a line break
                    raise
                cut = number
                break
            problem = Problem.of(values, where="workload")
            made = workload_id(problem)
            if problem.id not in (None, made):
                raise ProblemError(
                    f"id {shown(problem.id)} does not match the content, whose id is {made!r}; leave 'id' out"
                )
            if made in problems:
                raise ProblemError(f"workload {made} is in the file twice; remove one of the lines")
            problems[made] = problem.model_copy(update={"id": made})
    if not problems:
        raise ProblemError(f"{path}: line 1 is cut off, and there is no other line")
    return Workloads(tuple(problems.values()), cut)


def save_workloads(problems: Iterable[Problem], path: Name) -> None:
    """Write problems as a workload file; :func:`load_workloads` reads them back, equal except for their ids.

    Examples
    --------
    >>> from mainstream.io import load_problem, save_workloads
    >>> save_workloads([load_problem("data/problems/tiny.yaml")], "workloads.jsonl")
    """
    lines = []
    for problem in problems:
        lines.append(json.dumps({"id": workload_id(problem), **_content(problem)}, allow_nan=False))
    write_text(Path(path), "".join(f"{line}\n" for line in lines))


def _content(problem: Problem) -> dict[str, Any]:
    content: dict[str, Any] = problem.model_dump(exclude_defaults=True, exclude={"id"}, mode="json")
    return content
