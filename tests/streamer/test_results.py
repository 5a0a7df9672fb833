"""The results file: whole lines only, and a full disk that costs results and nothing else."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from support.failing_models import alone, write_matrix
from support.full_disk import full_disk
from support.third_party import MATRICES
from support.waiting import comes_true

from mainstream.streamer import LocalRunner, results
from mainstream.streamer.results import Analysis, ResultsFile

pytest.importorskip("av", reason="needs the extra run")


def one(frame: int) -> Analysis:
    return Analysis(1.0, frame, 7, np.array([0.25, 0.75]), None, None, None)


def frames_of(path: Path) -> list[int]:
    return [json.loads(line)["frame"] for line in path.read_text().splitlines()]


def test_a_full_disk_pauses_the_results_and_leaves_whole_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "_PAUSE_S", 0.0)
    path = tmp_path / "results.jsonl"
    file = ResultsFile(path)
    with caplog.at_level(logging.WARNING):
        with full_disk(1000):
            written = [file.write(one(frame)) for frame in range(50)]
        written += [file.write(one(frame)) for frame in range(50, 60)]
    file.close()
    assert frames_of(path) == [frame for frame, whole in enumerate(written) if whole]
    assert 0 < sum(written[:50]) < 20 and all(written[50:])
    paused, again = [record.getMessage() for record in caplog.records]
    assert paused.endswith("cannot be written: File too large; results pause until it can be written again") or (
        "No space left" in paused
    )
    assert again.endswith(f"{50 - sum(written[:50])} lines are lost")


def results_lost(runner: LocalRunner) -> float:
    return runner.registry.get_sample_value("mainstream_results_lost_total") or 0


def test_analysis_goes_on_while_the_disk_is_full(tmp_path: Path) -> None:
    write_matrix(tmp_path / "net.npz")
    path = tmp_path / "results.jsonl"
    source = "test://?fps=50&width=32&height=32"
    with LocalRunner(source, tmp_path, engine=MATRICES, window_s=0.5, results=path) as runner:
        runner.deploy(alone((1, "net.npz"), fps=50))
        with full_disk(path.stat().st_size + 1000):
            analysed = runner.rates()[0].analysed
            comes_true(lambda: results_lost(runner) > 10 and runner.rates()[0].analysed > analysed + 30)
        lost, last = results_lost(runner), frames_of(path)[-1]
        comes_true(lambda: frames_of(path)[-1] > last)
    frames = frames_of(path)
    assert frames == sorted(frames) and max(np.diff(frames)) > lost / 2


@pytest.mark.parametrize(
    ("left", "kept"),
    [(b'{"frame": 1}\n{"fra', b'{"frame": 1}\n'), (b'{"fra', b""), (b'{"frame": 1}\n', b'{"frame": 1}\n')],
)
def test_half_a_line_that_a_killed_process_left_is_taken_away(tmp_path: Path, left: bytes, kept: bytes) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(left)
    file = ResultsFile(path)
    file.write(one(9))
    file.close()
    assert path.read_bytes().startswith(kept)
    assert frames_of(path)[-1] == 9
