"""From labelled images to an M-Package: a model for each chokepoint, and the accuracy curve.

The frozen layers have the base network's weights at every chokepoint, so all frames go through them once, before
anything is trained. Then tails are trained from the deepest chokepoint to the shallowest, so that each tail can begin
from the one trained before.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.metadata import version
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mainstream._optional import require
from mainstream.description import nearest, shown
from mainstream.errors import ProblemError
from mainstream.files import reason, write_bytes
from mainstream.formats.curve import Curve
from mainstream.formats.package import MODELS, PACKAGE, Package, Tested, pareto, read_package, save_package
from mainstream.graphs.backend import brief, tensorflow
from mainstream.graphs.keras_file import load_keras_file
from mainstream.onnx_graphs.conversion import convert
from mainstream.ranges import NON_NEGATIVE
from mainstream.trainer import samples
from mainstream.trainer.activations import Activations
from mainstream.trainer.base_network import BaseNetwork
from mainstream.trainer.fine_tuning import Epoch
from mainstream.trainer.fitting import Apart, Fit
from mainstream.trainer.freeze import freeze
from mainstream.trainer.images import usual_size
from mainstream.trainer.networks import KNOWN, network_name
from mainstream.trainer.settings import Settings
from mainstream.trainer.training_state import TrainingState, same_settings


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training has come.

    Attributes
    ----------
    stage : str
        "reading" the images, the "stem", or "training".
    done : float
        Share of the stage that is done, roughly in proportion to time, 0..1.
    num_frozen : int, optional
        The chokepoint whose tail is being trained.
    epoch : Epoch, optional
        The last epoch.
    """

    stage: str
    done: float
    num_frozen: int | None = None
    epoch: Epoch | None = None


@dataclass(frozen=True)
class Training:
    """The result of a training.

    Attributes
    ----------
    package : Package
    curve : Curve
        The measured rates at all chokepoints.
    histories : mapping of int to list of Epoch
    folder : Path
        The M-Package.
    """

    package: Package
    curve: Curve
    histories: Mapping[int, list[Epoch]]
    folder: Path


def train(
    name: str,
    images: str | Path,
    *,
    model_dir: str | Path,
    log_dir: str | Path,
    test_images: str | Path | None = None,
    groups: str | Path | None = None,
    settings: Settings | Mapping[str, Any] | None = None,
    cache_gb: float = 8.0,
    keep_all: bool = False,
    resume: bool = False,
    formats: Sequence[str] = ("pb",),
    apart: Apart | None = None,
    progress: Callable[[TrainingProgress], None] = lambda progress: None,
) -> Training:
    """Train one app at all chokepoints.

    Parameters
    ----------
    name : str
        Name of the app; its package is the folder ``model_dir/name``.
    images : path
        Folder with one subfolder of JPEG and PNG files for each class.
    model_dir, log_dir : path
        Folders for the package and for the record of the training; created if they do not exist.
    test_images : path, optional
        Another such folder, to measure on; default: a fifth of `images`, the same share of each class.
    groups : path, optional
        CSV of image (its path below `images`) and group: images of one group stay on one side of each split.
    settings : Settings or mapping, optional
    cache_gb : float
        Disk space for activations, below `log_dir`, in 1e9 bytes; what does not fit is computed again each epoch. The
        frames themselves need space in addition.
    keep_all : bool
        Also keep models that are more specialised than another without being more accurate.
    resume : bool
        Continue a training that was interrupted.
    formats : sequence of str
        Formats of the models: "pb", a frozen graph, which is required; and "onnx", to write ONNX beside it.
    apart : Apart, optional
        Train in an executor's workers; default: in this process. The curve is the same if TensorFlow has the same
        number of threads there.
    progress : callable, optional

    Returns
    -------
    Training

    Raises
    ------
    ProblemError
        Images, settings, network or folders are wrong, the disk is full, or there is a training of that name already.
        What was trained so far is kept.
    """
    chosen = Settings.of(settings or {})
    if set(formats) not in ({"pb"}, {"pb", "onnx"}):
        raise ProblemError(f"formats: got {shown(list(formats))}; allowed: pb, or pb and onnx")
    if "onnx" in formats:
        require("tf2onnx", "onnx")
    NON_NEGATIVE.check("cache_gb", cache_gb)
    given = samples.Images.of(Path(images), _path(test_images), _path(groups))
    event = _event(chosen.event_class, given.train.classes)
    check_name(name)
    base = BaseNetwork(chosen, len(given.train.classes))  # before there are folders: its weights may not be had
    folder, logs = _folders(name, Path(model_dir), Path(log_dir))
    depends_on = {**chosen.model_dump(mode="json"), "images": given.digest(), "weights_digest": base.digest}
    record = TrainingState(logs, name, depends_on)
    _check(record, folder, resume)
    if resume:
        record.resume()
    todo = [k for k in sorted(base.chokepoints, reverse=True)[1:] if k not in record.accuracies]
    picture_size = usual_size(given.train)
    tested = None
    if todo:
        _remove_left_caches(name, logs)
        with TemporaryDirectory(prefix=f".{name}-cache-{os.getpid()}-", dir=logs) as cache:
            size = base.network.height, base.network.width
            data = samples.load(
                given, chosen, size, Path(cache), lambda done: progress(TrainingProgress("reading", done))
            )
            tested = _tested(data, event)
            fit = Fit(data, chosen, event)
            _train(base, todo, fit, record, folder / MODELS, Path(cache), 1e9 * cache_gb, apart, progress)
    return _finish(base, record, folder, given.train.classes, chosen, keep_all, picture_size, tested, formats)


