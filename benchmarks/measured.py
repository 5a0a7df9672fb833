"""Whether a second round costs what the budget allows: measured compute before and after the profile was corrected.

    python -m benchmarks.measured [--size 96 224] [--schedules 10] [--window 12] [--record]

MobileNetV2 with random weights, profiles of data/profiles, measured on another machine, a stream of 10 fps. Ten seeded
problems of 2 to 6 apps, each with a budget somewhere in the range in which it binds. Each is solved and run twice: with
the profile as it is, and with the one that the first round has corrected. Then the second plan is run again: what
changes from one to the other is the machine. Measured is the CPU time of the threads that run the parts. Ratios are
measured over budget, and over what was predicted for the frames that ran; a schedule may leave some of its budget,
where no other fits better.
"""

from __future__ import annotations

import argparse
import random
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from benchmarks.machine import description, load
from benchmarks.processes import ROOT
from benchmarks.runtime import STREAM_FPS, Box
from mainstream import App, InfeasibleError, Model, Scheduler, Video
from mainstream.experiments.workloads import workload
from mainstream.files import write_text
from mainstream.graphs.backend import use_threads
from mainstream.history import Round
from mainstream.io import load_profile
from mainstream.solver import prepare
from mainstream.streamer import net_plan
from mainstream.streamer.runner import LocalRunner

OUT: Final = Path(__file__).with_name("MEASURED.md")
PROFILES: Final = {
    96: ROOT / "data" / "profiles" / "mobilenetv2-96-xeon.json",
    224: ROOT / "data" / "profiles" / "mobilenetv2-224.json",
}
NEAR: Final = 0.05
_MOST_MS: Final = 100.0
"""Milliseconds a second that get done on a machine that also does other things."""
_SHARES: Final = (0.2, 0.7)
"""Where the budgets lie between the least that has a schedule and the most that is of use."""


def main() -> None:
    """Run for each size and print the tables; ``--record`` keeps them in benchmarks/MEASURED.md."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--size", type=int, nargs="+", default=[96, 224], choices=PROFILES)
    arguments.add_argument("--schedules", type=int, default=10)
    arguments.add_argument("--window", type=float, default=12, help="seconds for which each schedule is measured")
    arguments.add_argument("--record", action="store_true")
    given = arguments.parse_args()
    use_threads(1)
    about = description() | {"command": f"python -m benchmarks.measured {shlex.join(sys.argv[1:])}".strip()}
    text = "\n".join(f"- {key}: {value}" for key, value in about.items()) + "\n"
    print(text)
    for size in given.size:
        with TemporaryDirectory() as folder:
            lines = []
            Box(Path(folder), size, 0)  # writes the model's file
            for line in table(Path(folder), load_profile(PROFILES[size]), given.schedules, given.window):
                print(line, flush=True)
                lines.append(line)
            text += "\n" + "\n".join(lines) + f"\n\nLoad at the end: {load()}.\n"
    if given.record:
        write_text(OUT, f"# Measured compute against the budget\n\n{text}")


def table(folder: Path, profile: Model, schedules: int, window_s: float) -> Iterator[str]:
    """The rows of one profile, and their summary."""
    yield f"{profile.name}, profile of {profile.measured_on}: measured compute, {schedules} random problems\n"
    yield (
        "| apps | budget, ms/s | round 1: of budget | of predicted | round 2: **of budget** | of predicted | "
        "round 2 again, over it |"
    )
    yield "|---|---|---|---|---|---|---|"
    rows = []
    source = f"test://?fps={STREAM_FPS:g}&width={profile.width}&height={profile.height}"
    with LocalRunner(source, folder, window_s=window_s) as runner:
        factor = 1.0
        for seed in range(10 * schedules):
            apps, video = _apps(seed, profile)
            budget = _budget(seed, apps, profile, video, factor)
            try:
                first, better = _round(apps, profile, video, runner, budget)
                factor = first.factor or factor
                second, _ = _round(apps, better, video, runner, budget)
            except InfeasibleError:
                continue
            again = runner.deploy(net_plan(second.result, apps, better)).compute
            repeated = 1000 * (again.cores if again else 0) / (second.measured_compute or 1)
            figures = [*_ratios(first), *_ratios(second), repeated]
            yield f"| {len(apps)} | {budget:.1f} | " + " | ".join(f"{x:.3f}" for x in figures) + " |"
            rows.append(figures)
            if len(rows) == schedules:
                break
    off = np.abs(np.array(rows) - 1)
    yield "| median off by | | " + " | ".join(f"{x:.1%}" for x in np.median(off, axis=0)) + " |"
    yield f"| within {NEAR:.0%} | | " + " | ".join(f"{n} of {len(off)}" for n in (off <= NEAR).sum(axis=0)) + " |"


def _apps(seed: int, profile: Model) -> tuple[list[App], Video]:
    """A random problem on the profile."""
    drawn = workload(2 + seed % 5, seed=seed, rates=round(STREAM_FPS), model=profile)
    models = {app.app_id: dict.fromkeys(app.accuracies, "net.pb") for app in drawn.objects()}
    return [app.model_copy(update={"model_path": models[app.app_id]}) for app in drawn.objects()], drawn.video


def _budget(seed: int, apps: list[App], profile: Model, video: Video, factor: float) -> float:
    """A budget that binds, where schedules cost `factor` times what the profile says."""
    problem = prepare(apps, profile, video)
    least, most = problem.smallest_budget(), problem.useful_budget()
    share = random.Random(seed).uniform(*_SHARES)
    return min(factor * (least + share * (most - least)), _MOST_MS)


def _round(apps: list[App], profile: Model, video: Video, runner: LocalRunner, budget: float) -> tuple[Round, Model]:
    """One round, and the profile that it corrects."""
    history = Scheduler(apps, profile, video, deployer=runner, max_rounds=1).run(budget)
    return history[0], history.profile


def _ratios(one: Round) -> tuple[float, float]:
    """Measured compute over the budget, and over what was predicted."""
    return (one.measured_compute or 0.0) / one.budget, one.factor or 0.0


if __name__ == "__main__":
    main()
