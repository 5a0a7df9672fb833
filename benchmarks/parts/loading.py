"""A large problem from its file: reading it beside solving it, and the command that writes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Final

import yaml

from benchmarks.processes import timed
from benchmarks.row import Row, duration
from mainstream.files import yaml_values
from mainstream.io import load_problem
from mainstream.solver import prepare

_APPS: Final = 30_000
_QUICK_APPS: Final = 3_000
_AT_MOST: Final = 2.0
"""Figure to reach: reading takes so many times what solving takes."""


def rows(quick: bool) -> Iterator[Row]:
    """What ``mainstream workloads generate`` writes, read and solved; and the same apps written as other YAML."""
    apps = _QUICK_APPS if quick else _APPS
    prepare([{"app_id": 1, "accuracies": {0: 0.9}, "event_length_ms": 1000}], _MODEL, {"stream_fps": 10}).solve(100)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "many.yaml"
        made = timed([sys.executable, "-m", "mainstream", "workloads", "generate", "-n", str(apps), "-o", str(file)])
        yield Row(f"mainstream workloads generate -n {apps}", made.wall, "s", cpu=made.cpu)
        began, computed = perf_counter(), process_time()
        problem = load_problem(file)
        loaded, computed = perf_counter() - began, process_time() - computed
        began = perf_counter()
        result = prepare(problem.apps, problem.model, problem.video).solve(problem.budget)
        solved = perf_counter() - began
        yield Row(
            f"{apps:,} apps: load_problem() over prepare() and solve()",
            loaded / solved,
            "x",
            figure=_AT_MOST,
            notes=f"loaded in {duration(loaded)} ({duration(computed)} of CPU), solved in {duration(solved)}, "
            f"{result.status}; {file.stat().st_size / 1e6:.3g} MB",
        )
        text = yaml.safe_dump(yaml_values(file.read_text()), default_flow_style=None)
        began = perf_counter()
        yaml_values(text)
        yield Row(
            f"{apps:,} apps: any other YAML over prepare() and solve()",
            (perf_counter() - began) / solved,
            "x",
            notes="its values alone, without apps made of them",
        )


_MODEL: Final = {"total_layers": 2, "layer_latencies": [1.0, 1.0], "frozen_layer_names": {0: "in", 2: "out"}}
