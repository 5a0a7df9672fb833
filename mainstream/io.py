"""Files <-> objects: problem YAML or JSON, M-Packages as apps, curve CSV, profile JSON, result JSON,
workloads as JSON lines.

What is wrong with a file is one :class:`~mainstream.errors.ProblemError` that begins with the file's name. Files are
written beside their place and renamed, so that none is ever half written.
"""

from mainstream.formats.curve import Curve, load_curve, save_curve
from mainstream.formats.package_app import load_package
from mainstream.formats.problem import Problem, SolveOptions, load_problem, save_problem
from mainstream.formats.profile import load_profile, save_profile
from mainstream.formats.result import load_result, save_result
from mainstream.formats.workloads import Workloads, load_workloads, save_workloads, workload_id

__all__ = [
    "Curve",
    "Problem",
    "SolveOptions",
    "Workloads",
    "load_curve",
    "load_package",
    "load_problem",
    "load_profile",
    "load_result",
    "load_workloads",
    "save_curve",
    "save_problem",
    "save_profile",
    "save_result",
    "save_workloads",
    "workload_id",
]


def __dir__() -> list[str]:
    return __all__
