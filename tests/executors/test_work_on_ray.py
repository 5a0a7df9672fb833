"""Training and experiments as tasks of a cluster: they give what one process does, and repeat nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the extra train", exc_type=ImportError)

from support.commands import run_here
from support.labelled_images import draw, network, weights
from support.sweeps import same, small_workloads
from support.training import CACHE_GB, CPUS, trained, trained_here

from mainstream.errors import ProblemError
from mainstream.executors import Executor, Task
from mainstream.formats.package import read_package
from mainstream.formats.sweep import load_sweep
from mainstream.trainer import Training

DEEPEST_FIRST = [13, 5, 0]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("given")
    draw(folder / "images", 50)  # more than a block of frames
    config = "max_nb_epoch: 2\nlearning_rate: 0.01\nchokepoints: [5, 13]\n"
    (folder / "config.yaml").write_text(f"{config}net: {network(folder / 'tiny.keras')}\n", encoding="utf-8")
    return folder


def test_the_same_seed_gives_the_same_curve_and_models_whoever_trains_and_in_how_many_goes(
    given: Path, on_ray: Executor, tmp_path: Path
) -> None:
    (task,) = on_ray.run([Task("here", trained_here, (given, tmp_path / "here"), cpus=CPUS)])
    here: Training = task.result()
    seen: list[Any] = []

    def stop(progress: Any) -> None:
        if progress.stage != "reading":
            seen.append(progress)
        if progress.stage == "training":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(given, tmp_path, on_ray, progress=stop)
    # Each block of frames went through the stem once, whatever the number of chokepoints and epochs.
    assert [step.done for step in seen] == [0.5, 1.0, seen[-1].done] and seen[-1].num_frozen == DEEPEST_FIRST[0]
    done = tmp_path / "models/shapes/models/13.keras"
    first = done.stat().st_mtime_ns
    options = [f"--images={given}/images", f"--config={given}/config.yaml", f"--model-dir={tmp_path}/models"]
    options += [f"--log-dir={tmp_path}/logs", f"--cache-gb={CACHE_GB}", "--keep-all", "--resume"]
    ended = run_here("train", "shapes", *options, "--executor", "ray", "--cpus", CPUS)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert done.stat().st_mtime_ns == first, "nothing is trained twice"
    package, curve = read_package(tmp_path / "models/shapes")
    assert curve == here.curve and sorted(package.models) == sorted(DEEPEST_FIRST)
    for k in DEEPEST_FIRST:
        one, other = (weights(folder / "models" / f"{k}.keras") for folder in (here.folder, tmp_path / "models/shapes"))
        for layer, values in one.items():
            for a, b in zip(values, other[layer], strict=True):
                np.testing.assert_array_equal(a, b, err_msg=f"{k} {layer}")


def test_a_chokepoint_that_fails_is_named(given: Path, on_ray: Executor, tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match=r"^num_frozen \d+, epoch \d+: the loss is no longer a finite number"):
        trained(given, tmp_path, on_ray, warm_start=False, learning_rate=1e38, chokepoints=(13,))


def test_an_experiment_goes_on_in_a_cluster_and_writes_what_one_process_does(on_ray: Executor, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    fixed = ["--workloads", small_workloads(tmp_path / "w.jsonl", 3), "--budget", "80%"]

    def run(prefix: Path, *more: str) -> None:
        ended = run_here("experiment", 4, prefix, *fixed, *more)
        assert ended.returncode == 0, ended.stderr

    run(here)
    heading, *lines = here.with_suffix(".csv").read_text(encoding="utf-8").splitlines(keepends=True)
    there.with_suffix(".csv").write_text("".join([heading, *lines[4:]]), encoding="utf-8")  # not the first workload's
    shutil.copy(here.with_suffix(".settings.json"), there.with_suffix(".settings.json"))
    run(there, "--executor", "ray")
    made, kept = (load_sweep(prefix.with_suffix(".csv")) for prefix in (there, here))
    assert same(made, kept) and made[4:] == kept[4:] and made[:4] != kept[:4]  # with the times that they took
    for name in ("mainstream", "maxsharing-best"):
        assert Path(f"{here}-{name}").read_bytes() == Path(f"{there}-{name}").read_bytes()
