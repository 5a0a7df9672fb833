"""How to train: the published keys and our own, all with defaults; from INI, YAML or keywords."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BeforeValidator, model_validator

from mainstream.description import Description, refuse, shown
from mainstream.errors import ProblemError
from mainstream.files import naming, parse, read_text
from mainstream.ranges import Count, NonNegative, Positive, Range, Whole
from mainstream.region import OfFrame

SECTION: Final = "finetune-config"

ValidationShare = Annotated[float, Range(0, 1, low_open=True, high_open=True)]


def _lower(given: Any) -> Any:
    return given.lower() if isinstance(given, str) else given


def _listed(given: Any) -> Any:
    """A list of chokepoints may be written with commas, and a number as a number."""
    if isinstance(given, str) and "," in given:
        given = given.split(",")
    if isinstance(given, list | tuple):
        return tuple(given)
    return str(given) if type(given) is int else given


class Settings(Description):
    """Everything that the result of a training depends on, apart from the images.

    Parameters
    ----------
    net : str
        A network of :data:`mainstream.trainer.networks.KNOWN`, or a ``.keras`` file whose outputs are the classes.
    n : int, optional
        Height and width of the frame; default: the network's own.
    weights : str
        "imagenet", "none", or a file, for a named network.
    dense : bool
        Put a dense layer of 1024 units before the softmax of a named network.
    chokepoints : str or sequence of int
        "auto" (the end of each block), "mobilenets", "inception", "resnet", a number N (every 5th layer up to N), or
        a list of `num_frozen`.
    event_class : str, optional
        The class whose true and false positive rates make up the curve; default: top-1 accuracy and the mean false
        positive rate of all classes.
    batch_size : int
    max_nb_epoch : int
        The most epochs at each chokepoint.
    early_stop : bool
        Stop after `patience` epochs without a lower loss on the validation images, and keep the best epoch's weights.
        If false, run all epochs and keep the weights of the last.
    patience : int
    validation : float
        Share of the training images that are used for validation.
    optimizer : {"adam", "adamax", "nadam", "rmsprop", "sgd"}
    learning_rate : float, optional
        Published key: ``learning-rate``. Default: 1e-4, or 1e-3 if only dense layers are trained.
    decay : float
        The learning rate after s steps is ``learning_rate / (1 + decay * s)``.
    data_augmentation, heavy_augmentation : bool
        Train on flipped, shifted and zoomed pictures; heavy: by larger amounts, and also turned, brighter and darker.
    passes : int
        How many versions of each training image there are with augmentation, including the plain one; epochs use them
        in turn.
    batch_norm : bool
        Run batch norm in training mode in the trained part; default: in inference mode everywhere.
    warm_start : bool
        Begin each tail from the trained tail of the next deeper chokepoint; if false, from the base network.
    seed : int
    region : (float, float, float, float), optional
        The part of each image that the app is trained on, and the part of the camera's frames that it sees later:
        x, y, width, height as shares of the image's width and height. Default: the whole.

    Raises
    ------
    ProblemError
        A key is unknown, or a value is out of its range.
    """

    other_names: ClassVar[Mapping[str, str]] = {"learning-rate": "learning_rate"}

    net: str = "mobilenetv2"
    n: Count | None = None
    weights: str = "imagenet"
    dense: bool = False
    chokepoints: Annotated[str | tuple[Whole, ...], BeforeValidator(_listed)] = "auto"
    event_class: str | None = None
    batch_size: Count = 32
    max_nb_epoch: Count = 20
    early_stop: bool = True
    patience: Count = 3
    validation: ValidationShare = 0.15
    optimizer: Annotated[Literal["adam", "adamax", "nadam", "rmsprop", "sgd"], BeforeValidator(_lower)] = "adam"
    learning_rate: Positive | None = None
    decay: NonNegative = 0.0
    data_augmentation: bool = False
    heavy_augmentation: bool = False
    passes: Count = 5
    batch_norm: bool = False
    warm_start: bool = True
    seed: Annotated[int, Range(0, 2**32 - 1, whole=True)] = 0
    region: OfFrame = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if isinstance(self.chokepoints, tuple) and not self.chokepoints:
            raise refuse("chokepoints is empty; leave it out for 'auto'")
        return self

    @property
    def augmentation(self) -> Literal["none", "light", "heavy"]:
        """The kind of augmentation that the two flags choose."""
        return "heavy" if self.heavy_augmentation else "light" if self.data_augmentation else "none"


def load_settings(path: Path) -> dict[str, Any]:
    """Read a configuration file: YAML or JSON if its name says so, else INI with the section ``[finetune-config]``.

    Raises
    ------
    ProblemError
        The file cannot be read, is in neither form, or has a wrong key or value.
    """
    if path.suffix.lower() in {".yaml", ".yml", ".json"}:
        keys: dict[str, Any] = parse(path)
        if not isinstance(keys, dict):
            raise ProblemError(f"{path}: holds {shown(keys)}; it has to be a mapping of keys to values")
    else:
        keys = _ini(path)
    with naming(path):
        Settings.of(keys, where="settings")  # checked here so that an error names the file
    return keys


def _ini(path: Path) -> dict[str, Any]:
    reader = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=("#", ";"))
    try:
        reader.read_string(read_text(path))
    except configparser.Error as error:
        raise ProblemError(f"{path}: not an INI file: {' '.join(str(error).split())}") from None
    if reader.sections() != [SECTION]:
        found = ", ".join(f"[{section}]" for section in reader.sections()) or "no section"
        raise ProblemError(f"{path}: has {found}; it has to have one section, [{SECTION}]")
    return dict(reader[SECTION])
