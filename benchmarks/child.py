"""The other end of :func:`benchmarks.processes.apart`: ``python -m benchmarks.child MODULE:FUNCTION JSON``."""

from __future__ import annotations

import importlib
import json
import sys

from benchmarks.processes import peak_gb


def main() -> None:
    """Call the function and print what it returns as the last line of stdout."""
    name, arguments = sys.argv[1:]
    module, function = name.split(":")
    answer = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    print()
    print(json.dumps({**answer, "peak_gb": peak_gb()}))


if __name__ == "__main__":
    main()
