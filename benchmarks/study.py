"""The tables of benchmarks/study.md: ``python -m benchmarks.study FOLDER``, after ``benchmarks/study.sh FOLDER``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mainstream.formats.sweep import SweepRow, load_sweep

RIVALS = ("no-sharing", "max-sharing", "max-sharing-best", "static-fps", "greedy", "greedy-released")


class Study:
    """The objectives of one event model: by budget and version, those of each workload, in one order.

    Only workloads in which every version has a schedule within that budget count.
    """

    def __init__(self, rows: Iterable[SweepRow]) -> None:
        found: dict[str, dict[str, dict[str, SweepRow]]] = {}
        for row in rows:
            found.setdefault(row.asked, {}).setdefault(row.id, {})[row.version] = row
        self.left_out = 0
        self.apps: dict[str, NDArray[np.int64]] = {}
        self.objectives: dict[str, dict[str, NDArray[np.float64]]] = {}
        for asked, workloads in found.items():
            whole = [one for one in workloads.values() if all(row.fits for row in one.values())]
            self.left_out += len(workloads) - len(whole)
            self.apps[asked] = np.array([one["mainstream"].apps for one in whole])
            self.objectives[asked] = {
                version: np.array([one[version].objective for one in whole]) for version in ("mainstream", *RIVALS)
            }

    def gain(self, asked: str, rival: str, of: NDArray[np.bool_] | None = None) -> tuple[float, float]:
        """Mainstream's mean over the rival's, minus 1, and its standard error over the workloads; percent."""
        own, other = (self.objectives[asked][name] for name in ("mainstream", rival))
        if of is not None:
            own, other = own[of], other[of]
        ratio = own.mean() / other.mean()
        error = (own - ratio * other).std(ddof=1) / np.sqrt(len(own)) / other.mean()  # of a ratio of two means
        return 100 * (ratio - 1), 100 * error

    def largest(self, rival: str) -> tuple[float, int, str]:
        """The largest gain in the mean at one number of apps and one budget; percent, apps, budget."""
        every = []
        for asked, apps in self.apps.items():
            for n in np.unique(apps).tolist():
                every.append((self.gain(asked, rival, apps == n)[0], n, asked))
        return max(every)

    def single(self, rival: str) -> float:
        """The largest gain of one workload, percent."""
        ratios = [found["mainstream"] / np.maximum(found[rival], 1e-12) for found in self.objectives.values()]
        return 100 * (max(float(one.max()) for one in ratios) - 1)


def tables(study: Study) -> Iterator[str]:
    """The tables of one event model, as Markdown."""
    yield "| budget | mean F1 of mainstream | " + " | ".join(f"over {rival}" for rival in RIVALS) + " |"
    yield "|---|---|" + "---|" * len(RIVALS)
    for asked, found in study.objectives.items():
        gains = [study.gain(asked, rival) for rival in RIVALS]
        cells = " | ".join(f"{gain:.2f} ± {error:.2f} %" for gain, error in gains)
        yield f"| {asked} | {found['mainstream'].mean():.4f} | {cells} |"
    yield ""
    yield "| mainstream over | largest gain in the mean | at apps, budget | largest gain of one workload |"
    yield "|---|---|---|---|"
    for rival in RIVALS:
        gain, n, asked = study.largest(rival)
        yield f"| {rival} | {gain:.1f} % | {n}, {asked} | {study.single(rival):,.0f} % |"
    yield ""
    counts = [1, 2, 5, 10, 15, 20, 25]
    for asked in study.objectives:
        known = [n for n in counts if (study.apps[asked] == n).sum() > 1]
        yield f"| gain at budget {asked}, apps | " + " | ".join(map(str, known)) + " |"
        yield "|---|" + "---|" * len(known)
        for rival in ("no-sharing", "max-sharing", "max-sharing-best"):
            cells = " | ".join(f"{study.gain(asked, rival, study.apps[asked] == n)[0]:.1f} %" for n in known)
            yield f"| over {rival} | {cells} |"
        yield ""


def main(folder: Path) -> None:
    """Print the tables of both event models."""
    for event_model in ("windowed", "released"):
        rows = load_sweep(folder / f"{event_model}.csv")
        study = Study(rows)
        print(f'### Event model "{event_model}"\n')
        print(f"{len(rows):,} schedules; {study.left_out} pairs of workload and budget without one of some version.\n")
        print("\n".join(tables(study)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
