"""Clips and the test pattern: which frames come, when, at what size; and what cannot be played, in one line."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.clips import av, number_of, picture, write_clip

from mainstream import MissingExtraError, ProblemError
from mainstream.streamer.frames import Frame, StoppableSource
from mainstream.streamer.sources import open_source

NTSC = Fraction(30_000, 1001)
FORMS = [
    ("clip.avi", "mpeg4"),
    ("clip.avi", "mjpeg"),
    ("clip.mp4", "libx264"),
    ("clip.mkv", "libx264"),
    ("clip.ts", "libx264"),
]


def number_in(frame: Frame) -> int:
    return number_of(frame.pixels(24, 32, 3))


def refused(uri: Any, **options: Any) -> str:
    with pytest.raises(ProblemError) as caught, open_source(uri, paced=False, **options) as source:
        list(source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 frames, 10 fps."""
    path = tmp_path_factory.mktemp("clips") / "clip.avi"
    write_clip(path)
    return path


@pytest.mark.parametrize(("name", "codec"), FORMS)
@pytest.mark.parametrize("fps", [10, NTSC])
def test_a_clip_gives_each_of_its_frames_once_in_order(tmp_path: Path, name: str, codec: str, fps: Fraction) -> None:
    write_clip(tmp_path / name, frames=40, fps=fps, codec=codec)
    with open_source(tmp_path / name, paced=False) as source:
        assert source.fps == float(fps)
        assert not source.live
        frames = list(source)
    assert [frame.number for frame in frames] == list(range(40))
    assert [number_in(frame) for frame in frames] == list(range(40))
    assert [frame.time_s for frame in frames] == [number / float(fps) for number in range(40)]
    assert source.reconnects == 0


def test_a_loop_begins_again_and_numbers_and_times_go_on(clip: Path) -> None:
    with open_source(clip, loop=True, paced=False) as source:
        frames = list(itertools.islice(source, 50))
    assert [frame.number for frame in frames] == list(range(50))
    assert [number_in(frame) for frame in frames] == [number % 20 for number in range(50)]
    assert frames[49].time_s == 4.9


@pytest.mark.parametrize("source_of", ["clip", "test://?fps=10&frames=20"])
def test_frames_never_come_early_and_one_that_was_late_makes_no_other_late(clip: Path, source_of: str) -> None:
    with open_source(clip if source_of == "clip" else source_of) as source:
        came: list[float] = []
        for frame in source:
            came.append(time.monotonic())
            if frame.number == 5:
                time.sleep(0.55)  # frames 6 to 10 fall due meanwhile
    since = [at - came[0] for at in came]
    assert all(at >= number / 10 - 1e-4 for number, at in enumerate(since))
    late = [at - number / 10 for number, at in enumerate(since)]
    assert min(late[12:]) < 0.3, late  # with a drift all of them would be above 0.5


def test_without_pacing_a_clip_takes_less_than_its_time(clip: Path) -> None:
    with open_source(clip, paced=False) as source:
        began = time.monotonic()
        assert len(list(source)) == 20
        assert time.monotonic() - began < 1.9


