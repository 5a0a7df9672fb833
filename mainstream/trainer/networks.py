"""Base networks: those of ``keras.applications`` with a head, Keras files, and Keras model objects.

Preprocessing is part of each network, so its input is the frame as the camera gives it: RGB, 0-255. It is arithmetic
on the input tensor and not a layer, so that layers keep their numbers from ``keras.applications``.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from mainstream.description import nearest, shown
from mainstream.errors import ProblemError
from mainstream.graphs.backend import brief, keras
from mainstream.graphs.keras_file import load_keras_file
from mainstream.graphs.trace import Network, trace
from mainstream.ranges import SIDE, Range

IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION: Final = (0.229, 0.224, 0.225)
BGR_MEAN: Final = (103.939, 116.779, 123.68)

_CLASSES: Final = Range(2, 100_000, whole=True)


@dataclass(frozen=True)
class Known:
    """A network of ``keras.applications``.

    Attributes
    ----------
    function : str
        Its name in ``keras.applications``.
    size : int
        Native height and width.
    smallest : int
        The smallest height and width that it accepts.
    preprocessing : str
        "symmetric" (-1..1), "bgr" (mean removed, blue first) or "own" (the network does it).
    """

    function: str
    size: int
    smallest: int
    preprocessing: str


KNOWN: Final = {
    "inceptionv3": Known("InceptionV3", 299, 75, "symmetric"),
    "resnet50": Known("ResNet50", 224, 32, "bgr"),
    "mobilenet": Known("MobileNet", 224, 32, "symmetric"),
    "mobilenetv2": Known("MobileNetV2", 224, 32, "symmetric"),
    "efficientnetb0": Known("EfficientNetB0", 224, 32, "own"),
}


def network(
    model: Any, *, size: int | None = None, weights: str | Path = "none", classes: int = 2, dense: bool = False
) -> Network:
    """Load or build any base network, and trace it.

    Parameters
    ----------
    model : str, Path or keras.Model
        A name in :data:`KNOWN` (upper or lower case), a Keras file (``.keras``, ``.h5``), or a model.
    size, weights, classes, dense
        As for :func:`build`; only `size` may be given with a file or a model.

    Raises
    ------
    ProblemError
        There is no such network, or it does not take one image and give one tensor.
    """
    return with_model(model, size=size, weights=weights, classes=classes, dense=dense)[1]


def with_model(
    model: Any, *, size: int | None = None, weights: str | Path = "none", classes: int = 2, dense: bool = False
) -> tuple[Any, Network]:
    """The Keras model and its :func:`network`, with the same arguments and errors."""
    if not isinstance(model, str | Path):
        return model, trace(model, getattr(model, "name", "model"), size)
    name = network_name(model)
    if name in KNOWN:
        built = build(name, size=size, weights=weights, classes=classes, dense=dense)
        return built, trace(built, f"{name}-{built.input_shape[1]}")
    if Path(model).suffix not in {".keras", ".h5"}:
        raise ProblemError(f"network {str(model)!r} is not known; {nearest(name, KNOWN)}; or give a .keras file")
    if str(weights) != "none" or dense:
        raise ProblemError(f"{model} has its own weights and head; leave out --weights and --dense")
    loaded = load_keras_file(model)
    return loaded, trace(loaded, Path(model).stem, size)


def network_name(name: str | Path) -> str:
    """A network's name as in :data:`KNOWN`: "MobileNet-V2" becomes "mobilenetv2"."""
    return re.sub(r"[-_ ]", "", str(name)).lower()


def build(
    name: str, *, size: int | None = None, weights: str | Path = "none", classes: int = 2, dense: bool = False
) -> Any:
    """Build a network of ``keras.applications`` with a new head.

    Parameters
    ----------
    name : str
        One of :data:`KNOWN`.
    size : int, optional
        Height and width of the frame; default: the network's native size.
    weights : str or Path
        "imagenet" (downloaded by Keras), "none" (random), or a file of weights, with or without this head.
    classes : int
        Outputs of the softmax.
    dense : bool
        Put a dense layer of 1024 units between pooling and softmax.

    Returns
    -------
    keras.Model
        Input (batch, size, size, 3), RGB 0-255; output (batch, classes), probabilities. Layer names do not depend
        on what else was built in this process.

    Raises
    ------
    ProblemError
        The name is not known, the network does not accept that size, or the weights are not this network's.
    """
    name = network_name(name)
    if name not in KNOWN:
        raise ProblemError(f"network {name!r} is not known; {nearest(name, KNOWN)}")
    known = KNOWN[name]
    size = known.size if size is None else size
    SIDE.check("size", size)
    if size < known.smallest:
        raise ProblemError(f"{name} takes frames of at least {known.smallest} x {known.smallest}, not {size} x {size}")
    if not _CLASSES.holds(classes):
        raise ProblemError(f"classes: got {shown(classes)}; a softmax needs at least 2, up to {_CLASSES.high}")
    layers = keras().layers
    frame = keras().Input((size, size, 3), name="input_layer")
    base = _application(known, include_top=False, weights=None, input_tensor=_preprocess(frame, known.preprocessing))
    _rename(base)
    top = layers.GlobalAveragePooling2D(name="gap")(base.outputs[0])
    if dense:
        top = layers.Dense(1024, activation="relu", name="dense")(top)
    top = layers.Dense(classes, activation="softmax", name="softmax")(top)
    model = keras().Model(frame, top, name=name)
    if str(weights) == "imagenet":
        base.set_weights(_imagenet(name, known, size).get_weights())
    elif str(weights) != "none":
        _load_weights(model, base, Path(weights))
    if known.preprocessing == "own":
        _normalise(model)
    return model


