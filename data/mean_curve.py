"""The mean of accuracy curves over the same chokepoints: ``python data/mean_curve.py OUT.csv CURVE.csv ...``."""

from __future__ import annotations

import sys

from mainstream import ProblemError
from mainstream.io import Curve, load_curve, save_curve


def mean(runs: list[dict[int, float]]) -> dict[int, float]:
    """Mean for each `num_frozen`, to four digits."""
    if any(run.keys() != runs[0].keys() for run in runs):
        raise ProblemError("the curves are not of the same num_frozen")
    return {f: round(sum(run[f] for run in runs) / len(runs), 4) for f in runs[0]}


def main(out: str, *files: str) -> None:
    """Write the mean of the curves in `files`."""
    curves = [load_curve(file) for file in files]
    save_curve(Curve(mean([c.accuracies for c in curves]), mean([c.false_positive_rates or {} for c in curves])), out)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except ProblemError as error:
        sys.exit(f"mean_curve: {error}")
