"""How to train: the published keys and ours, with defaults for all; from INI, YAML or keywords."""

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
    """A list of chokepoints written with commas, and a number written as one."""
    if isinstance(given, str) and "," in given:
        given = given.split(",")
    if isinstance(given, list | tuple):
        return tuple(given)
    return str(given) if type(given) is int else given


class Settings(Description):
    """What a training's result depends on, besides the images.

    Parameters
    ----------
    net : str
        A network of :data:`mainstream.trainer.networks.KNOWN`, or a ``.keras`` file whose outputs are the classes.
    n : int, optional
        Height and width of the frame; default: the network's own.
    weights : str
        "imagenet", "none", or a file, for a named network.
    dense : bool
        A dense layer of 1024 units before the softmax of a named network.
    chokepoints : str or sequence of int
        "auto" (the end of each block), "mobilenets", "inception", "resnet", a number N (every 5th layer up to N), or
        the `num_frozen` themselves.
    event_class : str, optional
        The class whose true and false positive rates make the curve; default: top-1 accuracy and the mean false
        positive rate of all classes.
    batch_size : int
    max_nb_epoch : int
        The most epochs at each chokepoint.
    early_stop : bool
        Stop after `patience` epochs without a lower loss on the validation part, and keep the best epoch's weights;
        without it, all epochs are run and the last one's are kept.
    patience : int
    validation : float
        Share of the training images that is the validation part.
    optimizer : {"adam", "adamax", "nadam", "rmsprop", "sgd"}
    learning_rate : float, optional
        Published key: ``learning-rate``. Default: 1e-4, and 1e-3 where nothing but dense layers is trained.
    decay : float
        The learning rate after s steps is ``learning_rate / (1 + decay * s)``.
    data_augmentation, heavy_augmentation : bool
        Train on pictures that are flipped, shifted and zoomed; heavy: turned, brighter and darker, too, and more.
    passes : int
        How many versions of each training image there are with augmentation, the plain one among them; epochs take
        turns.
    batch_norm : bool
        Batch norm in training mode in the part that is trained; default: in inference mode everywhere.
    warm_start : bool
        A tail begins from the trained tail of the next deeper chokepoint; otherwise from the base network.
    seed : int
    region : (float, float, float, float), optional
        The part of each image that the app is trained on, and later sees of the camera's frames: x, y, width, height,
        as shares of the image's width and height. Default: the whole.

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
        """How pictures are augmented."""
        return "heavy" if self.heavy_augmentation else "light" if self.data_augmentation else "none"


def load_settings(path: Path) -> dict[str, Any]:
    """The keys in a configuration file: YAML (JSON) by its name, else INI with the section ``[finetune-config]``.

    Raises
    ------
    ProblemError
        The file cannot be read or is of neither form.
    """
    if path.suffix.lower() in {".yaml", ".yml", ".json"}:
        keys: dict[str, Any] = parse(path)
        if not isinstance(keys, dict):
            raise ProblemError(f"{path}: holds {shown(keys)}; it has to be a mapping of keys to values")
    else:
        keys = _ini(path)
    with naming(path):
        Settings.of(keys, where="settings")  # so that the message names the file
    return keys


def _ini(path: Path) -> dict[str, Any]:
    reader = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=("#", ";"))
    try:
        reader.read_string(read_text(path))
    except configparser.Error as error:
        raise ProblemError(f"{path}: no INI file: {' '.join(str(error).split())}") from None
    if reader.sections() != [SECTION]:
        found = ", ".join(f"[{section}]" for section in reader.sections()) or "no section"
        raise ProblemError(f"{path}: has {found}; it has to have [{SECTION}] and nothing else")
    return dict(reader[SECTION])
