"""The files of an experiment: a tidy CSV with all figures, and files in the published form with a few.

Source of the published form: the experiments released with Jiang et al., "Mainstream", USENIX ATC 2018.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, get_type_hints

from mainstream.errors import ProblemError
from mainstream.files import Name, naming, read_text

Floats = tuple[float, ...]
Whole = tuple[int, ...]


@dataclass(frozen=True)
class SweepRow:
    """One schedule of an experiment, or the fact that there is none.

    Sequences have a value for each app, in the order of the workload. From `restriction` on, all are None or empty if
    no schedule fits the budget. Means are over the apps, unweighted; an app that was left out counts as one that finds
    nothing.

    Attributes
    ----------
    id : str
        The workload: its number of apps, its apps, or its id in the workload file.
    apps : int
    trial : int
        Counted from 1.
    version : str
    asked : str
        The budget as it was given: a number, or a share of the useful range.
    budget : float
        Compute a second.
    status : str
        "optimal", "feasible" or "infeasible".
    event_model, metric, aggregate : str
        As in a result.
    restriction : str
        Which restriction of the version the schedule obeys, such as "chokepoint 90"; empty if there is only one.
    method, mode, unit : str
        As in a result.
    objective, bound, gap, runtime_s, nodes : float
        As in a result; predicted.
    f1, recall, precision, fnr, fpr : float or None
        Means at `rates`; fnr is 1 - recall, fpr is 1 - precision, as published.
    accuracy, relative_accuracy : float
        Means of the per-frame accuracy, and of that accuracy divided by the app's best.
    cost, stem_cost, tail_cost : float
        Compute a second at the target rates, predicted.
    capacity : float or None
        Milliseconds a second of all cores of the profile's device; None if not known, or if the unit is another.
    rates : str
        "target", or "observed" if a runtime has run the schedule.
    objective_at_observed, cost_at_observed : float or None
        What the event model and the cost model predict at the observed rates.
    measured_compute : float or None
        Milliseconds of a core a second that the parts took, measured.
    num_frozen, x_vote : tuple of int
    target_fps, observed_fps, relative_accuracies : tuple of float
    """

    id: str
    apps: int
    trial: int
    version: str
    asked: str
    budget: float
    status: str
    event_model: str
    metric: str
    aggregate: str
    restriction: str = ""
    method: str = ""
    mode: str = ""
    unit: str = ""
    objective: float | None = None
    bound: float | None = None
    gap: float | None = None
    f1: float | None = None
    recall: float | None = None
    precision: float | None = None
    fnr: float | None = None
    fpr: float | None = None
    accuracy: float | None = None
    relative_accuracy: float | None = None
    cost: float | None = None
    stem_cost: float | None = None
    tail_cost: float | None = None
    capacity: float | None = None
    rates: str = ""
    objective_at_observed: float | None = None
    cost_at_observed: float | None = None
    measured_compute: float | None = None
    runtime_s: float | None = None
    nodes: int | None = None
    num_frozen: Whole = ()
    target_fps: Floats = ()
    observed_fps: Floats = ()
    x_vote: Whole = ()
    relative_accuracies: Floats = ()

    @property
    def key(self) -> tuple[str, int, str, str]:
        """Identifies the row within its experiment."""
        return self.id, self.trial, self.version, self.asked

    @property
    def fits(self) -> bool:
        """Whether there is a schedule."""
        return self.status != "infeasible"

    @property
    def kind(self) -> str:
        """What is maximised, and how it is predicted: only rows of one kind can be compared."""
        return f"{'smallest' if self.aggregate == 'min' else 'mean'} {self.metric}, event model {self.event_model}"

    def line(self) -> str:
        """The row as a line of the tidy file."""
        return _line([_text(getattr(self, name)) for name in COLUMNS])

    def published_line(self) -> str:
        """The row as a line of the published file, which has no header.

        Its columns are id, fnr, fpr, the mean loss of relative accuracy, `num_frozen` of each app, and `target_fps` of
        each app. The loss is (best - chosen) / best, as the published code writes it.
        """
        loss = [1.0 - share for share in self.relative_accuracies]
        mean_loss = round(sum(loss) / len(loss), 4) + 0.0
        return _line([self.id, _text(self.fnr), _text(self.fpr), mean_loss, *self.num_frozen, *self.target_fps])


COLUMNS: Final = tuple(field.name for field in fields(SweepRow))
HEADER: Final = ",".join(COLUMNS) + "\n"


def load_sweep(path: Name) -> tuple[SweepRow, ...]:
    """Read the rows of a tidy file; a last line that an interruption has cut off is ignored.

    Raises
    ------
    ProblemError
        The file cannot be read, is not a tidy file, or a row or a value is damaged.
    """
    path = Path(path)
    whole = read_text(path).rpartition("\n")[0]
    with naming(path):
        header, _, body = whole.partition("\n")
        if f"{header}\n" != HEADER:
            raise ProblemError("not the table of an experiment: its first line has other columns")
        return tuple(_row(cells, number) for number, cells in enumerate(csv.reader(io.StringIO(body)), start=2))


def is_sweep(path: Path) -> bool:
    """Whether a file begins as a tidy file does."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline(len(HEADER) + 1) == HEADER
    except (OSError, UnicodeDecodeError):
        return False


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(_text, value))
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


def _line(cells: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


_READ: Final[Mapping[Any, Callable[[str], Any]]] = {
    str: str,
    int: int,
    float: float,
    float | None: lambda text: float(text) if text else None,
    int | None: lambda text: int(text) if text else None,
    Whole: lambda text: tuple(map(int, text.split())),
    Floats: lambda text: tuple(map(float, text.split())),
}
_TYPES: Final = get_type_hints(SweepRow)


def _row(cells: list[str], number: int) -> SweepRow:
    if len(cells) != len(COLUMNS):
        raise ProblemError(f"line {number}: it has {len(cells)} values; it has to have {len(COLUMNS)}")
    try:
        return SweepRow(**{name: _READ[_TYPES[name]](cell) for name, cell in zip(COLUMNS, cells, strict=True)})
    except ValueError as error:
        raise ProblemError(f"line {number}: {error}") from None
