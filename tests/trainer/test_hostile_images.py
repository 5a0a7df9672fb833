"""Pipes, bombs and left caches: what a trainer finds in its folders and has to survive."""

from __future__ import annotations

import os
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest

from mainstream.trainer import images
from mainstream.trainer.training import _remove_left_caches

image = pytest.importorskip("PIL.Image", reason="needs the extra train")


def _bomb(path: Path, side: int) -> None:
    """A black PNG of side x side pixels in some kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    row = bytes(1 + side // 8)
    packed = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))


def test_pipes_devices_and_bombs_among_the_images_are_one_line_each(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save(tmp_path / name / "good.png")
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    (tmp_path / "cat" / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "dog" / "folder.png").mkdir()
    _bomb(tmp_path / "dog" / "bomb.png", 12_000)
    read: list[np.ndarray] = []
    broken = images.read(images.find(tmp_path), 8, 8, read.append, lambda done: None)
    assert len(read) == 2
    assert set(broken) == {"cat/pipe.png", "cat/zero.jpg", "dog/folder.png", "dog/bomb.png"}
    assert broken["cat/pipe.png"] == broken["cat/zero.jpg"] == "no file, but a folder, pipe or device"
    assert broken["dog/bomb.png"] == "12000 x 12000 pixels, more than 67,108,864"


def test_the_cache_of_a_training_that_was_killed_goes_with_the_next_start_and_no_other(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    left, running, other = (
        tmp_path / name
        for name in (f".dogs-cache-{dead.pid}-abc", f".dogs-cache-{os.getpid()}-abc", f".cats-cache-{dead.pid}-abc")
    )
    for folder in (left, running, other):
        folder.mkdir()
        (folder / "4.activations").write_bytes(bytes(1000))
    _remove_left_caches("dogs", tmp_path)
    assert not left.exists() and running.exists() and other.exists()
