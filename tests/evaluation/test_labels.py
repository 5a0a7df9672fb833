"""What files of labels say, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mainstream import App, ProblemError
from mainstream.evaluation.footage import Footage
from mainstream.evaluation.labels import read_events
from mainstream.evaluation.watched import Watched
from mainstream.formats.boxes import Box, Region


def app(name: str, **keys: Any) -> Watched:
    made = App(app_id=name, accuracies={0: 0.9}, event_length_ms=1000, **keys)
    return Watched(made, name, frozenset(("cat", "dog", "other")))


def read(
    folder: Path,
    text: str,
    watched: Sequence[Watched] = (app("cat"), app("dog")),
    inside: float = 0.5,
    **regions: Region,
) -> tuple[dict[str, list[list[int]]], tuple[int, int]]:
    """The events of each app, and the frames of which something is known; of boxes where the text begins with 1."""
    file = folder / ("gt.txt" if text[0].isdigit() else "labels.csv")
    file.write_text(text)
    found = read_events(file, Footage(Path("clip.avi"), 60, 10.0, 100, 50), watched, regions, inside)
    return {str(name): some.tolist() for name, some in found.events.items()}, found.known


def test_of_frames_that_are_labelled_now_and_then_each_holds_until_the_next(tmp_path: Path) -> None:
    rows = [
        (8, "dog"),
        (12, "dog"),
        (16, "other"),
        (20, "nothing"),
        (24, "cat"),
        (28, "dog"),
        (30, "other"),
        (35, "cat"),
    ]
    events, known = read(tmp_path, "frame,label\n" + "".join(f"{frame},{label}\n" for frame, label in rows))
    assert events == {"dog": [[8, 16], [28, 30]], "cat": [[24, 28], [35, 36]]}
    assert known == (8, 36)


def test_intervals_speak_of_the_whole_clip_and_one_after_the_other_are_two_events(tmp_path: Path) -> None:
    text = "start_s,end_s,label\n1,1.55,dog\n0.26,1,dog\n2,3,other\n"
    assert read(tmp_path, text, [app("dog")]) == ({"dog": [[3, 10], [10, 16]]}, (0, 60))


BOXES = "".join(f"{f},1,{left},10,10,10\n" for f, left in ((1, 0), (2, 0), (3, 80), (5, 0), (60, 80)))


def test_each_label_of_a_file_of_boxes_has_its_region(tmp_path: Path) -> None:
    left, right = Region(width=0.5), Region(x=0.5, width=0.5)
    events, _ = read(tmp_path, BOXES, dog=left, cat=right)
    assert events == {"dog": [[0, 2], [4, 5]], "cat": [[2, 3], [59, 60]]}
    events, _ = read(tmp_path, BOXES)
    assert events["dog"] == events["cat"] == [[0, 3], [4, 5], [59, 60]]


def test_boxes_count_in_an_apps_own_region_where_its_label_is_given_none(tmp_path: Path) -> None:
    """Two apps of one label, each with its half of the picture."""
    left, right = (app(name, region=(x, 0, 0.5, 1)) for name, x in (("left", 0), ("right", 0.5)))
    watched = [Watched(one.app, "dog", one.classes) for one in (left, right)]
    events, _ = read(tmp_path, BOXES, watched)
    assert events == {"left": [[0, 2], [4, 5]], "right": [[2, 3], [59, 60]]}
    events, _ = read(tmp_path, BOXES, watched, dog=Region())
    assert events["left"] == events["right"] == [[0, 3], [4, 5], [59, 60]]
    with pytest.raises(ProblemError, match="app right: the labels have 0 events of 'dog'"):
        read(tmp_path, BOXES.replace(",80,", ",41,"), watched, inside=0.9)


@pytest.mark.parametrize(("inside", "left"), [(0.5, 15.0), (0.9, 19.0), (0.1, 11.0)])
def test_a_box_counts_from_its_share_inside_on(inside: float, left: float) -> None:
    """The region begins at column 20; a box of 10 columns reaches it with a share of (left - 10) / 10."""
    region = Region(x=0.2, width=0.4, inside=inside)
    assert region.holds(Box(0, left, 10, 10, 10), (100, 50))
    assert not region.holds(Box(0, left - 0.01, 10, 10, 10), (100, 50))
    assert not region.holds(Box(0, left, 45, 10, 60), (100, 50)) or inside == 0.1  # 5 of its 60 rows are in the frame
