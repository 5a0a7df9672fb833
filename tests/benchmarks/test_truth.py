"""What benchmarks/truth.py computes for itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

from benchmarks.truth import Replayed, digest
from benchmarks.truth_table import tau


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
