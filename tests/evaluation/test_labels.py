"""What files of labels say, frame by frame."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainstream.evaluation.boxes import Box, Region
from mainstream.evaluation.footage import Footage
from mainstream.evaluation.labels import Labels, read_events


def read(folder: Path, text: str, name: str = "labels.csv", **regions: Region) -> Labels:
    (folder / name).write_text(text)
    return read_events(folder / name, Footage(Path("clip.avi"), 60, 10.0, 100, 50), ["cat", "dog"], ["other"], regions)


def test_of_frames_that_are_labelled_now_and_then_each_holds_until_the_next(tmp_path: Path) -> None:
    found = read(tmp_path, "frame,label\n8,dog\n12,dog\n16,other\n20,nothing\n24,cat\n28,dog\n")
    assert {name: some.tolist() for name, some in found.events.items()} == {
        "dog": [[8, 16], [28, 29]],
        "other": [[16, 20]],
        "nothing": [[20, 24]],
        "cat": [[24, 28]],
    }
    assert found.known == (8, 29)


def test_intervals_speak_of_the_whole_clip_and_one_after_the_other_are_two_events(tmp_path: Path) -> None:
    found = read(tmp_path, "start_s,end_s,label\n1,1.55,dog\n0.26,1,dog\n")
    assert found.events["dog"].tolist() == [[3, 10], [10, 16]]
    assert found.known == (0, 60)


def test_each_label_of_a_file_of_boxes_has_its_region(tmp_path: Path) -> None:
    text = "".join(f"{f},1,{left},10,10,10\n" for f, left in ((1, 0), (2, 0), (3, 80), (5, 0), (60, 80)))
    left, right = Region(width=0.5), Region(x=0.5, width=0.5)
    found = read(tmp_path, text, "gt.txt", dog=left, cat=right)
    assert found.events["dog"].tolist() == [[0, 2], [4, 5]]
    assert found.events["cat"].tolist() == [[2, 3], [59, 60]]
    assert read(tmp_path, text, "gt.txt").events["dog"].tolist() == [[0, 3], [4, 5], [59, 60]]


@pytest.mark.parametrize(("inside", "left"), [(0.5, 15.0), (0.9, 19.0), (0.1, 11.0)])
def test_a_box_counts_from_its_share_inside_on(inside: float, left: float) -> None:
    """The region begins at column 20; a box of 10 columns reaches it with a share of (left - 10) / 10."""
    region = Region(x=0.2, width=0.4, inside=inside)
    assert region.holds(Box(0, left, 10, 10, 10), (100, 50))
    assert not region.holds(Box(0, left - 0.01, 10, 10, 10), (100, 50))
    assert not region.holds(Box(0, left, 45, 10, 60), (100, 50)) or inside == 0.1  # 5 of its 60 rows are in the frame
