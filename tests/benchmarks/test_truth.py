"""What benchmarks/truth.py computes for itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

from benchmarks.truth import Replayed, digest
from benchmarks.truth_people import REGIONS, labels_of, shows
from benchmarks.truth_table import tau
from mainstream.evaluation.footage import Footage


def test_tau_is_kendalls_with_ties() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        first, second = random.integers(0, 6, (2, 12)).tolist()
        assert tau(first, second) == pytest.approx(kendalltau(first, second).statistic)


def test_a_replayed_tail_says_what_its_model_said_of_the_frame() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), np.uint8)
    scores = np.eye(3, 2, dtype=np.float32)
    loader = Replayed({"a.pb": dict(zip(map(digest, frames), scores, strict=True))})
    stem = loader.load(Path("a.pb"), "input_layer", "block_5", trusted=False)
    tail = loader.load(Path("a.pb"), "block_5", "softmax", trusted=False)
    whole = loader.load(Path("a.pb"), "input_layer", "softmax", trusted=False)
    for k in (2, 0, 1):
        batch = frames[k : k + 1].astype(np.float32)
        assert (tail(stem(batch))[0] == scores[k]).all() and (whole(batch)[0] == scores[k]).all()


def test_people_are_events_of_the_regions_that_hold_half_of_their_box(tmp_path: Path) -> None:
    """Somebody walks from the left to the right, 50 pixels a frame, through 1,000 x 100 pixels, and back again."""
    steps = [*range(0, 951, 50), *range(950, -1, -50)]
    boxes = tmp_path / "gt.txt"
    boxes.write_text("".join(f"{k},1,{x},40,50,10,1,0,0,0\n" for k, x in enumerate(steps, start=1)))
    clip = Footage(tmp_path / "clip.avi", frames=len(steps) + 5, fps=10.0, width=1000, height=100)
    shown = shows(boxes, clip)
    for name, (left, _, width, _) in REGIONS.items():
        inside = [left * 1000 - 25 <= x <= (left + width) * 1000 - 25 for x in steps] + [False] * 5
        assert shown[name].tolist() == inside
    whole = labels_of(shown, (0, clip.frames))
    assert [len(events) for events in whole.events.values()] == [2, 2, 2]
    first, behind = whole.events[1][0]
    cut = labels_of(shown, (int(first) + 1, clip.frames))
    assert cut.events[1][0].tolist() == [first + 1, behind] and cut.known == (first + 1, clip.frames)
