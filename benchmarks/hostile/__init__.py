"""What hurts the runtime, and how little; one row of the table a file. ``python -m benchmarks.hostile``."""

from __future__ import annotations

import sys

from benchmarks.processes import ROOT

# The cameras and the small models are those of the tests.
sys.path.append(str(ROOT / "tests"))
