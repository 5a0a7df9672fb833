"""The flags that several commands have: each has one name, one type and one help text everywhere.

Options of how to solve are text here: :class:`~mainstream.io.SolveOptions` checks them as it checks those of a file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mainstream.cli.completion import engines, event_models, files, methods, words


def _flag(names: str, help: str, metavar: str | None = None, *, default: str | bool = False, **more: Any) -> Any:
    return typer.Option(*names.split(), metavar=metavar, help=help, show_default=default, **more)


def _one_of(names: str, help: str, *allowed: str, default: str | bool = False) -> Any:
    return _flag(names, help, "|".join(allowed), default=default, autocompletion=words(*allowed))


def _whole(seed: int | None) -> int | None:
    from mainstream.ranges import WHOLE

    if seed is not None:
        WHOLE.check("--seed", seed)
    return seed


ProblemFile = Annotated[
    Path,
    typer.Argument(
        metavar="PROBLEM.yaml",
        help="Problem file, YAML or JSON.",
        show_default=False,
        autocompletion=files(".yaml", ".yml", ".json"),
    ),
]

Budget = Annotated[str | None, _flag("--budget", "Compute a second, in the unit of the profile.", "NUMBER")]
Utilisation = Annotated[
    str | None, _flag("--utilisation", "In place of a budget: a share of the profile's cores, 0 to 1.", "NUMBER")
]
MemoryMb = Annotated[str | None, _flag("--memory-mb", "Megabytes that the models may take.", "NUMBER")]
Objective = Annotated[
    str | None,
    _one_of("--objective", "What to maximise; else f1 where the apps allow it.", "f1", "recall", "precision"),
]
Aggregate = Annotated[
    str | None, _one_of("--aggregate", "Over the apps: their mean, or the smallest.", "mean", "min", default="mean")
]
Mode = Annotated[
    str | None,
    _one_of("--mode", "What may be shared.", "mainstream", "no-sharing", "max-sharing", default="mainstream"),
]
EventModel = Annotated[
    str | None,
    _flag(
        "--event-model",
        "How frames become events; else measured where an app has what it takes, or windowed.",
        "windowed|measured|paper|released",
        autocompletion=event_models,
    ),
]
Method = Annotated[
    str | None,
    _flag(
        "--method",
        "How to search.",
        "auto|branch-and-bound|cp-sat|greedy|greedy-released",
        default="auto",
        autocompletion=methods,
    ),
]
Gap = Annotated[str | None, _flag("--gap", "Stop when bound less objective is this.", "NUMBER", default="1e-06")]
TimeLimit = Annotated[
    str | None, _flag("--time-limit", "Longest time of a solve, which then keeps its best.", "SECONDS", default=True)
]
MemoryLimit = Annotated[
    str | None, _flag("--memory-limit", "Bytes that a solve may take; else half of what is free.", "BYTES")
]

Json = Annotated[str | None, _flag("--json", "Save as JSON; - is stdout, with nothing else on it.", "FILE")]
Plot = Annotated[Path | None, _flag("--plot", "Save a picture; needs matplotlib.", "FILE.png|svg")]
Quiet = Annotated[bool, _flag("--quiet -q", "Print no table, progress or warnings.")]

StoreUrl = Annotated[
    str | None,
    _flag("--store", "Store of packages: a folder, a URL of fsspec, or redis://HOST:PORT/DB?files=URL.", "URL"),
]
Calibrated = Annotated[
    bool,
    _flag(
        "--calibrated/--as-trained",
        "Correct the curves of packages by what was seen on the camera.",
        default="--calibrated",
    ),
]

_MODEL_DIR = _flag("--model-dir -m", "Folder of the model files.", "DIR")
ModelDir = Annotated[Path, _MODEL_DIR]
MaybeModelDir = Annotated[Path | None, _MODEL_DIR]
EngineName = Annotated[
    str | None,
    _flag(
        "--engine",
        "What runs models: tensorflow, onnx, or auto, the fastest that can. Else tensorflow, where it is there.",
        "NAME",
        autocompletion=engines,
    ),
]
TrustModels = Annotated[bool, _flag("--trust-models", "Run models that may do more than compute: touch files, loop.")]
Threads = Annotated[int | None, _flag("--threads", "Threads to compute with.", "N", default=True)]

Streamers = Annotated[
    list[str] | None,
    _flag("--streamer", "Where a Streamer listens; with NAME= that of a stream.", "[NAME=]tcp://HOST:PORT"),
]
Sources = Annotated[
    list[str] | None,
    _flag(
        "--source",
        "The video: a clip, rtsp://, /dev/videoN or test://; with NAME= that of a stream.",
        "[NAME=]FILE|URI",
    ),
]
Local = Annotated[bool, _flag("--local", "Run the plans in this process, on --source with the models in -m.")]
IntegerFps = Annotated[
    bool, _flag("--integer-fps", "Round rates down to whole ones, 1 or more, for a Streamer that takes no others.")
]
Once = Annotated[bool, _flag("--once", "Play a clip once, and end with it; else it loops.")]
Window = Annotated[float, _flag("--window", "How long rates are measured.", "SECONDS", default=True)]
Timeout = Annotated[float, _flag("--timeout", "How long to wait for an answer.", "SECONDS", default=True)]
Retries = Annotated[
    int, _flag("--retries", "How often to resend a plan that got no answer; it may run twice.", "N", default=True)
]
CurveKeys = Annotated[
    Path | None,
    _flag("--curve-keys", "Folder of keys, made by streamer-keys: only known clients are answered.", "DIR"),
]
State = Annotated[Path | None, _flag("--state", "Folder where the last good plan is kept for the next start.", "DIR")]

_LABELS = _flag(
    "--labels",
    "What the video shows: CSV frame,label or start,end,label (start_s,end_s in seconds); MOT .txt; COCO-VID .json.",
    "LABELS",
)
Labels = Annotated[Path, _LABELS]
MaybeLabels = Annotated[Path | None, _LABELS]
BoxRegions = Annotated[
    list[str] | None,
    _flag(
        "--region",
        "Where boxes count, as shares of the frame: for one label, or for all; else in each app's own region.",
        "[LABEL=]X,Y,W,H",
    ),
]
Inside = Annotated[float, _flag("--inside", "Share of a box that has to be in its region.", default=True)]
_SEED = _flag("--seed", "The same seed draws the same random numbers.", "N", default=True, callback=_whole)
Seed = Annotated[int, _SEED]
MaybeSeed = Annotated[int | None, _SEED]
Fps = Annotated[float, _flag("--fps", "Frames a second of the clip.", "NUMBER", default=True)]
ClassNames = Annotated[str, _flag("--classes", "Names of the classes.", "A,B,...", default=True)]
EventClass = Annotated[str | None, _flag("--event-class", "The class that is the event.", "CLASS")]
Versions = Annotated[
    str,
    _flag(
        "--versions",
        "What to compare: mainstream, no-sharing, max-sharing, max-sharing-best, and max-sharing-K for chokepoint K.",
        "V,V,...",
        default=True,
    ),
]

_IMAGES = _flag("--images", "A subfolder of JPEG and PNG files for each class.", "DIR")
Images = Annotated[Path, _IMAGES]
MaybeImages = Annotated[Path | None, _IMAGES]
TestImages = Annotated[Path | None, _flag("--test-images", "Images to measure on; else a fifth of --images.", "DIR")]
Groups = Annotated[
    Path | None, _flag("--groups", "Lines of image,group: a group stays on one side of a split.", "FILE.csv")
]
_NET = _flag("--net", "Base network: a name, or a .keras file; for profile also .onnx, or a package.", "NAME|FILE")
Net = Annotated[str, _NET]
MaybeNet = Annotated[str | None, _NET]
Size = Annotated[int | None, _flag("--size", "Height and width of the frame; else the network's own.")]
_WEIGHTS = _flag("--weights", "Weights of a named network.", "imagenet|none|FILE", default=True)
Weights = Annotated[str, _WEIGHTS]
MaybeWeights = Annotated[str | None, _WEIGHTS]
ProfileFile = Annotated[
    Path | None,
    _flag("--profile", "Base network, as mainstream profile measures it.", "FILE.json", autocompletion=files(".json")),
]
_STREAM_FPS = _flag("--stream-fps", "Frames a second of the camera.", "F", default=True)
StreamFps = Annotated[float, _STREAM_FPS]
MaybeStreamFps = Annotated[float | None, _STREAM_FPS]
Cpus = Annotated[int | None, _flag("--cpus", "CPUs that a job or a task may take.", "N", default=True)]
Gpus = Annotated[float | None, _flag("--gpus", "GPUs that a job or a task may take.", "N", default=True)]
_SERVER = _flag("--server", "The training server.", "URL", default=True)
Server = Annotated[str, _SERVER]
MaybeServer = Annotated[str | None, _SERVER]
Port = Annotated[int, _flag("--port", "Where to listen.", "PORT", default=True)]
Jobs = Annotated[int | None, _flag("--jobs -j", "How many to work on at a time.", "N", default=True)]