def _tested(data: samples.Samples, event: int | None) -> Tested:
    """How many test images each of the curve's rates was measured on; see :func:`.fine_tuning.rates`."""
    total = len(data.test)
    of_event = total if event is None else int((data.labels[data.test] == event).sum())
    return Tested(accuracy=of_event, false_positive_rate=total if event is None else total - of_event)


def _train(
    base: BaseNetwork,
    todo: list[int],
    fit: Fit,
    record: TrainingState,
    models: Path,
    cache: Path,
    limit: float,
    apart: Apart | None,
    progress: Callable[[TrainingProgress], None],
) -> None:
    """Train at the chokepoints in `todo`, and save each when it is done."""
    work = {k: _work(base, k) for k in todo}
    done: list[int] = []
    begin = None
    if fit.settings.warm_start and record.accuracies:
        begin = load_keras_file(models / f"{min(record.accuracies)}.keras").get_weights()

    def on_stem(share: float) -> None:
        progress(TrainingProgress("stem", share))

    def on_epoch(k: int, epoch: Epoch) -> None:
        share = (sum(work[one] for one in done) + work[k] * epoch.epoch / fit.settings.max_nb_epoch) / sum(
            work.values()
        )
        progress(TrainingProgress("training", share, k, epoch))

    if apart is None:
        activations = Activations(base.network, fit.data.frames, todo, cache, limit, on_stem)
        results = fit.here(base, todo, activations, begin, on_epoch)
    else:
        results = apart.run(fit, base, todo, limit, begin, on_stem)
    with closing(results):  # an error here also ends the tasks that still run
        for k, fitted in results:
            base.model.set_weights(fitted.weights)
            _save(base.model, models / f"{k}.keras")
            record.add(k, fitted.accuracy, fitted.false_positive_rate, fitted.history)
            done.append(k)
            if apart is not None:
                progress(TrainingProgress("training", sum(work[one] for one in done) / sum(work.values()), k))


def _work(base: BaseNetwork, num_frozen: int) -> float:
    """Relative training time at a chokepoint, estimated by how many numbers the layers behind it compute."""
    return float(sum(prod(side or 1 for side in layer.shape) for layer in base.network.layers[num_frozen:]))


def _save(model: Any, path: Path) -> None:
    """Write a model whole or not at all; remove the files that were made from an older one."""
    partial = path.with_name(f".{path.stem}.partial.keras")
    try:
        model.save(partial)
        for form in (".pb", ".onnx"):
            path.with_suffix(form).unlink(missing_ok=True)
        os.replace(partial, path)
    except Exception as error:  # Keras raises almost anything here
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise ProblemError(f"{path}: cannot be written: {brief(error)}; what was trained before is kept") from None


