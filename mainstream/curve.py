"""Accuracy curves and the CSV files that hold them."""

from __future__ import annotations

import csv
from os import PathLike
from pathlib import Path
from typing import Final, NamedTuple

from mainstream.errors import ProblemError
from mainstream.text import naming, read_text, write_text
from mainstream.validation import Description, Probability, Whole, nearest, shown

CURVE_COLUMNS: Final = ("num_frozen", "accuracy", "false_positive_rate")


class Curve(NamedTuple):
    """An accuracy curve: `num_frozen` -> per-frame rates; `false_positive_rates` is None where not measured."""

    accuracies: dict[int, float]
    false_positive_rates: dict[int, float] | None


def load_curve(path: str | PathLike[str]) -> Curve:
    """An accuracy curve from CSV with the columns num_frozen, accuracy and, where measured, false_positive_rate.

    Raises
    ------
    ProblemError
        The file cannot be read, or a column or a value is not what it has to be.
    """
    path = Path(path)
    lines = read_text(path).splitlines()
    with naming(path):
        return _curve(lines)


def save_curve(curve: Curve, path: str | PathLike[str]) -> None:
    """Write an accuracy curve as CSV; :func:`load_curve` reads it back, equal."""
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


def _curve(lines: list[str]) -> Curve:
    reader = csv.DictReader(lines, strict=True, skipinitialspace=True)
    rows: dict[int, _Row] = {}
    try:
        columns = reader.fieldnames or []
        for column in columns:
            if column not in CURVE_COLUMNS:
                raise ProblemError(f"unknown column {shown(column)}; {nearest(column, CURVE_COLUMNS)}")
        if len(set(columns)) < len(columns) or not {*CURVE_COLUMNS[:2]} <= {*columns}:
            raise ProblemError(f"columns {', '.join(columns)}; needed: {', '.join(CURVE_COLUMNS)} (the last optional)")
        for row in reader:
            where = f"line {reader.line_num}"
            if None in row or None in row.values():
                raise ProblemError(f"{where}: it has to have {len(columns)} values: {', '.join(columns)}")
            made = _Row.of(row, where=where)
            if made.num_frozen in rows:
                raise ProblemError(f"{where}: num_frozen {made.num_frozen} stands twice")
            rows[made.num_frozen] = made
    except csv.Error as error:
        raise ProblemError(f"no CSV: {error}") from None
    if not rows:
        raise ProblemError("it has no rows below its header")
    return Curve(
        {f: row.accuracy for f, row in rows.items()},
        {f: row.false_positive_rate for f, row in rows.items() if row.false_positive_rate is not None} or None,
    )
