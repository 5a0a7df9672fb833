"""Results of a solve, as JSON."""

from __future__ import annotations

from pathlib import Path

from mainstream.files import Name, naming, read_text, write_text
from mainstream.schedule import Result


def load_result(path: Name) -> Result:
    """Read a result from the JSON file that :func:`save_result` wrote.

    Raises
    ------
    ProblemError
        The file cannot be read or does not hold a result.

    Examples
    --------
    >>> from mainstream import load_problem, save_result, solve
    >>> from mainstream.io import load_result
    >>> save_result(solve(load_problem("data/problems/tiny.yaml").to_solve(), budget=20), "result.json")
    >>> load_result("result.json")
    <Result: 3 apps, mean f1 0.8331 (optimal), cost 18.56 of 20 ms/s>
    """
    path = Path(path)
    text = read_text(path)
    with naming(path):
        return Result.from_json(text)


def save_result(result: Result, path: Name) -> None:
    """Write a result as JSON.

    Examples
    --------
    >>> from mainstream import load_problem, save_result, solve
    >>> save_result(solve(load_problem("data/problems/tiny.yaml").to_solve(), budget=20), "result.json")
    """
    write_text(Path(path), result.to_json() + "\n")
