"""The labelling page over a real socket: frames, labels, what it refuses, and what calibration makes of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from support.clips import number_of, write_clip
from support.commands import run_here

from mainstream import ProblemError
from mainstream.formats.calibration_files import read_labels
from mainstream.formats.intervals import intervals_of, read_intervals

COMMAND = str(Path(sys.executable).with_name("mainstream"))
FRAMES = 30


class Page:
    """A running ``mainstream label``."""

    def __init__(self, clip: Path, *flags: str) -> None:
        self.process = subprocess.Popen(
            [COMMAND, "label", str(clip), "--no-browser", *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        self.address = urlsplit(first.removeprefix("page").strip())

    def ask(
        self, path: str, method: str = "GET", body: Any = None, *, word: str | None = None, host: str | None = None
    ) -> tuple[int, bytes]:
        connection = HTTPConnection(str(self.address.hostname), self.address.port or 0, timeout=60)
        where = (self.address.path if word is None else f"/{word}/") + path
        text = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        try:
            connection.request(method, where, text, {"Host": host} if host else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    clip = tmp_path_factory.mktemp("label") / "street.mkv"
    write_clip(clip, FRAMES)
    running = Page(clip, "--classes", "dog, cat", "-o", str(clip.with_name("labels.csv")))
    yield running
    running.process.send_signal(signal.SIGINT)
    running.process.communicate(timeout=60)


def test_frames_are_those_of_the_clip_in_any_order(page: Page) -> None:
    for number in (0, 17, 3, FRAMES - 1):
        status, body = page.ask(f"frame/{number}")
        assert status == 200
        assert number_of(np.asarray(Image.open(BytesIO(body)))) == number
    assert page.ask(f"frame/{FRAMES}") == (404, b'{"frames":30}')
    assert page.ask("frame/-1")[0] == 404


def test_the_page_needs_no_network(page: Page) -> None:
    status, body = page.ask("")
    assert status == 200
    assert b"http" not in body and b"src=" not in body
    assert json.loads(page.ask("labels")[1])["classes"] == ["dog", "cat"]


def test_labels_are_checked_and_written_whole(page: Page) -> None:
    marked = [{"start": 12, "end": 20, "label": "dog"}, {"start": 2, "end": 7, "label": "cat, or dog"}]
    assert page.ask("labels", "PUT", marked) == (200, b'{"saved":2}')
    file = Path(page.process.args[-1])
    assert file.read_text() == 'start,end,label\n2,7,"cat, or dog"\n12,20,dog\n'
    assert [one.model_dump() for one in read_intervals(file)] == marked[::-1]
    assert json.loads(page.ask("labels")[1])["labels"] == marked[::-1]
    page.ask(f"frame/{FRAMES}")
    for wrong in (
        b"no json",
        b"[" * 100_000,
        {"start": 1},
        [{"start": 5, "end": 5, "label": "dog"}],
        [{"start": 5, "end": 9, "label": "a\nb"}],
        [{"start": 5, "end": FRAMES + 1, "label": "dog"}],
        [{"start": 1, "end": 5, "label": "dog"}, {"start": 4, "end": 6, "label": "dog"}],
    ):
        status, body = page.ask("labels", "PUT", wrong)
        assert status == 422 and "\n" not in json.loads(body)["error"], body
    assert page.ask("labels", "PUT", b" " * (2**24 + 1))[0] == 413
    assert file.read_text().startswith("start,end,label\n2,7,")


def test_others_are_kept_out(page: Page) -> None:
    assert page.ask("labels", word="guess")[0] == 404
    assert page.ask("labels", host="evil.example")[0] == 400
    assert page.address.hostname == "127.0.0.1"


def test_it_goes_on_with_what_is_there_and_ends_by_ctrl_c(tmp_path: Path) -> None:
    clip = tmp_path / "a.mkv"
    write_clip(clip, 5)
    (tmp_path / "a.mkv.labels.csv").write_text("start,end,label\n1,3,event\n")
    running = Page(clip)
    assert json.loads(running.ask("labels")[1])["labels"] == [{"start": 1, "end": 3, "label": "event"}]
    running.process.send_signal(signal.SIGINT)
    _, errors = running.process.communicate(timeout=60)
    assert running.process.returncode == 130 and "Traceback" not in errors


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["nowhere.mkv"], "nowhere.mkv: there is no such file"),
        (["a.mkv", "--classes", "a,a"], "--classes a,a: it has to be 1 to 9 names that differ"),
        (["a.mkv", "--classes", "a,"], "--classes: label"),
        (["a.mkv", "-o", "none/x.csv"], "there is no folder none"),
        (["a.mkv", "-o", "bad.csv"], "bad.csv: labels[0]: start: got 'x'"),
        (["bad.csv"], "bad.csv: "),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, flags: list[str], message: str) -> None:
    write_clip(tmp_path / "a.mkv", 5)
    (tmp_path / "bad.csv").write_text("start,end,label\nx,3,event\n")
    done = run_here("label", "--no-browser", *flags, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr and done.stderr.count("\n") == 1


def test_calibration_takes_intervals(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("start,end,label\n3,5,dog\n8,10,other\n")
    frames, event = read_labels(file, ("other", "dog"), "dog")
    assert frames.tolist() == list(range(10))
    assert np.flatnonzero(event).tolist() == [3, 4]
    with pytest.raises(ProblemError, match="label 'dog' is not a class"):
        read_labels(file, ("other", "cat"), "cat")
    with pytest.raises(ProblemError, match="at most 100,000 intervals"):
        intervals_of([{}] * 100_001)
