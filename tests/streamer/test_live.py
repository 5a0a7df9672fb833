"""Cameras over RTSP and HTTP: frames as they come, the newest first, and cameras that go, come back, or never come."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.cameras import HttpCamera, RtspCamera, TestCamera
from support.clips import number_of, write_clip
from support.waiting import becomes, comes_true

from mainstream import ProblemError
from mainstream.streamer import decoding, live
from mainstream.streamer.frames import Frame, StoppableSource
from mainstream.streamer.sources import open_source

FPS = 20


def number_in(frame: Frame) -> int:
    return number_of(frame.pixels(24, 32, 3))


def rate_measured(uri: str) -> float:
    with open_source(uri) as source:
        return float(source.fps)


def read_until_back(source: StoppableSource, before: Frame) -> tuple[Frame, Frame]:
    """The last frame before the camera was lost, and the first one after."""
    for after in itertools.islice(source, 500):
        if source.reconnects:
            return before, after
        before = after
    raise AssertionError("it was never lost")


@pytest.mark.parametrize("camera", [RtspCamera(FPS), RtspCamera(FPS, says_rate=False), HttpCamera(FPS)])
def test_a_cameras_frames_come_as_it_takes_them(camera: TestCamera, capfd: pytest.CaptureFixture[str]) -> None:
    with camera:
        becomes(lambda: rate_measured(camera.uri), pytest.approx(FPS, rel=0.2))  # where the camera does not say it
        with open_source(camera.uri, loop=True, paced=False) as source:
            assert source.live
            frames = list(itertools.islice(source, 20))
    assert frames[0].number < FPS  # those of two seconds, from which the rate was told, are none of them
    assert frames[0].time_s < 1
    assert all(a.number < b.number and a.time_s < b.time_s for a, b in itertools.pairwise(frames))
    shift = {(number_in(frame) - frame.number) % 256 for frame in frames}
    assert len(shift) == 1
    assert frames[-1].time_s == pytest.approx(frames[-1].number / source.fps, abs=0.5)
    assert source.reconnects == 0
    assert capfd.readouterr().err == ""


def test_the_rate_that_an_rtsp_camera_says_is_taken_as_it_is() -> None:
    with RtspCamera(FPS) as camera, open_source(camera.uri) as source:
        assert source.fps == FPS


def test_the_newest_frame_wins_and_numbers_tell_how_many_were_missed() -> None:
    with RtspCamera(FPS) as camera, open_source(camera.uri) as source:
        frames = iter(source)

        def newest_after_a_second() -> bool:
            first = next(frames)
            time.sleep(1.0)
            second = next(frames)
            assert (number_in(second) - number_in(first)) % 256 == second.number - first.number
            missed, passed = second.number - first.number, second.time_s - first.time_s
            return missed >= 0.8 * FPS and passed == pytest.approx(1.0, abs=0.3)

        comes_true(newest_after_a_second)


@pytest.mark.parametrize("kind", [RtspCamera, HttpCamera])
def test_a_camera_that_goes_and_comes_back_is_opened_again(
    kind: type[TestCamera], capfd: pytest.CaptureFixture[str]
) -> None:
    with kind(FPS) as camera, open_source(camera.uri) as source:
        first = next(iter(source))
        camera.stop()
        back = threading.Timer(0.7, camera.start)
        back.start()
        before, after = read_until_back(source, first)
        back.join()
        assert source.reconnects == 1
        passed = after.time_s - before.time_s
        assert passed > 0.7
        assert after.number - before.number == pytest.approx(passed * source.fps, abs=2)
        later = list(itertools.islice(source, 10))
        assert [frame.number > after.number for frame in later] == [True] * 10
        shift = {(number_in(frame) - frame.number) % 256 for frame in [after, *later]}
        assert len(shift) == 1
    assert capfd.readouterr().err == ""


def test_a_camera_that_falls_silent_is_given_up_and_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "TIMEOUT_S", 1.0)
    with HttpCamera(FPS) as camera, open_source(camera.uri) as source:
        first, viewers = next(iter(source)), camera.viewers
        camera.silent.set()
        threading.Timer(1.2, camera.silent.clear).start()
        before, after = read_until_back(source, first)
        assert camera.viewers > viewers
        assert after.number - before.number == pytest.approx((after.time_s - before.time_s) * source.fps, abs=2)


def test_pauses_before_a_camera_is_opened_again_grow_up_to_half_a_second() -> None:
    camera = HttpCamera(FPS)
    tries: list[float] = []
    with camera, open_source(camera.uri) as source:
        camera.stop()
        with socket.create_server(("127.0.0.1", camera.port)) as listening:
            while len(tries) < 5:
                viewer, _ = listening.accept()
                viewer.close()
                tries.append(time.monotonic())
        camera.start()
        frames = iter(source)
        while source.reconnects == 0:
            next(frames)
    pauses = [b - a for a, b in itertools.pairwise(tries)]
    assert all(pause >= wanted - 0.01 for pause, wanted in zip(pauses, [0.5] * 4, strict=True)), pauses
    assert min(pauses[2:]) < 2, pauses  # else they would be 2 and 4


@pytest.mark.parametrize("when", ["it sends", "it is silent", "it is gone"])
def test_closing_ends_an_iteration_that_waits_in_another_thread(when: str) -> None:
    with HttpCamera(FPS) as camera, open_source(camera.uri) as source:
        taken: list[Frame] = []
        thread = threading.Thread(target=lambda: taken.extend(source))
        thread.start()
        if when == "it is silent":
            camera.silent.set()
        elif when == "it is gone":
            camera.stop()
        time.sleep(0.5)
        assert thread.is_alive()
        source.close()
        thread.join(4)  # a silent camera is given up after 5
        assert not thread.is_alive()


def test_a_closed_camera_is_let_go() -> None:
    with RtspCamera(FPS) as camera:
        for _ in range(2):
            before = threading.active_count()
            with open_source(camera.uri) as source:
                assert next(iter(source))
            assert threading.active_count() == before


def refused(uri: str) -> str:
    with pytest.raises(ProblemError) as caught:
        open_source(uri)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


@pytest.mark.parametrize("scheme", ["rtsp", "http", "tcp"])
def test_a_camera_that_is_not_there_is_one_line_without_its_password(
    scheme: str, capfd: pytest.CaptureFixture[str]
) -> None:
    port = closed_port()
    message = refused(f"{scheme}://user:secret@127.0.0.1:{port}/1")
    assert message == f"{scheme}://127.0.0.1:{port}/1: connection refused; is it there, and may it be read?"
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("scheme", ["rtsp", "http", "tcp"])
def test_an_address_that_says_nothing_is_given_up(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "TIMEOUT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        uri = f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/1"
        began = time.monotonic()
        assert refused(uri) == f"{uri}: nothing came within 0.5 s; is it there, and switched on?"
        assert time.monotonic() - began < 5


def test_a_camera_that_shows_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "TIMEOUT_S", 0.5)
    with RtspCamera(FPS) as camera:
        camera.silent.set()
        assert refused(camera.uri).startswith(f"{camera.uri}: ")


def test_an_opening_that_ffmpeg_cannot_be_called_back_from_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_START_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        uri = f"rtsp://127.0.0.1:{listening.getsockname()[1]}/1"
        began = time.monotonic()
        assert refused(uri) == f"{uri}: nothing came within 0.3 s; is it there, and switched on?"
        assert time.monotonic() - began < 10  # else 15


def test_a_server_that_sends_something_else_is_one_line() -> None:
    def serve(listening: socket.socket) -> None:
        viewer, _ = listening.accept()
        with viewer:
            viewer.recv(4096)
            viewer.sendall(b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        assert "404" in refused(f"http://127.0.0.1:{listening.getsockname()[1]}/video")
        thread.join()


def test_a_file_on_a_web_server_is_no_live_stream(tmp_path: Path) -> None:
    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    write_clip(tmp_path / "clip.avi")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=tmp_path))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        message = refused(f"http://127.0.0.1:{server.server_port}/clip.avi")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert message.endswith("is a file, no live stream; fetch it and give its path")