def test_pixels_are_the_frame_as_pillow_would_resize_it(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="needs the extra train")
    height, width = 240, 320
    y, x = np.mgrid[:height, :width]
    rings = 127 + 110 * np.sin(np.hypot(y - 100, x - 130)[..., None] / [9, 14, 23])
    with av.open(str(tmp_path / "rings.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(rings.astype(np.uint8))))
        container.mux(stream.encode(None))
    with open_source(tmp_path / "rings.mkv", paced=False) as source:
        (frame,) = source
    whole = frame.pixels(height, width, 3)
    assert np.abs(whole.astype(int) - rings.astype(np.uint8)).mean() < 3  # the chroma has half the resolution
    for size in (32, 96, 224):
        pillow = image.fromarray(whole).resize((size, size), image.Resampling.BILINEAR)
        difference = frame.pixels(size, size, 3).astype(int) - np.asarray(pillow)
        assert np.abs(difference).mean() < 0.6, size
        assert abs(difference.mean()) < 0.3, size
        grey = frame.pixels(size, size, 1)[:, :, 0].astype(int) - np.asarray(pillow.convert("L"))
        assert np.abs(grey).mean() < 1.0, size


def test_pixels_are_those_of_ffmpegs_packed_rgb_whatever_comes_before_them() -> None:
    how = pytest.importorskip("av.video.reformatter").Interpolation
    full = how.BILINEAR | how.ACCURATE_RND | how.FULL_CHR_H_INT | how.FULL_CHR_H_INP
    rng = np.random.default_rng(0)
    shots = []
    for width, form in ((66, "yuv420p"), (64, "yuvj422p"), (62, "yuv420p"), (60, "rgb24")):  # changes in mid-stream
        drawn = av.VideoFrame.from_ndarray(rng.integers(0, 256, (48, 66, 3), np.uint8))
        shots.append(Frame(0, 0.0, drawn.reformat(width, 48, form)))
    for height, width in ((20, 33), (17, 5), (48, 60), *((side, side) for side in range(6, 40))):  # more than are kept
        for shot in shots:
            packed = shot._picture.reformat(width, height, "rgb24", interpolation=full).to_ndarray()
            np.testing.assert_array_equal(shot.pixels(height, width, 3), packed)
    for shot in shots:  # enlarged, the last bit of a few differs
        packed = shot._picture.reformat(99, 97, "rgb24", interpolation=full).to_ndarray()
        assert np.abs(shot.pixels(97, 99, 3).astype(int) - packed).max() <= 1


def test_threads_resize_at_the_same_time() -> None:
    shots = [Frame.from_pixels(0, 0.0, np.full((480, 640, 3), shade, np.uint8)) for shade in range(200)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda shot: shot.pixels(96, 96, 3), shots))
    assert [(pixels.min(), pixels.max()) for pixels in made] == [(shade, shade) for shade in range(200)]


def test_pixels_have_the_form_asked_for_and_are_made_once(clip: Path) -> None:
    with open_source(clip, paced=False) as source:
        frame = next(iter(source))
    for size in ((48, 64, 3), (17, 5, 3), (9, 31, 1), (100, 200, 1)):
        pixels = frame.pixels(*size)
        assert pixels.shape == size
        assert pixels.dtype == np.uint8
        assert frame.pixels(*size) is pixels
        with pytest.raises(ValueError, match="read-only"):
            pixels[0, 0, 0] = 1


def test_frames_stay_good_when_later_ones_have_come(clip: Path) -> None:
    with open_source(clip, paced=False) as source:
        frames = list(source)
    assert [number_in(frame) for frame in reversed(frames)] == list(reversed(range(20)))


@pytest.mark.parametrize(
    "name", ["with space.avi", "Prüfung ünïcödé 日本.avi", "10:30 a%20b#c?d=e.avi", "percent%03d.avi"]
)
def test_any_name_will_do_as_path_and_as_uri(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clip(tmp_path / "clip.avi", frames=3)
    (tmp_path / "clip.avi").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for uri in (tmp_path / name, str(tmp_path / name), name, (tmp_path / name).as_uri(), Path(name)):
        with open_source(uri, paced=False) as source:
            assert len(list(source)) == 3, uri


def test_a_uri_may_name_this_host(clip: Path) -> None:
    with open_source(f"file://localhost{clip}", paced=False) as source:
        assert len(list(source)) == 20
    assert "file:// has to be followed by an absolute path" in refused(f"file://elsewhere{clip}")
    assert "file:// has to be followed by an absolute path" in refused("file://")


def no_video(folder: Path) -> dict[str, Path]:
    files = {name: folder / name for name in ("empty.avi", "text.avi", "text.txt", "zeros.mp4", "album.mp3")}
    files["empty.avi"].touch()
    files["text.avi"].write_text("no video " * 1000)
    files["text.txt"].write_text("no video\n" * 1000)
    files["zeros.mp4"].write_bytes(bytes(100_000))
    with av.open(str(files["album.mp3"]), "w") as container:
        sound, cover = container.add_stream("libmp3lame", rate=44_100), container.add_stream("mjpeg", rate=1)
        sound.layout = "mono"
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        container.mux([*cover.encode(av.VideoFrame.from_ndarray(picture(1))), *cover.encode(None)])
        for place in range(20):
            tone = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.float32), format="fltp", layout="mono")
            tone.rate, tone.pts = 44_100, 1152 * place
            container.mux(sound.encode(tone))
        container.mux(sound.encode(None))
    return files | {"folder": folder, "no such.avi": folder / "no such.avi", "/dev/null": Path("/dev/null")}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("empty.avi", "the file is empty"),
        ("text.avi", "no video, or one that is damaged or cut off; give another"),
        ("text.txt", "holds no video, or is cut off; give a clip or a camera"),
        ("zeros.mp4", "no video, or one that is damaged or cut off; give another"),
        ("album.mp3", "holds no video, or is cut off; give a clip or a camera"),
        ("folder", "is not a file; name a clip, or a camera by its URI"),
        ("no such.avi", "no such file or directory; name a clip, or a camera by its URI"),
        ("/dev/null", "is not a file; name a clip, or a camera by its URI"),
    ],
)
def test_what_is_no_video_is_refused_when_it_is_opened(
    tmp_path: Path, name: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = no_video(tmp_path)[name]
    with pytest.raises(ProblemError) as caught:
        open_source(path)
    assert str(caught.value) == f"{path}: {message}"
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("name", "codec"), [form for form in FORMS if form[0] != "clip.ts"])
@pytest.mark.parametrize("part", [0.1, 0.3, 0.5, 0.7, 0.85])
def test_a_clip_that_is_cut_off_says_so_where_it_ends(
    tmp_path: Path, name: str, codec: str, part: float, capfd: pytest.CaptureFixture[str]
) -> None:
    write_clip(tmp_path / name, frames=60, codec=codec)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(part * len(data))])
    frames: list[Frame] = []
    with pytest.raises(ProblemError) as caught, open_source(tmp_path / name, paced=False) as source:
        frames.extend(source)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert "cut off" in str(caught.value) or "no frame" in str(caught.value) or "input/output" in str(caught.value)
    assert "\n" not in str(caught.value)
    numbers = [number_in(frame) for frame in frames]
    assert numbers == sorted(set(numbers))
    assert len(frames) < 60
    assert capfd.readouterr().err == ""


