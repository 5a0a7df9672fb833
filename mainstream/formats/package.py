"""M-Packages: what training makes for one app, as a folder that people can read.

``package.yaml`` describes it, ``curve.csv`` holds the measured accuracy curve, and ``models/`` has the network for each
`num_frozen` that is kept: a frozen graph such as ``90.pb``, the Keras model that it was made from, ``90.keras``, and
the graph as ONNX, ``90.onnx``, if that was asked for.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final, Self

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, model_validator

from mainstream.description import Description, each_once, nearest, refuse, shown
from mainstream.errors import ProblemError
from mainstream.files import naming, parse, write_text
from mainstream.formats.curve import Curve, load_curve, save_curve
from mainstream.problem import FLOAT32, Lengths, Model, Precision, canonical, differ_where_nothing_is_shared
from mainstream.ranges import PROBABILITY, Count, NonNegative, Positive, Share, Whole
from mainstream.region import OfFrame

PACKAGE: Final = "package.yaml"
CURVE: Final = "curve.csv"
MODELS: Final = "models"

_COMMENT: Final = "# An M-Package of Mainstream: one app; curve.csv holds its accuracy curve, models/ its networks.\n"
_WIDTH: Final = 110


def _not_empty(word: str) -> str:
    if not word.strip():
        raise refuse("it has to be a word")
    return word


def _digest(given: str) -> str:
    if not re.fullmatch("sha256:[0-9a-f]+", given):
        raise refuse("it has to be 'sha256:' and hexadecimal digits")
    return given


def _inside(file: str) -> str:
    path = PurePosixPath(file)
    if path.suffix not in (".pb", ".onnx") or path.is_absolute() or ".." in path.parts or "\\" in file:
        raise refuse(f"it has to be a .pb file inside the package's folder, such as {MODELS}/90.pb, or an .onnx file")
    return file


def _listed(given: Any) -> Any:
    return [given] if isinstance(given, Mapping) else given


_Word = Annotated[str, AfterValidator(_not_empty)]
_Model = Annotated[str, AfterValidator(_inside)]


class Estimate(Description):
    """A measured value, and the interval that contains the true value with the stated confidence.

    Parameters
    ----------
    value, low, high : float
    """

    value: NonNegative
    low: NonNegative
    high: NonNegative

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low <= self.value <= self.high:
            raise refuse(f"{self.value:g} is outside its interval, {self.low:g} to {self.high:g}")
        return self


class Seen(Description):
    """How a model of the package did on labelled frames of the camera.

    Parameters
    ----------
    num_frozen : int
        The model's `num_frozen`.
    accuracy : Estimate, optional
        Share of positive decisions on frames in events; None without such frames.
    false_positive_rate : Estimate, optional
        The same on frames outside events.
    false_correlation : Estimate, optional
        Correlation between successive analysed frames outside events; None if it could not be measured.
    correlation_fps : float, optional
        Analysed frames a second at which it was measured.
    """

    num_frozen: Whole
    accuracy: Estimate | None = None
    false_positive_rate: Estimate | None = None
    false_correlation: Estimate | None = None
    correlation_fps: Positive | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for key in ("accuracy", "false_positive_rate", "false_correlation"):
            given = getattr(self, key)
            if given is not None and not PROBABILITY.holds(given.high):
                raise refuse(f"{key}.high: got {given.high:g}; it has to be {PROBABILITY.words()}")
        if (self.false_correlation is None) != (self.correlation_fps is None):
            raise refuse("false_correlation and correlation_fps go together; give both or neither")
        return self


class Events(Description):
    """An app's event parameters, as calibrated on labelled frames.

    Parameters
    ----------
    event_length_ms, min_event_length_ms : Estimate
        Mean and shortest length of an event, milliseconds.
    event_frequency : Estimate
        Share of the windows of an event's length that hold an event.
    correlation : Estimate, optional
        Correlation between successive analysed frames of an event; None if it could not be measured.
    correlation_fps : float, optional
        Analysed frames a second at which the correlation was measured.
    accuracy_spread : Estimate, optional
        How much events differ in accuracy; None if no difference was found.
    event_lengths_ms : sequence of float, optional
        Lengths that events have equally often, milliseconds; None if all have one length.
    seen : sequence of Seen, optional
        How models of the package did on the recording, each once; a single one need not be in a list. None if it is
        not known which models decided.
    confidence : float
        Confidence of all intervals.
    labelled_frames, events : int
        How many labelled frames and events the recording has.
    """

    event_length_ms: Estimate
    min_event_length_ms: Estimate
    event_frequency: Estimate
    correlation: Estimate | None = None
    correlation_fps: Positive | None = None
    accuracy_spread: Estimate | None = None
    event_lengths_ms: Lengths | None = None
    seen: Annotated[tuple[Seen, ...], BeforeValidator(_listed)] | None = None
    confidence: Share
    labelled_frames: Count
    events: Count

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for key in ("event_frequency", "correlation", "accuracy_spread"):
            given = getattr(self, key)
            if given is not None and not PROBABILITY.holds(given.high):
                raise refuse(f"{key}.high: got {given.high:g}; it has to be {PROBABILITY.words()}")
        models = [canonical(one.num_frozen) for one in self.seen or ()]
        twice = [f for f in models if models.count(f) > 1]
        if twice:
            raise refuse(f"seen has num_frozen {twice[0]} twice; give each model once")
        if (self.correlation is None) != (self.correlation_fps is None):
            raise refuse("correlation and correlation_fps go together; give both or neither")
        return self


class Tested(Description):
    """On how many test images each of the curve's two rates was measured.

    Parameters
    ----------
    accuracy, false_positive_rate : int
    """

    accuracy: Count
    false_positive_rate: Count


class Package(Description):
    """The content of ``package.yaml``.

    Parameters
    ----------
    name : str
        The app's name.
    network : str
        The base network, such as "mobilenetv2".
    weights_digest : str
        "sha256:..." over the base network's weights before they were fine-tuned.
    channels, height, width : int
        Input size.
    total_layers : int
        Layers of the app's network, including its head.
    classes : sequence of str
        Class names in the order of the network's outputs; at least two.
    event_class : str, optional
        The class that is the event.
    chokepoints : mapping of int to str
        `num_frozen` -> name of the tensor there, including the two ends; as a profile's `frozen_layer_names`.
    models : mapping of int to str
        `num_frozen` that is kept -> its frozen graph, relative to the folder, with the Keras model beside it; or an
        ONNX model.
    picture_size : (int, int), optional
        Median width and height of the pictures that it was trained on; None if it is not known.
    tested : Tested, optional
        None if it is not known.
    precision : str, optional
        "int8" if the models are in 8 bits; None for 32 bits.
    events : Events, optional
        None before the package is calibrated.
    region : (float, float, float, float), optional
        The part of the frame that it was trained on: x, y, width, height as shares; None for the whole.
    training : mapping
        The settings of the training.
    versions : mapping of str to str
        Versions of Python and of the packages that made it.

    Raises
    ------
    ProblemError
        A key is unknown or missing, or a value is wrong.
    """

    name: _Word
    network: _Word
    weights_digest: Annotated[str, AfterValidator(_digest)]
    channels: Count = 3
    height: Count
    width: Count
    total_layers: Count
    classes: tuple[_Word, ...]
    event_class: _Word | None = None
    chokepoints: Annotated[Mapping[Whole, _Word], each_once]
    models: Annotated[Mapping[Whole, _Model], each_once] = Field(default_factory=dict)
    picture_size: tuple[Count, Count] | None = None
    tested: Tested | None = None
    precision: Precision | None = None
    events: Events | None = None
    region: OfFrame = None
    training: Mapping[str, JsonValue] = Field(default_factory=dict)
    versions: Mapping[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.classes) < 2:
            raise refuse(f"classes has {len(self.classes)}; a classifier needs 2 or more")
        if len(set(self.classes)) < len(self.classes):
            raise refuse(f"classes {shown(list(self.classes))} are not all different")
        if self.event_class is not None and self.event_class not in self.classes:
            raise refuse(
                f"event_class: {shown(self.event_class)} is not a class; {nearest(self.event_class, self.classes)}"
            )
        beyond = [f for f in self.chokepoints if f > self.total_layers]
        if beyond:
            raise refuse(f"chokepoints has {beyond[0]}, but the network has only {self.total_layers} layers")
        if not {0, self.total_layers} <= {canonical(f) for f in self.chokepoints}:
            raise refuse(f"chokepoints has to have the two ends, 0 and {self.total_layers}")
        for seen in self.seen:
            if canonical(seen.num_frozen) not in self.branches:
                allowed = shown(sorted(self.branches))
                raise refuse(f"events: seen: num_frozen {seen.num_frozen} is not a chokepoint; allowed: {allowed}")
        strange = [f for f in self.models if canonical(f) not in self.branches]
        if strange:
            allowed = shown(sorted(self.branches))
            raise refuse(f"models has {strange[0]}, which is not a chokepoint; allowed: {allowed}")
        return self

    @property
    def branches(self) -> frozenset[int]:
        """The chokepoints at which an app can leave the stem: all except the last; 0 means nothing is shared."""
        return frozenset(canonical(f) for f in self.chokepoints if f < self.total_layers)

    @property
    def seen(self) -> tuple[Seen, ...]:
        """How models did on the camera; empty if that is not known."""
        return (self.events.seen or ()) if self.events is not None else ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of a frame."""
        return self.height, self.width, self.channels

    @property
    def event_output(self) -> int | None:
        """The number of the output that is the event."""
        return None if self.event_class is None else self.classes.index(self.event_class)


