"""Workload files: one problem a line, as JSON, each with an id made from what it holds.

A line is a problem file of its own: cut out, it solves alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from mainstream.description import shown
from mainstream.errors import ProblemError
from mainstream.files import Name, json_values, naming, read_text, write_text
from mainstream.formats.problem import Problem

_DIGITS: Final = 12
"""Of an id: among a million workloads two have the same with a probability of 0.002."""


class Workloads(NamedTuple):
    """What a workload file holds.

    Attributes
    ----------
    problems : tuple of Problem
        Each with its id.
    cut : int or None
        The last line's number where the file ends within it; that one is not among the problems.
    """

    problems: tuple[Problem, ...]
    cut: int | None


def workload_id(problem: Problem) -> str:
    """The id of a workload: the same content has the same id, whatever the order of keys or the form of numbers."""
    text = json.dumps(_content(problem), sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def load_workloads(path: Name) -> Workloads:
    """The problems in a workload file, one a line; an id that is left out is made.

    Raises
    ------
    ProblemError
        The file cannot be read, has no whole line, or a line is no problem, has another content's id, or stands twice;
        the message names the line.
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
                if number < len(lines):  # a whole line ends with a line break
                    raise
                cut = number
                break
            problem = Problem.of(values, where="workload")
            made = workload_id(problem)
            if problem.id not in (None, made):
                raise ProblemError(
                    f"id {shown(problem.id)} is another content's, this one's is {made!r}; leave 'id' out"
                )
            if made in problems:
                raise ProblemError(f"workload {made} stands in the file twice")
            problems[made] = problem.model_copy(update={"id": made})
    if not problems:
        raise ProblemError(f"{path}: line 1 is cut off, and there is no other")
    return Workloads(tuple(problems.values()), cut)


def save_workloads(problems: Iterable[Problem], path: Name) -> None:
    """Write problems as a workload file; :func:`load_workloads` reads them back, equal but for their ids."""
    lines = []
    for problem in problems:
        lines.append(json.dumps({"id": workload_id(problem), **_content(problem)}, allow_nan=False))
    write_text(Path(path), "".join(f"{line}\n" for line in lines))


def _content(problem: Problem) -> dict[str, Any]:
    content: dict[str, Any] = problem.model_dump(exclude_defaults=True, exclude={"id"}, mode="json")
    return content
