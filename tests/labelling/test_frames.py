"""Images cut out of a labelled clip: the right frames under the right labels, groups, and what cannot be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL", reason="needs the extra train", exc_type=ImportError)

from PIL import Image
from support.clips import number_of, write_clip

from mainstream import ProblemError
from mainstream.formats.boxes import Region
from mainstream.labelling.frames import save_frames
from mainstream.trainer.samples import Images
from mainstream.trainer.splits import read_groups, split

FRAMES = 24
INTERVALS = "start,end,label\n2,6,dog\n10,14,dog\n14,16,cat\n"
ROWS = "frame,label\n0,other\n1,other\n3,dog\n4,dog\n20,other\n"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mkv"
    write_clip(path, FRAMES)
    return path


def written(text: str, folder: Path) -> Path:
    (folder / "labels.csv").write_text(text)
    return folder / "labels.csv"


def found_in(folder: Path) -> dict[str, list[int]]:
    """Label -> the numbers that its pictures show, which are those of their names."""
    found: dict[str, list[int]] = {}
    for file in sorted(folder.glob("*/*.jpg")):
        with Image.open(file) as picture:
            assert picture.size == (64, 48)
            number = number_of(np.asarray(picture))
        assert int(file.stem) == number
        found.setdefault(file.parent.name, []).append(number)
    return found


def test_intervals_speak_of_all_frames(clip: Path, tmp_path: Path) -> None:
    counts = save_frames(clip, written(INTERVALS, tmp_path), tmp_path / "images")
    dog, cat = [2, 3, 4, 5, 10, 11, 12, 13], [14, 15]
    rest = [n for n in range(FRAMES) if n not in (*dog, *cat)]
    assert found_in(tmp_path / "images") == {"dog": dog, "cat": cat, "nothing": rest}
    assert counts == {"dog": 8, "cat": 2, "nothing": 14}


def test_labelled_frames_are_those_and_no_others(clip: Path, tmp_path: Path) -> None:
    save_frames(clip, written(ROWS, tmp_path), tmp_path / "images", every=2)
    assert found_in(tmp_path / "images") == {"dog": [4], "other": [0, 20]}


def test_frames_of_one_run_are_one_group_that_a_training_keeps_together(clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    save_frames(clip, written(INTERVALS, tmp_path), folder)
    groups = read_groups(folder / "groups.csv")
    assert len(set(groups.values())) == 6
    assert groups["dog/000002.jpg"] == groups["dog/000005.jpg"] != groups["dog/000010.jpg"]
    given = Images.of(folder, None, folder / "groups.csv")
    assert given.train.classes == ("cat", "dog", "nothing")
    names = [groups[file] for file in given.train.files]
    first, second = split(np.array(given.train.labels), names, 0.3, 0)
    assert not {names[i] for i in first} & {names[i] for i in second}


LEFT = Region(width=0.5)
MOT = "".join(
    f"{number + 1},{who},{left},8,10,20,1\n"
    for who, left, frames in ((1, 2, range(4, 9)), (2, 40, range(7, 13)), (3, 29, range(16, 18)))
    for number in frames
)


def coco(boxes: dict[str, tuple[int, range]]) -> str:
    """Category -> left edge and frames of its boxes."""
    names = list(boxes)
    marked = [(names.index(name), left, number) for name, (left, frames) in boxes.items() for number in frames]
    return json.dumps(
        {
            "images": [{"id": 100 + n, "frame_id": n} for n in range(FRAMES)],
            "categories": [{"id": i, "name": name} for i, name in enumerate(names)],
            "annotations": [
                {"id": i, "image_id": 100 + n, "category_id": c, "bbox": [left, 8, 10, 20]}
                for i, (c, left, n) in enumerate(marked)
            ],
        }
    )


@pytest.mark.parametrize(
    ("region", "frames"),
    [
        (Region(), {*range(4, 13), 16, 17}),
        (LEFT, set(range(4, 9))),  # 3 of the 10 columns of the third box lie in it
        (Region(width=0.5, inside=0.3), {*range(4, 9), 16, 17}),
    ],
)
def test_boxes_of_mot_are_what_they_are_called_where_they_lie_in_the_region(
    clip: Path, tmp_path: Path, region: Region, frames: set[int]
) -> None:
    labels = written(MOT, tmp_path)
    counts = save_frames(clip, labels, tmp_path / "images", region=region, box_label="dog")
    rest = [n for n in range(FRAMES) if n not in frames]
    assert found_in(tmp_path / "images") == {"dog": sorted(frames), "nothing": rest}
    assert counts == {"dog": len(frames), "nothing": len(rest)}


def test_boxes_of_coco_have_their_category_or_the_one_that_is_asked_for(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "boxes.json").write_text(coco({"dog": (2, range(3, 9)), "cat": (40, range(5, 7))}))
    save_frames(clip, tmp_path / "boxes.json", tmp_path / "cats", box_label="cat")
    assert found_in(tmp_path / "cats")["cat"] == [5, 6] and "dog" not in found_in(tmp_path / "cats")
    save_frames(clip, tmp_path / "boxes.json", tmp_path / "left", region=LEFT)
    assert found_in(tmp_path / "left")["dog"] == [*range(3, 9)] and "cat" not in found_in(tmp_path / "left")
    with pytest.raises(ProblemError, match=r"takes one category: frame 5 has two labels, 'cat' and 'dog'"):
        save_frames(clip, tmp_path / "boxes.json", tmp_path / "both")
    with pytest.raises(ProblemError, match=r"has no box with label 'cats'; did you mean 'cat'\?"):
        save_frames(clip, tmp_path / "boxes.json", tmp_path / "both", box_label="cats")
    assert not (tmp_path / "both").exists()


@pytest.mark.parametrize(
    ("text", "region", "called", "message"),
    [
        (MOT, Region(), None, "boxes of MOT have no label; give one with --label NAME"),
        (MOT, Region(y=0.8, height=0.2), "dog", "no box lies far enough inside the region"),
        (MOT + "25,1,40,8,10,20,1\n", LEFT, "dog", "it labels frame 24, but {clip} has frames 0 to 23"),
        (MOT, Region(), "nothing", "label 'nothing' is taken: frames in no interval get it"),
        (INTERVALS, LEFT, None, "has no boxes, so --region, --inside and --label have no effect"),
        (INTERVALS, Region(), "dog", "has no boxes, so --region, --inside and --label have no effect"),
    ],
)
def test_boxes_that_say_nothing_are_told_and_leave_nothing(
    clip: Path, tmp_path: Path, text: str, region: Region, called: str | None, message: str
) -> None:
    labels = written(text, tmp_path)
    with pytest.raises(ProblemError) as refusal:
        save_frames(clip, labels, tmp_path / "images", region=region, box_label=called)
    assert str(refusal.value) == f"{labels}: {message.format(clip=clip)}" or message in str(refusal.value)
    assert [path.name for path in tmp_path.iterdir()] == ["labels.csv"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("start,end,label\n2,60,dog\n", "labels frame 59, but {clip} has frames 0 to 23"),
        ("frame,label\n24,dog\n", "labels frame 24, but {clip} has frames 0 to 23"),
        ("frame,label\n", "it has no rows below its header"),
        ("start,end,label\n", "it has no rows below its header"),
        ("start,end,label\n1,5,dog\n4,8,cat\n", "frame 4 has two labels, 'dog' and 'cat'"),
        ("frame,label\n3,dog\n3,dog\n", "frame 3 has two labels"),
        ("frame,label\n3,../dog\n", "label '../dog' cannot name a folder"),
        ("start,end,label\n3,9,..\n", "label '..' cannot name a folder"),
        ("start,end,label\n3,9,nothing\n", "label 'nothing' is taken: frames in no interval get it"),
        ("frame,label\n3,dog\n5,dog\n", "no frame that it labels has a number that is a multiple of 4"),
    ],
)
def test_what_cannot_be_is_told_and_leaves_nothing(clip: Path, tmp_path: Path, text: str, message: str) -> None:
    labels = written(text, tmp_path)
    with pytest.raises(ProblemError) as refusal:
        save_frames(clip, labels, tmp_path / "images", every=4)
    assert str(refusal.value).startswith(f"{labels}: ")
    assert message.format(clip=clip) in str(refusal.value) and "\n" not in str(refusal.value)
    assert [path.name for path in tmp_path.iterdir()] == ["labels.csv"]


def test_a_folder_that_is_taken_is_left_as_it_is(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "mine").write_text("kept")
    with pytest.raises(ProblemError, match="images: it is not empty"):
        save_frames(clip, written(ROWS, tmp_path), tmp_path / "images")
    with pytest.raises(ProblemError, match="images: cannot be created"):
        save_frames(clip, written(ROWS, tmp_path), tmp_path / "nowhere" / "images")
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["mine"]


def test_the_command_says_how_many_and_refuses_in_one_line(clip: Path, tmp_path: Path) -> None:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "mainstream", "images", *map(str, arguments)]
        return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)

    labels = written(INTERVALS, tmp_path)
    done = run(clip, "--labels", labels, "-o", tmp_path / "images", "--nothing", "street")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:3] == ["cat     2 images", "dog     8 images", "street  14 images"]
    (tmp_path / "gt.txt").write_text(MOT)
    quiet = run(clip, "--labels", labels, "-o", tmp_path / "quiet", "-q")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    done = run(clip, "--labels", tmp_path / "gt.txt", "-o", tmp_path / "left", "--label=dog", "--region=0,0,0.5,1")
    assert done.stdout.splitlines()[:2] == ["dog      5 images", "nothing  19 images"], done.stderr
    outside = run(clip, "--labels", tmp_path / "gt.txt", "-o", tmp_path / "l", "--label=dog", "--region=0.6,0,0.5,1")
    assert outside.returncode == 2 and outside.stderr.count("\n") == 1 and "outside the frame" in outside.stderr
    missing = run(clip, "--labels", tmp_path / "no.csv", "-o", tmp_path / "more")
    assert missing.returncode == 2 and missing.stderr.count("\n") == 1 and "no.csv" in missing.stderr
