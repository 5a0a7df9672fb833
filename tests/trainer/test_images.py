"""What is read from image folders, how it is split, and the settings of a training."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL", reason="needs the extra train", exc_type=ImportError)

from PIL import Image

from mainstream.errors import ProblemError
from mainstream.trainer.images import Frames, find, read, usual_size
from mainstream.trainer.settings import Settings, load_settings
from mainstream.trainer.splits import read_groups, split


def save(path: Path, picture: Image.Image, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **options)


def pictures(folder: Path, size: int = 8) -> tuple[list[Frames], dict[str, str]]:
    found: list[Frames] = []
    return found, read(find(folder), size, size, found.append, lambda done: None)


def test_pictures_are_rgb_at_the_networks_size_in_the_order_of_their_names(tmp_path: Path) -> None:
    save(tmp_path / "a/1.png", Image.new("RGB", (30, 10), (10, 20, 30)))
    save(tmp_path / "a/2.JPG", Image.new("RGB", (8, 8), (200, 100, 50)), format="JPEG", quality=100)
    save(tmp_path / "b/1.jpeg", Image.new("L", (5, 9), 77))
    save(tmp_path / "b/2.png", Image.new("P", (9, 9)))
    (tmp_path / "b/notes.txt").write_text("no picture", encoding="utf-8")
    (tmp_path / "b/.3.png").write_text("hidden", encoding="utf-8")
    folder = find(tmp_path)
    assert (folder.classes, folder.labels) == (("a", "b"), (0, 0, 1, 1))
    found, broken = pictures(tmp_path)
    assert not broken
    assert [picture.shape for picture in found] == [(8, 8, 3)] * 4
    for picture, colour in zip(found, [(10, 20, 30), (200, 100, 50), (77, 77, 77), (0, 0, 0)], strict=True):
        assert np.abs(picture.astype(int) - colour).max() <= 2


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    cut_out = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    cut_out.paste((0, 0, 255, 255), (0, 0, 8, 4))
    save(tmp_path / "a/1.png", cut_out)
    save(tmp_path / "b/1.png", Image.new("LA", (8, 8), (9, 0)))
    found, _ = pictures(tmp_path)
    assert found[0][0, 0].tolist() == [0, 0, 255]
    assert found[0][7, 7].tolist() == [255, 255, 255]
    assert found[1][4, 4].tolist() == [255, 255, 255]


def test_a_picture_taken_upright_is_upright(tmp_path: Path) -> None:
    picture = Image.new("RGB", (8, 8), "black")
    picture.paste((255, 255, 255), (0, 0, 8, 2))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    save(tmp_path / "a/1.jpg", picture, exif=exif, quality=100)
    save(tmp_path / "b/1.png", picture)
    found, _ = pictures(tmp_path)
    assert found[0][7].mean() > 200
    assert found[0][0].mean() < 50


def test_broken_files_are_named_and_skipped(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / name / "good.png", Image.effect_noise((64, 64), 50).convert("RGB"))
    whole = (tmp_path / "a/good.png").read_bytes()
    (tmp_path / "a/cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "a/empty.jpg").write_bytes(b"")
    (tmp_path / "b/text.png").write_bytes(b"not a picture")
    (tmp_path / "b/folder.png").mkdir()
    found, broken = pictures(tmp_path)
    assert set(broken) == {"a/cut.png", "a/empty.jpg", "b/text.png", "b/folder.png"}
    assert broken["b/text.png"] == "no image"
    assert all("\n" not in why for why in broken.values())
    assert len(found) == 2
    assert find(tmp_path).without(broken).files == ("a/good.png", "b/good.png")
    with pytest.raises(ProblemError, match=r"b: none of its images can be read .*folder.png"):
        find(tmp_path).without({**broken, "b/good.png": "gone"})


def parts(labels: list[int], groups: list[str] | None = None, share: float = 0.2, seed: int = 0) -> list[list[int]]:
    both = split(np.array(labels), groups or [str(i) for i in range(len(labels))], share, seed)
    return [part.tolist() for part in both]


@pytest.mark.parametrize("seed", range(5))
def test_a_split_has_the_same_share_of_each_class(seed: int) -> None:
    counts = [50, 20, 5, 3]
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    first, second = parts(labels, seed=seed)
    assert sorted(first + second) == list(range(len(labels)))
    assert np.bincount(np.array(labels)[second]).tolist() == [10, 4, 1, 1]
    assert parts(labels, seed=seed) == [first, second]
    assert parts(labels, seed=seed + 1) != [first, second]


@pytest.mark.parametrize("seed", range(5))
def test_a_group_is_on_one_side(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, 300).tolist()
    groups = [f"{i // 6}" for i in range(300)]  # six in a row, of all classes, as in a video
    first, second = parts(labels, groups, seed=seed)
    assert not {groups[row] for row in first} & {groups[row] for row in second}
    for label in range(3):
        share = np.mean([labels[row] == label for row in second]) / np.mean([one == label for one in labels])
        assert 0.5 < share < 1.5
    assert 0.15 < len(second) / 300 < 0.25


def test_groups_are_read_from_csv(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_text('a/1.png, one\n\n"a/2, b.png",two\n', encoding="utf-8")
    assert read_groups(path) == {"a/1.png": "one", "a/2, b.png": "two"}
    for text, message in {
        "a/1.png\n": "line 1: 1 values; it has to have 2: image, group",
        "a,b\na,c\n": "line 2: image 'a' is listed twice",
    }.items():
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ProblemError) as info:
            read_groups(path)
        assert str(info.value) == f"{path}: {message}"


INI = """
[finetune-config]
net = MobileNetV2
n = 96
batch_size = 16         ; comment
max_nb_epoch = 7
patience = 2
data_augmentation = yes
heavy_augmentation = 0
early_stop = True
optimizer = Adamax
decay = 1e-6
learning-rate = 1e-3
"""
YAML = """
net: MobileNetV2
n: 96
batch_size: 16
max_nb_epoch: 7
patience: 2
data_augmentation: yes
heavy_augmentation: false
early_stop: true
optimizer: Adamax
decay: 1e-6
learning-rate: 1e-3
"""


def test_the_same_settings_as_ini_and_as_yaml(tmp_path: Path) -> None:
    (tmp_path / "c.ini").write_text(INI, encoding="utf-8")
    (tmp_path / "c.yaml").write_text(YAML, encoding="utf-8")
    settings = [Settings.of(load_settings(tmp_path / name)) for name in ("c.ini", "c.yaml")]
    assert settings[0] == settings[1]
    assert settings[0] == Settings(
        net="MobileNetV2",
        n=96,
        batch_size=16,
        max_nb_epoch=7,
        patience=2,
        data_augmentation=True,
        optimizer="adamax",
        decay=1e-6,
        learning_rate=1e-3,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[finetune]\nn = 96\n", "has [finetune]; it has to have one section, [finetune-config]"),
        ("n = 96\n", "not an INI file: File contains no section headers. file: '<string>', line: 1 'n = 96\\n'"),
        ("[finetune-config]\nbatchsize = 3\n", "settings: unknown key 'batchsize'; did you mean 'batch_size'?"),
        (
            "[finetune-config]\nbatch_size = 0\n",
            "settings: batch_size: got '0'; it has to be a whole number, 1 or more",
        ),
        ("[finetune-config]\noptimizer = adman\n", "settings: optimizer: got 'adman'; it has to be 'adam', 'adamax'"),
        ("[finetune-config]\nearly_stop = maybe\n", "settings: early_stop: got 'maybe'; it has to be true or false"),
        ("[finetune-config]\nlearning-rate = -1\n", "settings: learning_rate: got '-1'; it has to be a finite number"),
        ("[finetune-config]\nvalidation = 1\n", "settings: validation: got '1'; it has to be"),
    ],
)
def test_what_is_wrong_with_a_configuration_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "c.ini"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ProblemError) as info:
        load_settings(path)
    assert str(info.value).startswith(f"{path}: {message}")
    assert "\n" not in str(info.value)


def test_pictures_of_many_proportions_are_hardly_whole_frames(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was held upright: 48 x 64 to whoever looks at it
    for number, size in enumerate([(64, 48), (64, 48), (60, 45), (640, 480)]):
        save(tmp_path / f"a/{number}.png", Image.new("RGB", size))
    save(tmp_path / "b/1.jpg", Image.new("RGB", (48, 64)), exif=turned)
    (tmp_path / "b/2.jpg").write_bytes(b"no picture")
    monkeypatch.setattr(logging.getLogger("mainstream"), "propagate", True)  # commands of other tests turn it off
    assert usual_size(find(tmp_path)) == (64, 48) and not caplog.text
    for number in range(3):
        save(tmp_path / f"b/crop-{number}.png", Image.new("RGB", (30, 60)))
    assert usual_size(find(tmp_path)) == (62, 54)
    assert "the pictures' proportions differ, from 0.5 to 1.3: an app sees the whole frames" in caplog.text
