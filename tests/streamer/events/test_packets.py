"""Clips: cut out of what came, and not one packet of them coded anew."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import pytest
from support.cameras import HttpCamera, RtspCamera, TestCamera
from support.clips import av, number_of, write_clip

from mainstream import ProblemError
from mainstream.streamer import LocalRunner
from mainstream.streamer.events import packets as module
from mainstream.streamer.events.packets import Packets
from mainstream.streamer.events.settings import EventSettings
from mainstream.streamer.sources import open_source


def packets_of(video: Any) -> list[bytes]:
    with av.open(video) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def numbers(video: bytes) -> list[int]:
    with av.open(io.BytesIO(video)) as container:
        return [number_of(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


@pytest.mark.parametrize(("name", "codec"), [("clip.mp4", "libx264"), ("clip.avi", "mpeg4"), ("clip.mkv", "mjpeg")])
def test_a_clip_has_the_packets_of_its_seconds_from_a_key_frame_on(tmp_path: Path, name: str, codec: str) -> None:
    write_clip(tmp_path / name, frames=40, fps=20, codec=codec)
    kept = Packets(60)
    times = []
    with open_source(tmp_path / name, paced=False) as source:
        source.on_packet = kept.add  # type: ignore[attr-defined]
        for _ in source:
            times.append(time.monotonic())
            time.sleep(0.005)
    whole = kept.clip(times[0] - 10, times[-1] + 10)
    assert whole is not None and numbers(whole) == list(range(40))
    if codec == "mpeg4":  # the others' containers write the same packets in another form
        assert packets_of(io.BytesIO(whole)) == packets_of(str(tmp_path / name))
    part = kept.clip(times[20], times[30])
    assert part is not None
    found = numbers(part)
    assert {20, 25, 28} <= set(found) and found == list(range(found[0], found[-1] + 1)) and found[-1] < 39
    assert codec != "mjpeg" or found[0] > 10
    assert kept.clip(times[-1] + 5, times[-1] + 6) is None


@pytest.mark.parametrize("kind", [RtspCamera, HttpCamera])
def test_cameras_give_clips_that_play_at_their_pace_after_they_were_lost_too(kind: type[TestCamera]) -> None:
    kept = Packets(60)
    with kind(fps=20) as camera, open_source(camera.uri) as source:
        source.on_packet = kept.add  # type: ignore[attr-defined]
        frames = iter(source)
        for _ in range(12):
            next(frames)
        before = kept.clip(0.0, time.monotonic())
        lost_s = time.monotonic()
        camera.stop()
        camera.start()
        for _ in range(12):
            next(frames)
        after = kept.clip(lost_s, time.monotonic())
    for clip in (before, after):
        assert clip is not None
        found = numbers(clip)
        assert len(found) >= 8 and found == list(range(found[0], found[-1] + 1))
        with av.open(io.BytesIO(clip)) as container:
            assert container.duration / av.time_base == pytest.approx(len(found) / 20, rel=0.5)


def test_what_is_kept_is_bounded_in_seconds_and_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clip(tmp_path / "clip.mkv", frames=60, fps=20, codec="mjpeg")
    size = sum(map(len, packets_of(str(tmp_path / "clip.mkv")))) / 60
    for length_s, most in ((0.1, 2**30), (60, 10 * size)):
        monkeypatch.setattr(module, "_MOST_BYTES", most)
        kept = Packets(length_s)
        with open_source(tmp_path / "clip.mkv", paced=False) as source:
            source.on_packet = kept.add  # type: ignore[attr-defined]
            for _ in source:
                time.sleep(0.01)
        clip = kept.clip(0.0, time.monotonic())
        assert clip is not None and 1 <= len(numbers(clip)) < 20 and numbers(clip)[-1] == 59


def test_a_source_without_coded_video_has_no_clips(tmp_path: Path) -> None:
    settings = EventSettings(tmp_path / "events", clips_s=1)
    with pytest.raises(ProblemError, match=r"clips: this source gives pictures, not coded video"):
        LocalRunner("test://", tmp_path, events=settings)
    write_clip(tmp_path / "clip.avi")
    with pytest.raises(ProblemError, match="clips: they are cut by the clock"):
        LocalRunner(tmp_path / "clip.avi", tmp_path, events=settings, paced=False)
    with pytest.raises(ProblemError, match="clips: they need a folder"):
        EventSettings(clips_s=1)
    with pytest.raises(ProblemError, match=r"clips: got 21; it has to be a number of seconds above 0, up to 20"):
        EventSettings(tmp_path, clips_s=21)
