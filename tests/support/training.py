"""A small training, in this process or as tasks of an executor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mainstream.executors import Executor
from mainstream.graphs.backend import use_threads
from mainstream.trainer import Training, train
from mainstream.trainer.fitting import Apart
from mainstream.trainer.settings import load_settings

CPUS = 2
CACHE_GB = 2e-4
"""Enough for the activations at chokepoint 13, not for those at 5."""


def trained(given: Path, out: Path, executor: Executor | None = None, **more: Any) -> Training:
    """An app of the images and the settings in `given`."""
    keywords = {key: more.pop(key) for key in ("resume", "progress") if key in more}
    settings = {**load_settings(given / "config.yaml"), **more}
    apart = None if executor is None else Apart(executor, CPUS)
    folders = {"model_dir": out / "models", "log_dir": out / "logs"}
    keywords |= {"cache_gb": CACHE_GB, "keep_all": True, "apart": apart}
    return train("shapes", given / "images", settings=settings, **folders, **keywords)


def trained_here(given: Path, out: Path) -> Training:
    """To be run as a task, so that TensorFlow has the threads and kernels that it has in tasks."""
    use_threads(CPUS)
    return trained(given, out)
