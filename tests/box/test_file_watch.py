"""A file counts as changed once whoever writes it has finished."""

from __future__ import annotations

import os
from pathlib import Path

from mainstream.box.file_watch import FileWatch


def test_a_change_is_told_once_when_it_is_the_same_at_two_looks(tmp_path: Path) -> None:
    file = tmp_path / "problem.yaml"
    file.write_text("one")
    watch = FileWatch(file)
    assert not watch.changed()
    with file.open("a") as growing:
        for _ in range(3):
            growing.write("more")
            growing.flush()
            assert not watch.changed()
    assert watch.changed()
    assert not watch.changed() and not watch.changed()


def test_another_file_of_the_name_is_a_change_and_none_is_none(tmp_path: Path) -> None:
    file = tmp_path / "problem.yaml"
    file.write_text("one")
    watch = FileWatch(file)
    (tmp_path / "beside").write_text("two")
    os.utime(tmp_path / "beside", ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    file.unlink()
    assert not watch.changed() and not watch.changed()
    (tmp_path / "beside").rename(file)
    assert not watch.changed() and watch.changed()
