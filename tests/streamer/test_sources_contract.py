"""One contract for all sources: those that come along, and a third party's."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest
from support.cameras import HttpCamera, RtspCamera
from support.clips import write_clip
from support.third_party import SLIDES_OPENER, Slides
from support.waiting import comes_true

from mainstream import ProblemError
from mainstream.extensions import SOURCES, Source
from mainstream.registry import check_has
from mainstream.streamer.feed import Feed
from mainstream.streamer.frames import Frame
from mainstream.streamer.sources import open_source

KINDS = ["clip", "file", "pattern", "http", "rtsp", "third party's object", "third party's scheme"]


@pytest.fixture(params=KINDS)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Source]:
    write_clip(tmp_path / "clip.avi", frames=30, fps=10)
    with ExitStack() as opened:
        given: str | Path | Source
        if request.param in ("http", "rtsp"):
            given = opened.enter_context(HttpCamera(20) if request.param == "http" else RtspCamera(20)).uri
        elif request.param == "third party's scheme":
            SOURCES.register(SLIDES_OPENER)
            opened.callback(SOURCES.unregister, SLIDES_OPENER.name)
            given = "slides://"
        else:
            given = {
                "clip": tmp_path / "clip.avi",
                "file": (tmp_path / "clip.avi").as_uri(),
                "pattern": "test://?fps=10&width=32&height=24&frames=30",
            }.get(request.param) or Slides()
        yield opened.enter_context(closing(open_source(given)))


def test_it_has_what_a_source_has_to_have(source: Source) -> None:
    check_has("source", source, Source)
    assert source.fps > 0 and isinstance(source.live, bool) and source.reconnects == 0


def test_numbers_and_times_rise_and_pixels_have_the_form_asked_for(source: Source) -> None:
    frames = list(itertools.islice(source, 8))
    assert len(frames) == 8
    assert frames[0].number >= 0
    assert all(a.number < b.number and a.time_s < b.time_s for a, b in itertools.pairwise(frames))
    for size in ((24, 32, 3), (9, 7, 1)):
        pixels = frames[-1].pixels(*size)
        assert pixels.shape == size and pixels.dtype == np.uint8


def test_frames_come_no_faster_than_their_rate(source: Source) -> None:
    began = time.monotonic()
    frames = list(itertools.islice(source, 6))
    assert time.monotonic() - began >= 0.8 * (frames[-1].number - frames[0].number) / source.fps


def test_closing_lets_go_a_thread_that_waits_and_nothing_comes_after(source: Source) -> None:
    taken: list[Frame] = []
    thread = threading.Thread(target=lambda: taken.extend(source))
    thread.start()
    comes_true(lambda: bool(taken))
    source.close()
    thread.join(4)
    assert not thread.is_alive()
    assert 0 < len(taken) < 29


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ([1, 2], "gave 1 after frame -1; it has to be a Frame with a higher number"),
        ("same number", "gave Frame(.*) after frame 3; it has to be a Frame with a higher number"),
    ],
)
def test_what_is_no_frame_ends_the_feed_with_the_reason(given: list[int] | str, reason: str) -> None:
    class Odd(Slides):
        def __iter__(self) -> Iterator[Frame]:
            one = Frame.from_pixels(3, 0.0, np.zeros((4, 4, 3), np.uint8))
            return iter([one, one] if isinstance(given, str) else given)  # type: ignore[list-item]

    feed = Feed(Odd(), keep_all=True)
    feed.start()
    while feed.take(5) is not None:
        pass
    feed.close()
    with pytest.raises(ProblemError, match=reason):
        raise feed.error or AssertionError("nothing was wrong")


@pytest.mark.parametrize(
    ("pixels", "shape"),
    [
        (np.zeros((4, 4, 3), np.float32), r"float32 of shape \(4, 4, 3\)"),
        (np.zeros((4, 4), np.uint8), r"uint8 of shape \(4, 4\)"),
        (np.zeros((4, 4, 4), np.uint8), r"uint8 of shape \(4, 4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), r"uint8 of shape \(0, 4, 3\)"),
    ],
)
def test_pixels_of_another_form_make_no_frame(pixels: np.ndarray, shape: str) -> None:
    with pytest.raises(ProblemError, match=f"^pixels: got {shape}; they have to be uint8, "):
        Frame.from_pixels(0, 0.0, pixels)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_frame_of_pixels_has_those_pixels_and_a_copy_of_them(channels: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (13, 17, channels), np.uint8)
    frame = Frame.from_pixels(5, 0.5, pixels)
    kept = pixels.copy()
    pixels[:] = 0
    np.testing.assert_array_equal(frame.pixels(13, 17, channels), kept)
