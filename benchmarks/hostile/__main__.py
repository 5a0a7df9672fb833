"""What hurts the runtime, and how little: each row is done to a server of its own, and what it costs is measured.

    python -m benchmarks.hostile [--only ROW] [--count 10000] [--minutes 15] [--record]

Seeds are 0, 1, ...: what is generated is the same in each run. The exit code is 1 when a row misses its
figure, or fails.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Final

from benchmarks import machine
from benchmarks.hostile import cameras, kills, malformed, overload, soak, swaps
from benchmarks.processes import ROOT
from benchmarks.row import Row, collect
from benchmarks.writing import table
from mainstream.files import write_text

OUT: Final = ROOT / "benchmarks" / "HOSTILE.md"
ROWS: Final[dict[str, Callable[[Path, argparse.Namespace], Iterator[Row]]]] = {
    "malformed": malformed.rows,
    "kills": kills.rows,
    "swaps": swaps.rows,
    "overload": overload.rows,
    "cameras": cameras.rows,
    "soak": soak.rows,
}


def main() -> int:
    """Run what is asked for and print a table for each; ``--record`` keeps them in benchmarks/HOSTILE.md."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.hostile", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--count", type=int, default=10_000, help="malformed requests, messages and models")
    parser.add_argument("--minutes", type=float, default=15, help="of the soak")
    parser.add_argument("--record", action="store_true", help="write benchmarks/HOSTILE.md, which git keeps")
    given = parser.parse_args()
    about = machine.description() | {"command": f"python -m benchmarks.hostile {' '.join(sys.argv[1:])}".strip()}
    text = "# The runtime among enemies\n\n" + "\n".join(f"- {key}: {value}" for key, value in about.items()) + "\n"
    print(text, flush=True)
    missed = False
    for name in given.only or ROWS:
        print(f"{name}: ", end="", file=sys.stderr, flush=True)
        began, load = monotonic(), machine.load()
        with TemporaryDirectory() as folder:
            rows: list[Row] = []
            missed |= not collect(ROWS[name](Path(folder), given), rows)
        missed |= any(row.against.startswith("missed") for row in rows)
        took = f"{monotonic() - began:.0f} s; load {load} before, {machine.load()} after"
        part = "\n".join([f"## {name}", "", *table(rows), "", took, ""])
        print(part, flush=True)
        text += f"\n{part}"
        if given.record:
            write_text(OUT, text)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