def _application(known: Known, **keywords: Any) -> Any:
    with warnings.catch_warnings(), redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")  # it warns that "weights for size 224 will be loaded", as intended
        return getattr(keras().applications, known.function)(**keywords)


def _preprocess(frame: Any, how: str) -> Any:
    ops = keras().ops
    if how == "symmetric":
        return ops.subtract(ops.divide(frame, 127.5), 1.0)
    if how == "bgr":
        return ops.subtract(ops.flip(frame, axis=-1), np.array(BGR_MEAN, np.float32))
    return frame


def _rename(base: Any) -> None:
    """Keras numbers unnamed layers across a whole process; give them the numbers of a fresh process."""
    families = defaultdict(list)
    for layer in base.layers:
        stem, number = re.fullmatch(r"(.*?)(?:_(\d+))?", layer.name).groups()  # type: ignore[union-attr]
        if stem.replace("_", "") == type(layer).__name__.lower():
            families[stem].append((int(number or 0), layer))
    for stem, members in families.items():
        for rank, (_, layer) in enumerate(sorted(members, key=lambda member: member[0])):
            layer.name = f"{stem}_{rank}" if rank else stem


def _imagenet(name: str, known: Known, size: int) -> Any:
    try:
        return _application(known, include_top=False, weights="imagenet", input_shape=(size, size, 3))
    except Exception as error:  # Keras raises a plain Exception when it cannot download
        raise ProblemError(
            f"the ImageNet weights of {name} cannot be downloaded ({brief(error)}); "
            "give a file of them with --weights FILE, a network that has its own with --net FILE.keras, "
            "or --weights none to try it out (poor accuracy)"
        ) from None


def _load_weights(model: Any, base: Any, path: Path) -> None:
    if not path.is_file():
        raise ProblemError(f"weights {str(path)!r}: no such file; give 'imagenet', 'none' or a .h5 or .keras file")
    if path.suffix not in {".h5", ".keras"}:
        raise ProblemError(f"{path}: cannot hold weights; give a .h5, .weights.h5 or .keras file")
    whole = path.suffix == ".keras" or _holds_model(path)
    if whole:
        _take_weights(model, base, load_keras_file(path), path)
        return
    reasons = []
    for target in (model, base):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Keras 3.15 warns for each layer that its bookkeeping is not saved
                target.load_weights(path)
        except Exception as error:  # Keras raises almost anything here
            reasons.append(brief(error))
        else:
            return
    raise ProblemError(f"{path} does not hold weights of {model.name}: {reasons[1]}")


def _holds_model(path: Path) -> bool:
    import h5py

    try:
        with h5py.File(path) as file:
            return "model_config" in file.attrs
    except OSError as error:
        raise ProblemError(f"{path} is no HDF5 file: {brief(error)}") from None


def _take_weights(model: Any, base: Any, source: Any, path: Path) -> None:
    """Copy the leading weights of `source`, or of a model inside it, where number and shapes fit."""
    for given in (one.get_weights() for one in _models(source)):
        for target in (model, base):
            own = target.get_weights()
            if [array.shape for array in own] == [array.shape for array in given[: len(own)]]:
                target.set_weights(given[: len(own)])
                return
    raise ProblemError(f"{path} does not hold weights of {model.name}: their number or shapes differ")


def _models(model: Any) -> Iterator[Any]:
    """A model and all models inside it."""
    yield model
    for layer in model.layers:
        if isinstance(layer, keras().Model):
            yield from _models(layer)


def _normalise(model: Any) -> None:
    # The published EfficientNet weights hold the deviation where the variance belongs. Keras corrects that by an extra
    # layer, with these weights only. Setting the variance instead keeps the layers' numbers equal for all weights.
    layer = next(one for one in model.layers if isinstance(one, keras().layers.Normalization))
    layer.adapt_mean.assign(np.reshape(IMAGENET_MEAN, layer.adapt_mean.shape))
    layer.adapt_variance.assign(np.reshape(np.square(IMAGENET_DEVIATION), layer.adapt_variance.shape))
    layer.finalize_state()
