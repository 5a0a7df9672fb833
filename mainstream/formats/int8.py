"""What a problem file says of its apps in 8 bits, beside what it says of them as they were trained.

An app has ``int8``, a mapping with what is different of it there, and the problem ``int8_model``, the profile of the
network in 8 bits. All apps have it or none: behind one stem no two precisions are ever mixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator

from mainstream.description import Description, refuse, shown
from mainstream.errors import ProblemError
from mainstream.problem import FLOAT32, INT8, App, Model

APP_KEY: Final = "int8"
MODEL_KEY: Final = "int8_model"
_OF_ITS_MODELS: Final = frozenset(
    {
        "accuracies",
        "false_positive_rates",
        "prob_tnrs",
        "accuracy_intervals",
        "false_positive_intervals",
        "false_correlations",
        "curve",
        "package",
        "model_path",
    }
)
"""Keys of an app that say nothing of its models in 8 bits."""


class Int8(Description):
    """The apps and the base network of a problem in 8 bits.

    Parameters
    ----------
    apps : sequence of App
        Those of the problem, in its order.
    model : Model
        With `precision` "int8".
    """

    apps: Annotated[tuple[App, ...], Field(min_length=1)]
    model: Model

    @model_validator(mode="after")
    def _measured_in_8_bits(self) -> Self:
        if self.model.precision != INT8:
            raise refuse(
                f"{MODEL_KEY} was measured in {self.model.precision or FLOAT32}; it has to be a profile with "
                f"precision: {INT8}, as mainstream profile --net PACKAGE makes of a package in 8 bits"
            )
        return self


def split(given: Sequence[Any], where: str = "apps") -> tuple[list[Any], list[Any]]:
    """The apps of a file as they were trained, and in 8 bits; the second list is empty where none has `int8`.

    In 8 bits an app has its own keys, less those of its curve and its models, and over them what `int8` holds.

    Parameters
    ----------
    given : sequence
    where : str
        What to call it in a message.

    Raises
    ------
    ProblemError
        Some apps have `int8` and others do not, or it is no mapping.
    """
    plain: list[Any] = []
    quantised: list[Any] = []
    for i, app in enumerate(given):
        if not isinstance(app, dict) or APP_KEY not in app:
            plain.append(app)
            continue
        if len(quantised) < i:
            raise _missing(where, len(quantised), i)
        own = {key: value for key, value in app.items() if key != APP_KEY}
        different = app[APP_KEY]
        if not isinstance(different, dict):
            raise ProblemError(
                f"{where}[{i}]: {APP_KEY}: got {shown(different)}; it has to be a mapping with what is different in "
                "8 bits, such as {package: FOLDER}"
            )
        plain.append(own)
        quantised.append({key: value for key, value in own.items() if key not in _OF_ITS_MODELS} | different)
    if quantised and len(quantised) < len(given):
        raise _missing(where, len(quantised), 0)
    return plain, quantised


def joined(apps: Sequence[dict[str, Any]], quantised: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The apps as :func:`split` takes them apart."""
    return [{**own, APP_KEY: _different(own, other)} for own, other in zip(apps, quantised, strict=True)]


def _different(own: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What is to be said of the `other`, beside its `own` app; null takes a key away."""
    of_models = {key: value for key, value in other.items() if key in _OF_ITS_MODELS}
    rest = ({**own, **other}).keys() - _OF_ITS_MODELS
    return of_models | {key: other.get(key) for key in sorted(rest) if other.get(key) != own.get(key)}


def _missing(where: str, without: int, having: int) -> ProblemError:
    return ProblemError(
        f"{where}[{without}]: {APP_KEY} is missing, {where}[{having}] has it; a problem runs in one precision, "
        "so give it to all apps or to none"
    )