def _finish(
    base: BaseNetwork,
    record: TrainingState,
    folder: Path,
    classes: tuple[str, ...],
    settings: Settings,
    keep_all: bool,
    picture_size: tuple[int, int] | None,
    tested: Tested | None,
    formats: Sequence[str],
) -> Training:
    """Freeze the models that are kept, remove the others, and write the package's description."""
    models = folder / MODELS
    kept = pareto(record.curve)
    if keep_all:  # an earlier end of this training, without keep_all, may have removed some
        kept = tuple(k for k in sorted(record.accuracies) if (models / f"{k}.keras").exists())
    for k in record.accuracies:
        saved, frozen, onnx = (models / f"{k}.{form}" for form in ("keras", "pb", "onnx"))
        if k not in kept:
            for file in (saved, frozen, onnx):
                file.unlink(missing_ok=True)
            continue
        if not frozen.exists():
            freeze(saved)
        if "onnx" in formats:
            write_bytes(onnx, convert(frozen, trusted=True))  # trusted, since this training made the graph
    before = read_package(folder)[0] if (folder / PACKAGE).exists() else None
    package = Package(
        name=record.name,
        network=network_name(settings.net) if network_name(settings.net) in KNOWN else base.network.name,
        weights_digest=base.digest,
        channels=base.network.channels,
        height=base.network.height,
        width=base.network.width,
        total_layers=base.network.total_layers,
        classes=classes,
        event_class=settings.event_class,
        chokepoints=base.chokepoints,
        models={k: f"{MODELS}/{k}.pb" for k in kept},
        picture_size=picture_size,
        tested=before.tested if tested is None and before is not None else tested,
        events=before.events if before is not None else None,
        region=settings.region,
        training=record.settings,
        versions=_versions(),
    )
    save_package(package, record.curve, folder)
    return Training(package, record.curve, record.histories, folder)


def _versions() -> dict[str, str]:
    versions = {name: version(name) for name in ("mainstream", "keras")}
    return {**versions, "tensorflow": tensorflow().__version__, "python": platform.python_version()}


def check_name(name: str) -> None:
    """Raise :class:`ProblemError` if an app's name cannot be used in file names."""
    if not re.fullmatch(r"[\w-][\w.-]*", name):
        raise ProblemError(
            f"name {shown(name)}: it has to be letters, digits, '_', '-' and '.' (but not first): it names files"
        )


def _folders(name: str, model_dir: Path, log_dir: Path) -> tuple[Path, Path]:
    """Create the package's folder and the log folder, and check that they are writable."""
    folder = model_dir / name
    for path in (folder / MODELS, log_dir):
        try:
            path.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=path):
                pass
        except OSError as error:
            raise ProblemError(f"{path}: cannot be written: {reason(error)}") from None
    return folder, log_dir


def _remove_left_caches(name: str, logs: Path) -> None:
    """Remove caches that killed processes left behind; a cache's name has the process id."""
    for cache in logs.glob(f".{name}-cache-*-*"):
        process = cache.name.removeprefix(f".{name}-cache-").split("-")[0]
        if process.isdecimal() and not Path(f"/proc/{process}").exists():
            shutil.rmtree(cache, ignore_errors=True)


def _check(record: TrainingState, folder: Path, resume: bool) -> None:
    """Refuse to overwrite an earlier training, or to continue one that had other settings."""
    if (folder / PACKAGE).exists():
        same_settings(record.settings, read_package(folder)[0].training, str(folder / PACKAGE))
    record.check()
    if not resume and record.exists():
        raise ProblemError(
            f"{record.path}: there is a training of this name with these settings already; continue it with --resume, "
            "or give another name or folder"
        )
    if (folder / PACKAGE).exists() and not record.exists():
        raise ProblemError(
            f"{folder / PACKAGE} exists already, but not {record.path} to continue from; give another name or folder"
        )


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)


def _event(name: str | None, classes: tuple[str, ...]) -> int | None:
    if name is None:
        return None
    if name not in classes:
        raise ProblemError(f"event class {shown(name)} is not one of the classes; {nearest(name, classes)}")
    return classes.index(name)
