"""Five times as many apps as the cores can run, and a plan that comes then."""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from benchmarks.hostile.serving import ServerProcess, deployed
from benchmarks.row import Row
from benchmarks.runtime import Box
from mainstream.graphs.part import TENSORFLOW
from mainstream.streamer import NetPlan
from mainstream.streamer.engine import Engine

FPS: Final = 10.0
TIMES: Final = 5
MEASURED_S: Final = 30.0
_BUCKET: Final = 'mainstream_latency_seconds_bucket{{app="{app}",le="{le}"}}'


def rows(folder: Path, _: argparse.Namespace) -> Iterator[Row]:
    """Latencies, how evenly the apps are served, and how soon a plan is taken."""
    box = Box(folder, 224, 1.0)
    (folder / "other.pb").write_bytes((folder / "net.pb").read_bytes())
    alone = box.plan([(0, FPS)], sharing=False)
    TENSORFLOW.start()
    took = min(sum(Engine(alone, TENSORFLOW, folder, FPS).took.values()) for _ in range(3))
    count = math.ceil(TIMES * len(os.sched_getaffinity(0)) / (took * FPS))
    plan = box.plan([(0, FPS)] * count, sharing=False)
    with ServerProcess(folder, "--window", "1", "--load-timeout", "300") as server:
        deployed(server.address, plan)
        time.sleep(5)
        before = server.metrics()
        time.sleep(MEASURED_S)
        after = server.metrics()
        lighter = box.plan([(0, FPS)] * 4).to_json().replace("net.pb", "other.pb")
        accepted = deployed(server.address, NetPlan.from_json(lighter))
    results = {app: _analysed(after, app) - _analysed(before, app) for app in range(1, count + 1)}
    fresh = sum(_within(after, app, 2 / FPS) - _within(before, app, 2 / FPS) for app in results)
    what = f"{count} apps of MobileNetV2 at 224 and {FPS:g} fps, {1000 * took:.0f} ms a frame each"
    total = sum(results.values())
    share = 100 * fresh / total
    yield Row(f"{what}: results within 2 frames", share, "%", figure=99.0, at_least=True, notes=f"of {total:,.0f}")
    fewest, most = min(results.values()), max(results.values())
    yield Row("results of the app with the most over that with the fewest", most / max(fewest, 1), "x", figure=1.5)
    done = total * took / (MEASURED_S * len(os.sched_getaffinity(0)))
    yield Row("of the cores' time, results x time of one", 100 * done, "%", notes="what is left for work")
    notes = "4 apps, whose parts are loaded anew; its second of measuring is taken off"
    yield Row("the next plan is accepted within", accepted - 1.0, "s", figure=5.0, notes=notes)


def _analysed(metrics: Mapping[str, float], app: int) -> float:
    return metrics.get(f'mainstream_latency_seconds_count{{app="{app}"}}', 0.0)


def _within(metrics: Mapping[str, float], app: int, seconds: float) -> float:
    return metrics.get(_BUCKET.format(app=app, le=seconds), 0.0)