def pareto(curve: Curve) -> tuple[int, ...]:
    """The `num_frozen` whose models are kept, increasing.

    A model is left out if one that shares more layers (larger `num_frozen`) is at least as accurate: it would share
    less and gain nothing. So accuracy falls strictly with `num_frozen` among those that are kept.

    False positive rates are not considered. A model that is left out may still raise fewer false alarms than any that
    is kept. If that matters, train for it (``--event-class``), or keep all models and give the curve itself to the
    problem.
    """
    kept: list[int] = []
    for f in sorted(curve.accuracies, reverse=True):
        if not kept or curve.accuracies[f] > curve.accuracies[kept[-1]]:
            kept.append(f)
    return tuple(reversed(kept))


def save_package(package: Package, curve: Curve, folder: str | PathLike[str]) -> None:
    """Write ``package.yaml`` and ``curve.csv``; the models are there already.

    Parameters
    ----------
    package : Package
    curve : Curve
        As measured, including the points that :func:`pareto` leaves out.
    folder : path
        It has to exist.

    Raises
    ------
    ProblemError
        Package and curve do not fit together, or a file cannot be written.
    """
    folder = Path(folder)
    with naming(folder / CURVE):
        check_curve(package, curve)
    save_curve(curve, folder / CURVE)
    write_text(folder / PACKAGE, _COMMENT + _yaml(package.model_dump(exclude_none=True)))


