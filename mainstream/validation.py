"""How a description (a pydantic model) refuses bad input: in one line, with what was given and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from mainstream.errors import ProblemError

_SHOWN = 60

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


def nearest(word: str, known: Iterable[str]) -> str:
    """Advice for a misspelt word: the nearest known one, or all of them."""
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"


def one_of(what: str, given: object, allowed: Iterable[str]) -> None:
    """Raise :class:`ProblemError` unless `given` is one of the `allowed` words."""
    allowed = list(allowed)
    if given not in allowed:
        raise ProblemError(f"{what}: {shown(given)} is not known; {nearest(str(given), allowed)}")


def shown(value: object) -> str:
    """`value` as it may stand in a one-line message: no line breaks, cut when long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def refuse(message: str) -> PydanticCustomError:
    """An error for a validator to raise; `message` says what is allowed."""
    return PydanticCustomError("mainstream", "{message}", {"message": message})


def _one_line(error: ValidationError, where: str) -> str:
    problems = error.errors(include_url=False, include_context=False)
    first = problems[0]
    place = ".".join(str(part) for part in first["loc"] if part != "[key]")
    if first["type"] == "missing":
        text = f"missing key {place!r}"
    elif first["type"] == "mainstream" and not place:
        text = first["msg"]
    else:
        message = first["msg"].replace("Input should be", "it has to be")
        text = f"{place}: got {shown(first['input'])}; {message}"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{where}: {text}{more}"


class Description(BaseModel):
    """Frozen, checked once at construction; a wrong key or value is one :class:`ProblemError`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    other_names: ClassVar[Mapping[str, str]] = {}
    """Published key -> our key, where they differ."""

    def __init__(self, **keys: Any) -> None:
        try:
            super().__init__(**keys)
        except ValidationError as error:
            raise ProblemError(_one_line(error, self._label(keys))) from None

    @classmethod
    def _label(cls, keys: Mapping[str, Any]) -> str:
        """What to call the described thing in a message."""
        return cls.__name__.lower()

    @classmethod
    def of(cls, given: Self | Mapping[str, Any], where: str | None = None) -> Self:
        """`given` itself when it is one already, else one made from the mapping."""
        where = where or cls.__name__.lower()
        if isinstance(given, cls):
            return given
        if not isinstance(given, Mapping):
            raise ProblemError(f"{where}: got {shown(given)}; it has to be a mapping of keys to values")
        strange = [key for key in given if not isinstance(key, str)]
        if strange:
            raise ProblemError(f"{where}: key {shown(strange[0])} is not a word")
        return cls(**given)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, keys: dict[str, Any]) -> dict[str, Any]:
        renamed: dict[str, Any] = {}
        for key, value in keys.items():
            ours = cls.other_names.get(key, key)
            if ours not in cls.model_fields:
                raise refuse(f"unknown key {key!r}; {nearest(key, [*cls.model_fields, *cls.other_names])}")
            if ours in renamed:
                raise refuse(f"{key!r} is another name of {ours!r}; give one of them")
            renamed[ours] = value
        return renamed
