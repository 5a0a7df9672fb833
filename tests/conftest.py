"""OR-Tools before TensorFlow: in this order both work in one process, see mainstream/solver/cp_sat_subprocess.py."""

import ortools.sat.python.cp_model  # noqa: F401