def read_package(folder: str | PathLike[str]) -> tuple[Package, Curve]:
    """Read a package and its measured curve.

    Raises
    ------
    ProblemError
        A file is missing, or its content is wrong.
    """
    folder = Path(folder)
    if not (folder / PACKAGE).is_file():
        raise ProblemError(f"{folder}: not an M-Package: there is no {PACKAGE} in it; `mainstream train` makes one")
    package = Package.of(parse(folder / PACKAGE), where=str(folder / PACKAGE))
    curve = load_curve(folder / CURVE)
    with naming(folder / CURVE):
        check_curve(package, curve)
    return package, curve


def check_curve(package: Package, curve: Curve) -> None:
    """Check that a curve belongs to this package.

    Raises
    ------
    ProblemError
        It has a point that is not a chokepoint of the package, or lacks one for which the package has a model.
    """
    strange = [f for f in curve.accuracies if canonical(f) not in package.branches]
    if strange:
        allowed = shown(sorted(package.branches))
        raise ProblemError(f"num_frozen: {strange[0]} is not a chokepoint of {PACKAGE}; allowed: {allowed}")
    for given in (curve.accuracies, curve.false_positive_rates or {}):
        contradiction = differ_where_nothing_is_shared(given)
        if contradiction is not None:
            raise ProblemError(contradiction)
    unmeasured = [f for f in package.models if f not in curve.accuracies]
    if unmeasured:
        raise ProblemError(f"num_frozen: {unmeasured[0]} is missing; {PACKAGE} has a model for it")


def check_fit(packages: Mapping[str, Package], model: Model) -> None:
    """Check that packages can share a stem, and that a profile is of their network.

    Parameters
    ----------
    packages : mapping of str to Package
        Name in messages -> the package.
    model : Model

    Raises
    ------
    ProblemError
        They are not fine-tuned from the same weights, or differ in precision, input size, layers or tensor names.
    """
    first, *_ = packages
    of_shape, shape = first, packages[first].shape
    if model.height is not None and model.width is not None:
        of_shape, shape = "the model", (model.height, model.width, model.channels)
    if packages[first].precision != model.precision:
        raise ProblemError(
            f"{first}: its models are in {packages[first].precision or FLOAT32}, but the model was measured in "
            f"{model.precision or FLOAT32}; profile what will run: mainstream profile --net PACKAGE"
        )
    for where, package in packages.items():
        if package.weights_digest != packages[first].weights_digest:
            raise ProblemError(
                f"{where}: its base network has the weights {package.weights_digest[:19]}, that of {first} has "
                f"{packages[first].weights_digest[:19]}; only apps of the same network can share layers"
            )
        if package.precision != packages[first].precision:
            raise ProblemError(
                f"{where}: its models are in {package.precision or FLOAT32}, those of {first} in "
                f"{packages[first].precision or FLOAT32}; precisions are not mixed behind one stem; give all apps of a "
                "problem in one precision, or give the packages in 8 bits as int8"
            )
        if package.shape != shape:
            raise ProblemError(f"{where}: takes frames of {_size(package.shape)}, {of_shape} takes {_size(shape)}")
        if package.total_layers != model.total_layers:
            raise ProblemError(
                f"{where}: its network has {package.total_layers} layers, the model has {model.total_layers}"
            )
        names = {canonical(f): name for f, name in package.chokepoints.items()}
        for f, name in model.frozen_layer_names.items():
            ours = names.get(canonical(f), name)
            if ours != name:
                raise ProblemError(f"{where}: chokepoint {f} is {shown(ours)}, in the model it is {shown(name)}")


def _size(shape: tuple[int, int, int]) -> str:
    return " x ".join(map(str, shape))


def _yaml(keys: dict[str, Any]) -> str:
    """YAML with a line for each key and each key below it; deeper levels go on that line."""
    with io.StringIO() as text:
        dumper = yaml.SafeDumper(text, default_flow_style=None, allow_unicode=True, width=_WIDTH, sort_keys=False)
        dumper.open()
        root = dumper.represent_data(keys)
        for _, value in root.value:
            if isinstance(value, yaml.MappingNode):
                value.flow_style = False
        dumper.serialize(root)
        return text.getvalue()
