"""Files that hang, have no end, are far too large, or hold what is none of the reader's business: one line each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mainstream import ProblemError
from mainstream.files import read_text, write_text
from mainstream.formats.curve import load_curve
from mainstream.io import load_problem


def problem(folder: Path, curve: str) -> Path:
    path = folder / "problem.yaml"
    path.write_text(
        "video: {stream_fps: 10}\nmodel: {total_layers: 2, layer_latencies: [1, 1]}\n"
        f"apps:\n  - {{app_id: 1, event_length_ms: 1000, curve: '{curve}'}}\n"
    )
    return path


def refused(path: Path) -> str:
    with pytest.raises(ProblemError) as caught:
        load_problem(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/urandom", "pipe"])
def test_devices_and_pipes_are_refused_at_once(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refused(problem(tmp_path, name)).endswith("is a device or a pipe; name a file")


def test_a_file_far_larger_than_its_kind_is_refused(tmp_path: Path) -> None:
    large = tmp_path / "large.csv"
    with large.open("wb") as file:
        file.truncate(100_000_000)
    assert refused(problem(tmp_path, "large.csv")).endswith(
        "large.csv: has more than 1,048,576 bytes, far more than such a file needs"
    )
    with pytest.raises(ProblemError, match="has more than 67,108,864 bytes"):
        load_problem(large)
    read_text(large.with_suffix(".csv"), largest=200_000_000)


def test_what_a_shell_gives_as_a_pipe_is_read() -> None:
    read, write = os.pipe()
    os.write(write, b"text\n")
    os.close(write)
    assert read_text(Path(f"/dev/fd/{read}")) == "text\n"
    os.close(read)


def test_nothing_of_a_file_outside_the_problems_folder_is_told(tmp_path: Path) -> None:
    inside = tmp_path / "problems"
    inside.mkdir()
    for folder in (tmp_path, inside):
        (folder / "secret.csv").write_text("num_frozen,accuracy\nroot:x:0:0,hunter2\n")
    told = refused(problem(inside, "../secret.csv"))
    assert "root:x" not in told and "hunter2" not in told
    assert told.endswith("details are given only for files inside the problem's own folder")
    (inside / "link.csv").symlink_to(tmp_path / "secret.csv")
    assert "root:x" not in refused(problem(inside, "link.csv"))
    assert "'root:x:0:0'" in refused(problem(inside, "secret.csv"))
    assert refused(problem(inside, "../nothing.csv")).endswith("no such file or directory")
    load_curve(Path(__file__).parents[2] / "data" / "curves" / "person.csv")


def test_ctrl_c_while_a_file_is_written_leaves_the_old_one_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def press(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", press)
    with pytest.raises(KeyboardInterrupt):
        write_text(path, "new")
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("a.txt", "old")]
