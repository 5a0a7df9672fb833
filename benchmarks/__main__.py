"""``python -m benchmarks``: measures everything and writes CSV and Markdown; see benchmarks/README.md."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from time import perf_counter

from benchmarks import machine
from benchmarks.parts import PARTS
from benchmarks.processes import ROOT
from benchmarks.row import Row, collect
from benchmarks.writing import markdown, write

_HERE = ROOT / "benchmarks"


def main() -> int:
    """Run the parts in order; the results so far are written after each of them.

    Returns
    -------
    int
        1 if a part could not run to its end.
    """
    given = _arguments()
    stem = _HERE / "RESULTS" if given.record else given.out / "results"
    about = machine.description()
    results: dict[str, tuple[str, list[Row]]] = {}
    failed = False
    for name in given.only or PARTS:
        title, measure = PARTS[name]
        print(f"{name}: ", end="", file=sys.stderr, flush=True)
        started = perf_counter()
        rows: list[Row] = []
        results[name] = title, rows
        failed |= not collect(measure(given.quick), rows)
        print(f" {perf_counter() - started:.0f} s", file=sys.stderr)
        write(results, about | {"load at the end": machine.load()}, stem)
    print(markdown(results, about | {"load at the end": machine.load()}))
    print(f"written: {stem}.md and .csv", file=sys.stderr)
    return int(failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer seeds and smaller sizes: minutes, not tens of them")
    parser.add_argument("--only", action="append", choices=list(PARTS), metavar="NAME", help=", ".join(PARTS))
    parser.add_argument("--out", type=Path, default=_HERE / "out", metavar="DIR", help="default: benchmarks/out")
    parser.add_argument("--record", action="store_true", help="write benchmarks/RESULTS.md and .csv, which git keeps")
    given = parser.parse_args()
    if given.record and (given.quick or given.only):
        parser.error("--record is for a whole run: without --quick and --only")
    return given


if __name__ == "__main__":
    sys.exit(main())
