"""Measures the figures that the project promises, side by side in one run: ``python -m benchmarks``."""

from __future__ import annotations

import os
from typing import Final

ONE_CORE: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")

# Set before numpy is imported, since the figures are for one core. CP-SAT and HiGHS get their two cores by their own
# parameters.
for _name in ONE_CORE:
    os.environ[_name] = "1"
