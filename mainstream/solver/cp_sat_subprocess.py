"""CP-SAT in a process of its own, for when this one has loaded what it crashes beside.

TensorFlow and highspy bring parts of what OR-Tools brings too, under the same names; OR-Tools loaded after one of them
ends the process at the first solve. Loaded first, it works.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from dataclasses import replace
from typing import Any, Final

import numpy as np

from mainstream.errors import InfeasibleError, MainstreamError, OutOfTimeError
from mainstream.solver.search import Limits, Outcome

_CLASHING: Final = {"tensorflow", "highspy"}


def would_crash() -> bool:
    """Whether a CP-SAT solve in this process would end it."""
    return bool(_CLASHING & sys.modules.keys()) and "ortools" not in sys.modules


def cp_sat_apart(packed: Any, share: Any, budget: float, limits: Limits, **options: Any) -> Outcome:
    """As :func:`mainstream.solver.cp_sat.cp_sat`, elsewhere; reports no progress."""
    # A clock of another process may have another zero.
    there = replace(limits, time_limit=limits.left_s, started=np.nan, progress=None)
    asked = pickle.dumps((packed, share, budget, there, options))
    answer = subprocess.run(
        [sys.executable, "-m", "mainstream.solver.cp_sat_subprocess"],
        input=asked,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        check=False,
    )
    if answer.returncode != 0:
        raise MainstreamError(f"method 'cp-sat': its process ended with code {answer.returncode}")
    outcome = pickle.loads(answer.stdout)
    if isinstance(outcome, InfeasibleError | OutOfTimeError):
        raise outcome
    assert isinstance(outcome, Outcome)
    return outcome


def _answer() -> None:
    from time import perf_counter

    from mainstream.solver.compilation import compiled_s
    from mainstream.solver.cp_sat import cp_sat

    packed, share, budget, limits, options = pickle.load(sys.stdin.buffer)
    outcome: Outcome | InfeasibleError | OutOfTimeError
    try:
        outcome = cp_sat(
            packed, share, budget, replace(limits, started=perf_counter(), compiled_s=compiled_s()), **options
        )
    except (InfeasibleError, OutOfTimeError) as error:
        outcome = error
    pickle.dump(outcome, sys.stdout.buffer)


if __name__ == "__main__":
    _answer()
