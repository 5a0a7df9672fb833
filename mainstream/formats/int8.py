"""The 8-bit variants of apps in a problem file, beside the apps as they were trained.

An app has ``int8``, a mapping with the keys that are different in 8 bits; the problem has ``int8_model``, the profile
of the network in 8 bits. All apps have ``int8`` or none, since precisions are never mixed behind one stem.
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
"""Keys of an app that are about its 32-bit models, and do not hold for its 8-bit ones."""


class Int8(Description):
    """The apps and the base network of a problem in 8 bits.

    Parameters
    ----------
    apps : sequence of App
        The apps of the problem, in its order.
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
                f"precision: {INT8}; `mainstream profile --net PACKAGE` makes one from a package in 8 bits"
            )
        return self


def split(given: Sequence[Any], where: str = "apps") -> tuple[list[Any], list[Any]]:
    """Split the apps of a file: as they were trained, and in 8 bits. The second list is empty if no app has `int8`.

    In 8 bits an app has its own keys without those of its curve and its models; the keys in `int8` override them.

    Parameters
    ----------
    given : sequence
    where : str
        The name of the list in messages.

    Raises
    ------
    ProblemError
        Some apps have `int8` and others do not, or it is not a mapping.
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
                f"{where}[{i}]: {APP_KEY}: got {shown(different)}; it has to be a mapping of the keys that are "
                "different in 8 bits, such as {package: FOLDER}"
            )
        plain.append(own)
        quantised.append({key: value for key, value in own.items() if key not in _OF_ITS_MODELS} | different)
    if quantised and len(quantised) < len(given):
        raise _missing(where, len(quantised), 0)
    return plain, quantised


def joined(apps: Sequence[dict[str, Any]], quantised: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join the apps again that :func:`split` has split."""
    return [{**own, APP_KEY: _different(own, other)} for own, other in zip(apps, quantised, strict=True)]


def _different(own: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The keys of the `other` variant that differ from its `own` app; None removes a key."""
    of_models = {key: value for key, value in other.items() if key in _OF_ITS_MODELS}
    rest = ({**own, **other}).keys() - _OF_ITS_MODELS
    return of_models | {key: other.get(key) for key in sorted(rest) if other.get(key) != own.get(key)}


def _missing(where: str, without: int, having: int) -> ProblemError:
    return ProblemError(
        f"{where}[{without}]: {APP_KEY} is missing, but {where}[{having}] has it; all apps run in one precision, "
        "so give it to all of them or to none"
    )
