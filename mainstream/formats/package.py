"""M-Packages: what the trainer hands over for one app, as a folder that people can read.

``package.yaml`` says what it is, ``curve.csv`` holds the accuracy curve as measured, and ``models/`` the network for
each `num_frozen` that is kept: a frozen graph, ``90.pb``, the Keras model that it was made from, ``90.keras``, and,
where it was asked for, the graph as ONNX, ``90.onnx``.
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
    """A measured value and the interval that holds the true one with the stated confidence.

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
            raise refuse(f"{self.value:g} does not lie in its interval, {self.low:g} to {self.high:g}")
        return self


class Seen(Description):
    """How a model of the package did on labelled frames of the camera.

    Parameters
    ----------
    num_frozen : int
        Which of its models.
    accuracy : Estimate, optional
        Share of positive decisions on frames of events; None without such frames.
    false_positive_rate : Estimate, optional
        The same on frames of none.
    false_correlation : Estimate, optional
        Between successive analysed frames of none; None where it could not be seen.
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
    """How an app's events come and go, as calibrated on labelled frames.

    Parameters
    ----------
    event_length_ms, min_event_length_ms : Estimate
        Mean and least length of an event, milliseconds.
    event_frequency : Estimate
        Share of the windows of an event's length that hold an event.
    correlation : Estimate, optional
        Between successive analysed frames of an event; None where it could not be seen.
    correlation_fps : float, optional
        Analysed frames a second at which the correlation was measured.
    accuracy_spread : Estimate, optional
        How much events differ in accuracy; None where no difference could be told from none.
    event_lengths_ms : sequence of float, optional
        Lengths that events have equally often, milliseconds; None where all are of one length.
    seen : sequence of Seen, optional
        How models of the package did on the recording, each once; a single one need not be in a list. None where it is
        not known which ones.
    confidence : float
        Of the intervals.
    labelled_frames, events : int
        How much there was to see.
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
    """On how many test images the curve was measured.

    Parameters
    ----------
    accuracy, false_positive_rate : int
        Images behind each of the two rates.
    """

    accuracy: Count
    false_positive_rate: Count


class Package(Description):
    """What ``package.yaml`` holds.

    Parameters
    ----------
    name : str
        The app's.
    network : str
        The base network, such as "mobilenetv2".
    weights_digest : str
        "sha256:..." over the base network's weights before they were fine-tuned.
    channels, height, width : int
        Input size.
    total_layers : int
        Layers of the app's network, its head included.
    classes : sequence of str
        In the order of the network's outputs; at least two.
    event_class : str, optional
        Which of them is the event.
    chokepoints : mapping of int to str
        `num_frozen` -> name of the tensor there, the two ends included; as a profile's `frozen_layer_names`.
    models : mapping of int to str
        `num_frozen` that are kept -> frozen graph, relative to the folder, with the Keras model beside it; or an ONNX
        model.
    tested : Tested, optional
        None where it is not known.
    precision : str, optional
        "int8" where the models are in 8 bits; None for 32.
    events : Events, optional
        None before the package is calibrated.
    region : (float, float, float, float), optional
        The part of the frame that it was trained on, as shares; None for the whole.
    training : mapping
        The settings of the training.
    versions : mapping of str to str
        Of Python and the packages that made it.

    Raises
    ------
    ProblemError
        A key is unknown or missing, or a value is not what it has to be.
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
                f"event_class: {shown(self.event_class)} is no class; {nearest(self.event_class, self.classes)}"
            )
        beyond = [f for f in self.chokepoints if f > self.total_layers]
        if beyond:
            raise refuse(f"chokepoints has {beyond[0]}, the network has {self.total_layers} layers")
        if not {0, self.total_layers} <= {canonical(f) for f in self.chokepoints}:
            raise refuse(f"chokepoints has to have the two ends, 0 and {self.total_layers}")
        for seen in self.seen:
            if canonical(seen.num_frozen) not in self.branches:
                allowed = shown(sorted(self.branches))
                raise refuse(f"events: seen: num_frozen {seen.num_frozen} is no chokepoint; allowed: {allowed}")
        strange = [f for f in self.models if canonical(f) not in self.branches]
        if strange:
            raise refuse(f"models has {strange[0]}, which is no chokepoint; allowed: {shown(sorted(self.branches))}")
        return self

    @property
    def branches(self) -> frozenset[int]:
        """The chokepoints at which an app can leave the stem: all but the last; 0 for nothing shared."""
        return frozenset(canonical(f) for f in self.chokepoints if f < self.total_layers)

    @property
    def seen(self) -> tuple[Seen, ...]:
        """How models did on the camera, as far as it is known."""
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
    """The `num_frozen` that are kept, increasing.

    A model that is more specialised (smaller `num_frozen`) and not more accurate than a less specialised one is left
    out: it shares less and gains nothing. So accuracy falls strictly along what is kept.

    False positive rates have no say. A model that is left out may still raise fewer false alarms than any that is kept;
    where that matters, train for it (``--event-class``), or keep all and give the curve itself to the problem.
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
        As measured, with what :func:`pareto` leaves out.
    folder : path
        Has to exist.

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
    """A package and its curve, as measured.

    Raises
    ------
    ProblemError
        A file is missing, or what it holds is not what it has to be.
    """
    folder = Path(folder)
    if not (folder / PACKAGE).is_file():
        raise ProblemError(f"{folder}: no M-Package: there is no {PACKAGE} in it; `mainstream train` makes one")
    package = Package.of(parse(folder / PACKAGE), where=str(folder / PACKAGE))
    curve = load_curve(folder / CURVE)
    with naming(folder / CURVE):
        check_curve(package, curve)
    return package, curve


