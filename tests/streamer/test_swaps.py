"""Swaps between different plans: an app of both gets each of its frames while the next plan is loaded."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest
from support.runtime import plan_of, write_models

from mainstream.streamer import LocalRunner

pytest.importorskip("tensorflow", reason="needs the extra run", exc_type=ImportError)
pytest.importorskip("av", reason="needs the extra run")


@pytest.mark.slow
def test_no_frame_is_without_result_over_thirty_swaps_between_different_plans(tmp_path: Path) -> None:
    write_models(tmp_path, [1, 2, 3, 4])
    plans = [plan_of([(cut, 10)] * 4, form=form) for cut, form in ((0, "pb"), (4, "keras"), (6, "pb"), (7, "keras"))]
    out = tmp_path / "results.jsonl"
    with LocalRunner("test://?fps=10&width=640&height=480", tmp_path, window_s=0.2, results=out) as runner:
        for swap in range(30):
            runner.deploy(plans[swap % 4])
    frames = defaultdict(list)
    for line in map(json.loads, out.read_text().splitlines()):
        frames[line["app_id"]].append(line["frame"])
    assert set(frames) == {1, 2, 3, 4}
    for app_id, seen in frames.items():
        missing = sorted(set(range(seen[0], seen[-1] + 1)) - set(seen))
        assert not missing, (app_id, missing, len(seen))
        assert seen == sorted(set(seen))
