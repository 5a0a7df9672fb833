"""Streamer's cameras.toml and models.toml, with all that real ones hold besides."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mainstream import ProblemError
from mainstream.formats.streamer_config import CameraEntry, ModelEntry, camera_of, model_of
from mainstream.streamer.sources import open_source

CAMERAS = """
[[camera]]
name = "gate"
video_uri = "rtsp://10.0.0.5/live"
mac = "00:11:22:33:44:55"
width = 1280
height = 720
tile_up_command = "/usr/bin/up"

[[camera]]
name = "yard"
video_uri = "file:///srv/clips/yard.mp4"

[[camera]]
name = "blind"
width = 640

[[camera]]
name = "pipeline"
video_uri = "gst://videotestsrc ! appsink"
"""

MODELS = """
[[model]]
name = "mobilenet"
type = "tensorflow"
type_version = 1
desc_path = "mobilenet.pb"
params_path = ""
label_file = "labels.txt"
input_width = 224
input_height = 192
input_channels = 3
default_input_layer = "input"
default_output_layer = "softmax"
last_layer = "softmax"
default_batch_size = 1

[[model]]
name = "small"
type = "tensorflow"
desc_path = "small.pb"
input_width = "wide"
input_height = 96
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cameras.toml").write_text(CAMERAS, encoding="utf-8")
    (tmp_path / "models.toml").write_text(MODELS, encoding="utf-8")
    return tmp_path


def refused(look_up: Callable[[Path, str], object], folder: Path, name: str) -> str:
    with pytest.raises(ProblemError) as caught:
        look_up(folder, name)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(folder), "DIR")


def test_a_camera_and_a_model_are_found_by_name_and_other_keys_passed_over(folder: Path) -> None:
    assert camera_of(folder, "gate") == CameraEntry(
        name="gate", video_uri="rtsp://10.0.0.5/live", width=1280, height=720
    )
    assert camera_of(str(folder), "yard") == CameraEntry(name="yard", video_uri="file:///srv/clips/yard.mp4")
    assert model_of(folder, "mobilenet") == ModelEntry(
        name="mobilenet",
        type="tensorflow",
        desc_path="mobilenet.pb",
        input_width=224,
        input_height=192,
        default_input_layer="input",
        default_output_layer="softmax",
    )


@pytest.mark.parametrize(
    ("look_up", "name", "message"),
    [
        (camera_of, "gaet", "DIR/cameras.toml: no camera 'gaet'; did you mean 'gate'?"),
        (camera_of, "roof", "DIR/cameras.toml: no camera 'roof'; known: gate, yard, blind, pipeline"),
        (camera_of, "blind", "DIR/cameras.toml: camera 'blind': missing key 'video_uri'"),
        (model_of, "mobilenett", "DIR/models.toml: no model 'mobilenett'; did you mean 'mobilenet'?"),
        (
            model_of,
            "small",
            "DIR/models.toml: model 'small': input_width: got 'wide'; it has to be a whole number, 1 or more",
        ),
    ],
)
def test_what_is_not_there_or_wrong_is_said_with_file_and_name(
    folder: Path, look_up: Callable[[Path, str], object], name: str, message: str
) -> None:
    assert refused(look_up, folder, name).startswith(message)


def test_what_is_wrong_with_another_camera_does_not_matter(folder: Path) -> None:
    (folder / "cameras.toml").write_text(CAMERAS + "[[camera]]\nvideo_uri = 5\n[[camera]]\nname = 7\n")
    assert camera_of(folder, "gate").width == 1280


def test_two_cameras_of_one_name_are_refused(folder: Path) -> None:
    (folder / "cameras.toml").write_text(CAMERAS + '[[camera]]\nname = "gate"\nvideo_uri = "x"\n')
    message = "DIR/cameras.toml: camera 'gate' is there 2 times; give each its own name"
    assert refused(camera_of, folder, "gate") == message


def test_a_gstreamer_pipeline_is_read_and_refused_when_it_is_opened(folder: Path) -> None:
    with pytest.raises(ProblemError, match=r"^'gst://videotestsrc ! appsink': GStreamer pipelines are not run here; "):
        open_source(camera_of(folder, "pipeline").video_uri)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file or directory"),
        ("", "the file is empty"),
        ("# nothing\n", "has no [[camera]]"),
        ("[[model]]\nname = 'gate'\n", "has no [[camera]]"),
        ("[camera]\nname = 'gate'\n", "camera has to be a list of tables, each under [[camera]]"),
        ("camera = ['gate']\n", "camera has to be a list of tables, each under [[camera]]"),
        ("camera = 5\n", "camera has to be a list of tables, each under [[camera]]"),
        ("[[camera]\nname = 'gate'\n", "not TOML: "),
        ("[[camera]]\nname = gate\n", "not TOML: "),
        ("[[camera]]\nname = 'gate'\nname = 'yard'\n", "not TOML: "),
        (
            "[[camera]]\nname = 'gate'\nvideo_uri = ''\n",
            "camera 'gate': video_uri: got ''; it has to be text, and not empty",
        ),
        ("[[camera]]\nname = 'gate'\nvideo_uri = 5\n", "camera 'gate': video_uri: got 5; it has to be text"),
        ("[[camera]]\nname = 'gate'\nvideo_uri = 'a'\nwidth = 0\n", "camera 'gate': width: got 0; it has to be "),
        ("\0", "not TOML: "),
        ("[" * 100_000, "not TOML: "),
        ("a = " + "[" * 100_000, "not TOML: "),
    ],
)
def test_a_file_that_is_none_is_one_line(folder: Path, text: str | None, message: str) -> None:
    (folder / "cameras.toml").unlink()
    if text is not None:
        (folder / "cameras.toml").write_text(text)
    assert refused(camera_of, folder, "gate").startswith(f"DIR/cameras.toml: {message}")


def test_a_file_that_is_no_text_is_one_line(folder: Path) -> None:
    (folder / "models.toml").write_bytes(b"\xff\xfe\0")
    assert refused(model_of, folder, "mobilenet").startswith("DIR/models.toml: no UTF-8 text: ")


def test_the_files_in_the_docs_can_be_read(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "runtime.md").read_text(encoding="utf-8")
    (both,) = re.findall(r"^```toml\n(# cameras.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    for name in ("cameras.toml", "models.toml"):
        assert f"# {name}\n" in both
        (tmp_path / name).write_text(both, encoding="utf-8")
    assert camera_of(tmp_path, "gate").video_uri == "rtsp://10.0.0.5/live"
    assert model_of(tmp_path, "mobilenet").input_width == 224