def check_curve(package: Package, curve: Curve) -> None:
    """Check that a curve is one of this package.

    Raises
    ------
    ProblemError
        It has a point that is no chokepoint of the package, or lacks one that the package has a model for.
    """
    strange = [f for f in curve.accuracies if canonical(f) not in package.branches]
    if strange:
        allowed = shown(sorted(package.branches))
        raise ProblemError(f"num_frozen: {strange[0]} is no chokepoint of {PACKAGE}; allowed: {allowed}")
    for given in (curve.accuracies, curve.false_positive_rates or {}):
        contradiction = differ_where_nothing_is_shared(given)
        if contradiction is not None:
            raise ProblemError(contradiction)
    unmeasured = [f for f in package.models if f not in curve.accuracies]
    if unmeasured:
        raise ProblemError(f"num_frozen: {unmeasured[0]} is missing; {PACKAGE} has a model for it")


def check_fit(packages: Mapping[str, Package], model: Model) -> None:
    """Check that packages can share a stem, and that a profile is that of their network.

    Parameters
    ----------
    packages : mapping of str to Package
        What to call each in a message -> the package.
    model : Model

    Raises
    ------
    ProblemError
        They are not fine-tuned from the same weights, or differ in input size, layers or the names of tensors.
    """
    first, *_ = packages
    of_shape, shape = first, packages[first].shape
    if model.height is not None and model.width is not None:
        of_shape, shape = "the model", (model.height, model.width, model.channels)
    if packages[first].precision != model.precision:
        raise ProblemError(
            f"{first}: its models are in {packages[first].precision or FLOAT32}, and the model was measured in "
            f"{model.precision or FLOAT32}; measure what runs: mainstream profile --net PACKAGE"
        )
    for where, package in packages.items():
        if package.weights_digest != packages[first].weights_digest:
            raise ProblemError(
                f"{where}: its base network has the weights {package.weights_digest[:19]}, that of {first} "
                f"{packages[first].weights_digest[:19]}; apps can share layers of the same network only"
            )
        if package.precision != packages[first].precision:
            raise ProblemError(
                f"{where}: its models are in {package.precision or FLOAT32}, those of {first} in "
                f"{packages[first].precision or FLOAT32}; a quantised tail behind a float stem, or the other way "
                "round, was never measured; give all apps of a problem in one precision, or the packages in 8 bits "
                "as int8"
            )
        if package.shape != shape:
            raise ProblemError(f"{where}: takes frames of {_size(package.shape)}, {of_shape} those of {_size(shape)}")
        if package.total_layers != model.total_layers:
            raise ProblemError(
                f"{where}: its network has {package.total_layers} layers, the model {model.total_layers}"
            )
        names = {canonical(f): name for f, name in package.chokepoints.items()}
        for f, name in model.frozen_layer_names.items():
            ours = names.get(canonical(f), name)
            if ours != name:
                raise ProblemError(f"{where}: chokepoint {f} is {shown(ours)}, in the model it is {shown(name)}")


def _size(shape: tuple[int, int, int]) -> str:
    return " x ".join(map(str, shape))


def _yaml(keys: dict[str, Any]) -> str:
    """A line for each key and each key below it; what lies deeper goes on one line."""
    with io.StringIO() as text:
        dumper = yaml.SafeDumper(text, default_flow_style=None, allow_unicode=True, width=_WIDTH, sort_keys=False)
        dumper.open()
        root = dumper.represent_data(keys)
        for _, value in root.value:
            if isinstance(value, yaml.MappingNode):
                value.flow_style = False
        dumper.serialize(root)
        return text.getvalue()
