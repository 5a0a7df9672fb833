"""Accuracy curves and the CSV files that hold them."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Final, NamedTuple

from mainstream.description import Description
from mainstream.errors import ProblemError
from mainstream.files import csv_rows, naming, read_text, write_text
from mainstream.problem import curve_text
from mainstream.ranges import Probability, Whole

CURVE_COLUMNS: Final = ("num_frozen", "accuracy", "false_positive_rate")
_LARGEST: Final = 2**20
"""The most bytes of a curve; one with a thousand chokepoints has 50,000."""


class Curve(NamedTuple):
    """An accuracy curve: `num_frozen` -> per-frame rates; `false_positive_rates` is None if not measured.

    Examples
    --------
    >>> from mainstream.io import Curve
    >>> Curve(accuracies={0: 0.95, 40: 0.9}, false_positive_rates=None)
    <Curve: accuracy 0.95 to 0.9 at 2 chokepoints>
    """

    accuracies: dict[int, float]
    false_positive_rates: dict[int, float] | None

    def __repr__(self) -> str:
        alarms = "" if self.false_positive_rates is None else ", with false positive rates"
        return f"<Curve: {curve_text(self.accuracies) if self.accuracies else 'empty'}{alarms}>"


def load_curve(path: str | PathLike[str]) -> Curve:
    """Read an accuracy curve from CSV with the columns num_frozen, accuracy and, if measured, false_positive_rate.

    Raises
    ------
    ProblemError
        The file cannot be read, or a column or a value is wrong.

    Examples
    --------
    >>> from mainstream.io import load_curve
    >>> load_curve("data/curves/person.csv")
    <Curve: accuracy 0.995 to 0.969 at 11 chokepoints, with false positive rates>
    """
    path = Path(path)
    text = read_text(path, largest=_LARGEST)
    with naming(path):
        return _curve(text)


def save_curve(curve: Curve, path: str | PathLike[str]) -> None:
    """Write an accuracy curve as CSV; :func:`load_curve` reads it back, equal.

    Examples
    --------
    >>> from mainstream.io import Curve, load_curve, save_curve
    >>> save_curve(Curve({0: 0.95, 40: 0.9}, None), "dogs.csv")
    >>> load_curve("dogs.csv")
    <Curve: accuracy 0.95 to 0.9 at 2 chokepoints>
    """
    rates = curve.false_positive_rates
    rows = [",".join(CURVE_COLUMNS if rates is not None else CURVE_COLUMNS[:2])]
    for f in sorted(curve.accuracies):
        rows.append(f"{f},{curve.accuracies[f]!r}" + (f",{rates[f]!r}" if rates is not None else ""))
    write_text(Path(path), "\n".join(rows) + "\n")


class _Row(Description):
    """One line of a curve file."""

    num_frozen: Whole
    accuracy: Probability
    false_positive_rate: Probability | None = None


def _curve(text: str) -> Curve:
    rows: dict[int, _Row] = {}
    for where, keys in csv_rows(text, CURVE_COLUMNS[:2], optional=CURVE_COLUMNS[2]):
        row = _Row.of(keys, where=where)
        if row.num_frozen in rows:
            raise ProblemError(f"{where}: num_frozen {row.num_frozen} is listed twice")
        rows[row.num_frozen] = row
    return Curve(
        {f: row.accuracy for f, row in rows.items()},
        {f: row.false_positive_rate for f, row in rows.items() if row.false_positive_rate is not None} or None,
    )
