"""OR-Tools before TensorFlow: in this order both work in one process, see mainstream/solver/apart.py."""

import ortools.sat.python.cp_model  # noqa: F401
