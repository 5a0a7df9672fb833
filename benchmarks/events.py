"""What events cost: the share of a core that a runtime takes without them, with them, and with clips.

    python -m benchmarks.events [--seconds 20] [--rounds 5] [--apps 10]

A clip of 640 x 480 at 10 fps (H.264), in which it is bright for 3 of every 10 seconds, and apps that each see that on
every frame: an event an app every 10 s, each with its picture (and clip). The engine only takes the mean of a frame,
since what a network takes is the same with and without. Runs take turns; each is the CPU time of the whole process over
the time by the clock, and differences are of the same turn. There is a broker when Debian's mosquitto is installed.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import av
import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.machine import description
from mainstream.streamer import LocalRunner, NetPlan, Subnet
from mainstream.streamer.events.settings import EventSettings

FPS: Final = 10
SHOTS: Final = ((30, 7), (220, 3))
"""Brightness and seconds."""
SIDE: Final = 32


class Brightness:
    """Says whether a frame is dark or bright."""

    name = "brightness"
    input_shape = (None, SIDE, SIDE, 3)
    output_shape = (None, 2)

    def start(self) -> None:
        """Nothing has to be started."""

    def load(self, path: Path, input_layer: str, output_layer: str, *, trusted: bool) -> Brightness:
        """The part is the engine itself."""
        return self

    def __call__(self, batch: ArrayLike) -> NDArray[Any]:
        bright = np.asarray(batch).mean((1, 2, 3)) / 255
        return np.stack([1 - bright, bright], 1)


def main() -> None:
    """Measure, and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=20)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--apps", type=int, default=10)
    given = arguments.parse_args()
    print("\n".join(f"- {key}: {value}" for key, value in description().items()) + "\n")
    with TemporaryDirectory() as name, _broker(Path(name)) as mqtt:
        folder = Path(name)
        _write_clip(folder / "clip.mp4")
        (folder / "net").touch()
        kinds = {
            "without events": None,
            "events and pictures": EventSettings(folder / "events", mqtt=mqtt),
            "events, pictures and clips": EventSettings(folder / "clips", mqtt=mqtt, clips_s=5),
        }
        shares = np.array(
            [[_share(folder, kind, given.apps, given.seconds) for kind in kinds.values()] for _ in range(given.rounds)]
        )
    print(
        f"{given.apps} apps at {FPS} fps, {'with' if mqtt else 'without'} a broker, median of {given.rounds} rounds\n"
    )
    print("| | share of a core | more than without |\n|---|---|---|")
    for place, kind in enumerate(kinds):
        more = np.median(shares[:, place] - shares[:, 0])
        print(f"| {kind} | {np.median(shares[:, place]):.2%} | {more:+.2%} |")


def _share(folder: Path, events: EventSettings | None, apps: int, seconds: float) -> float:
    """CPU seconds a second of a runtime."""
    part = {"input_layer": "in", "output_layer": "out", "channels": 3, "height": SIDE, "width": SIDE}
    plan = NetPlan(
        tuple(
            Subnet(
                net_id=i, app_id=i, parent_id=-1, target_fps=FPS, shared=False, model_path="net", event_class=1, **part
            )
            for i in range(apps)
        )
    )
    with LocalRunner(folder / "clip.mp4", folder, engine=Brightness(), window_s=1, threads=1, events=events) as runner:
        runner.deploy(plan)
        begun = time.process_time(), time.monotonic()
        time.sleep(seconds)
        return (time.process_time() - begun[0]) / (time.monotonic() - begun[1])


def _write_clip(path: Path) -> None:
    noise = np.random.default_rng(0).integers(-20, 20, (480, 640, 3))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"g": "10", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for brightness, seconds in SHOTS:
            for number in range(seconds * FPS):
                pixels = (np.roll(noise, 4 * number, axis=1) + brightness).astype(np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        container.mux(stream.encode(None))


@contextmanager
def _broker(folder: Path) -> Iterator[str | None]:
    """The URL of a broker of our own; None if there is none."""
    command = shutil.which("mosquitto", path="/usr/sbin:/usr/bin")
    if command is None:
        yield None
        return
    port = 18_830
    (folder / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n")
    process = subprocess.Popen(
        [command, "-c", str(folder / "mosquitto.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield f"mqtt://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