def test_a_clip_with_damage_in_the_middle_is_played_to_its_end(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.ts", frames=60, codec="mpeg2video")
    data = bytearray((tmp_path / "clip.ts").read_bytes())
    data[len(data) // 3 : len(data) // 3 + 400] = bytes(400)
    (tmp_path / "clip.ts").write_bytes(data)
    with open_source(tmp_path / "clip.ts", paced=False) as source:
        frames = list(source)
    assert 50 <= len(frames) <= 60
    assert number_in(frames[-1]) == 59


@pytest.mark.parametrize(("name", "codec"), [("clip.mjpeg", "mjpeg"), ("clip.h264", "libx264")])
def test_a_clip_that_does_not_say_its_rate_is_refused(tmp_path: Path, name: str, codec: str) -> None:
    write_clip(tmp_path / name, codec=codec)
    assert refused(tmp_path / name).endswith("does not say its frame rate; put it into a container that does")


def test_a_clip_that_goes_while_it_loops_is_an_error(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.avi", frames=3)
    with open_source(tmp_path / "clip.avi", loop=True, paced=False) as source:
        (tmp_path / "clip.avi").unlink()
        with pytest.raises(ProblemError, match="no such file or directory"):
            list(source)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("gst://videotestsrc", "GStreamer pipelines are not run here; give the camera's rtsp:// or http:// address, "),
        ("gst://rtspsrc location=rtsp://cam ! appsink", "/dev/videoN, or a file"),
        ("rstp://camera/1", "'rstp://camera/1' has an unknown scheme; known: file://, rtsp://"),
        ("s3://bucket/clip.mp4", "has an unknown scheme; known: file://, rtsp://"),
        ("/dev/video99", "/dev/video99: there is no such device"),
        ("", "source: got ''; it has to be a file's path or a URI"),
        (5, "source: got 5; it has to be a file's path or a URI"),
        (None, "source: got None; it has to be a file's path or a URI"),
        ("nul\0.avi", "embedded null byte"),
        ("test://?fbs=5", "test://: unknown key 'fbs'; did you mean 'fps'?"),
        ("test://?fps=0", "test://: fps: got '0'; it has to be a finite number above 0"),
        ("test://?fps=nan", "test://: fps: got 'nan'; it has to be a finite number above 0"),
        ("test://?width=1", "test://: width: got '1'; it has to be a whole number, 2 to 8192"),
        ("test://?height=1e9", "test://: height: got '1e9'; it has to be a whole number, 2 to 8192"),
        ("test://?frames=0", "test://: frames: got '0'; it has to be a whole number, 1 or more"),
        ("test://?fps", "it has to be test:// or test://?KEY=VALUE&KEY=VALUE, each key once"),
        ("test://?fps=1&fps=2", "it has to be test:// or test://?KEY=VALUE&KEY=VALUE, each key once"),
        ("test://pattern", "it has to be test:// or test://?KEY=VALUE&KEY=VALUE, each key once"),
    ],
)
def test_what_is_no_source_is_refused_in_one_line(uri: Any, message: str) -> None:
    assert message in refused(uri)


def test_the_pattern_moves_and_is_always_the_same() -> None:
    def played(uri: str, count: int = 30) -> list[np.ndarray]:
        with open_source(uri, paced=False) as source:
            return [frame.pixels(48, 64, 3) for frame in itertools.islice(source, count)]

    uri = "test://?width=64&height=48&fps=25"
    first, again = played(uri), played(uri)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert all(np.abs(a.astype(int) - b).mean() > 1 for a, b in itertools.pairwise(first))
    with open_source(uri, paced=False) as source:
        assert source.fps == 25
        assert not source.live


def test_the_pattern_ends_where_it_is_told_to_and_may_loop() -> None:
    uri = "test://?width=64&height=48&frames=7"
    with open_source(uri, paced=False) as source:
        assert [frame.number for frame in source] == list(range(7))
    with open_source(uri, paced=False, loop=True) as source:
        frames = list(itertools.islice(source, 20))
    assert [frame.number for frame in frames] == list(range(20))
    assert np.array_equal(frames[1].pixels(48, 64, 3), frames[8].pixels(48, 64, 3))


def take(source: StoppableSource, taken: list[Frame]) -> None:
    taken.extend(source)


@pytest.mark.parametrize("uri", ["clip", "test://?fps=0.05"])
def test_closing_ends_an_iteration_that_waits_in_another_thread(tmp_path: Path, uri: str) -> None:
    write_clip(tmp_path / "slow.avi", frames=3, fps=Fraction(1, 20))
    taken: list[Frame] = []
    with open_source(tmp_path / "slow.avi" if uri == "clip" else uri, loop=True) as source:
        thread = threading.Thread(target=take, args=(source, taken))
        thread.start()
        time.sleep(0.3)
        assert thread.is_alive()
        source.close()
        thread.join(1)
        assert not thread.is_alive()
    assert len(taken) == 1


def test_nothing_comes_after_the_end_of_the_block(clip: Path) -> None:
    with open_source(clip, paced=False) as source:
        frames = iter(source)
        next(frames)
    assert list(frames) == []


def test_pictures_of_the_tests_are_told_apart_at_every_size() -> None:
    for number in range(256):
        assert number_of(picture(number)) == number
        assert number_of(picture(number)[::3, ::4]) == number


@pytest.mark.parametrize("uri", ["clip.avi", "test://", "rtsp://127.0.0.1:9/"])
def test_a_missing_pyav_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    write_clip(tmp_path / "clip.avi", frames=2)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mainstream._optional.find_spec", lambda package: None)
    with pytest.raises(MissingExtraError, match=r"av is not installed; pip install 'mainstream\[run\]'"):
        open_source(uri)
