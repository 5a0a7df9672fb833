"""The record of a training in the log folder: people read it, and a later run continues from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mainstream.description import shown
from mainstream.errors import ProblemError
from mainstream.files import json_values, naming, read_text, write_text
from mainstream.formats.curve import Curve
from mainstream.trainer.fine_tuning import Epoch


@dataclass
class TrainingState:
    """The chokepoints that have been trained; the files are written after each one.

    ``NAME-accuracy`` has the published lines ``num_frozen,accuracy,fpr``; ``NAME-history.csv`` has a line for each
    epoch; ``NAME-state.json`` has what :meth:`resume` needs.

    Attributes
    ----------
    folder : Path
    name : str
    settings : mapping
        Everything that the result depends on, as plain values.
    """

    folder: Path
    name: str
    settings: Mapping[str, Any]
    accuracies: dict[int, float] = field(default_factory=dict)
    false_positive_rates: dict[int, float] = field(default_factory=dict)
    histories: dict[int, list[Epoch]] = field(default_factory=dict)

    @property
    def curve(self) -> Curve:
        """The curve so far."""
        return Curve(dict(self.accuracies), dict(self.false_positive_rates))

    @property
    def path(self) -> Path:
        """The file to continue from."""
        return self.folder / f"{self.name}-state.json"

    def exists(self) -> bool:
        """Whether there is a training of this name to continue."""
        return self.path.exists()

    def check(self) -> None:
        """Raise :class:`ProblemError` if there is a training of this name with other settings."""
        if self.exists():
            same_settings(self.settings, self._read()["settings"], str(self.path))

    def resume(self) -> None:
        """Take over the chokepoints that were trained before, if any."""
        if self.exists():
            for key, (accuracy, rate, history) in self._read()["done"].items():
                self._put(int(key), accuracy, rate, [Epoch(*row) for row in history])

    def _read(self) -> dict[str, Any]:
        with naming(self.path):
            state = json_values(read_text(self.path))
        if not isinstance(state, dict) or state.keys() != {"settings", "done"}:
            raise ProblemError(f"{self.path}: not the state of a training; remove it to train anew")
        return state

    def add(self, num_frozen: int, accuracy: float, false_positive_rate: float, history: list[Epoch]) -> None:
        """Add a chokepoint and write the files."""
        self._put(num_frozen, accuracy, false_positive_rate, history)
        self.write()

    def _put(self, num_frozen: int, accuracy: float, false_positive_rate: float, history: list[Epoch]) -> None:
        self.accuracies[num_frozen] = accuracy
        self.false_positive_rates[num_frozen] = false_positive_rate
        self.histories[num_frozen] = history

    def write(self) -> None:
        """Write the three files; the state comes last, so that it never tells of more than the others."""
        done = sorted(self.accuracies)
        points = [f"{k},{self.accuracies[k]!r},{self.false_positive_rates[k]!r}\n" for k in done]
        write_text(self.folder / f"{self.name}-accuracy", "".join(points))
        rows = [
            f"{k},{','.join('' if value is None else repr(value) for value in epoch)}\n"
            for k in done
            for epoch in self.histories[k]
        ]
        header = f"num_frozen,{','.join(Epoch._fields)}\n"
        write_text(self.folder / f"{self.name}-history.csv", header + "".join(rows))
        state = {
            "settings": dict(self.settings),
            "done": {k: (self.accuracies[k], self.false_positive_rates[k], self.histories[k]) for k in done},
        }
        write_text(self.path, json.dumps(state, indent=1) + "\n")


def same_settings(ours: Mapping[str, Any], theirs: Mapping[str, Any], where: str) -> None:
    """Raise :class:`ProblemError` unless the settings of two trainings are equal."""
    for key in {**ours, **theirs}:
        own, other = ours.get(key), theirs.get(key)
        if own != other:
            raise ProblemError(
                f"{where} is of a training with other settings: {key} {shown(other)}, now {shown(own)}; "
                "give another name or folder, or remove it to begin anew"
            )
