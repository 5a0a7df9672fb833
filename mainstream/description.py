"""How a description (a pydantic model) refuses bad input: in one line, with what was given and what is allowed."""

from __future__ import annotations

import difflib
import math
import reprlib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, ClassVar, Final, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from mainstream.errors import ProblemError

_SHOWN: Final = 60

_PLAIN_WORDS: Final = {
    "mapping_type": "it has to be a mapping of keys to values",
    "dict_type": "it has to be a mapping of keys to values",
    "tuple_type": "it has to be a list",
    "string_type": "it has to be text (in quotes, where YAML would read it as something else)",
    "bool_type": "it has to be true or false",
    "bool_parsing": "it has to be true or false",
}


def refuse(message: str) -> PydanticCustomError:
    """An error for a validator to raise; `message` says what is allowed."""
    return PydanticCustomError("mainstream", "{message}", {"message": message})


def says(allowed: str) -> WrapValidator:
    """Metadata for a type: whatever is wrong with a value, the message says that it has to be `allowed`."""

    def check(given: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(given)
        except ValidationError:
            raise refuse(f"it has to be {allowed}") from None

    return WrapValidator(check)


def _different_keys(given: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    checked = handler(given)
    if len(checked) < len(given):  # 10 and "10": only one of them would be kept
        raise refuse("the same num_frozen stands twice")
    return checked


each_once = WrapValidator(_different_keys)
"""Metadata for a mapping whose keys are `num_frozen`."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Advice for a misspelt word: the nearest known one, or all of them."""
    known = list(known)
    close = difflib.get_close_matches(word[:_SHOWN], known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"


def one_of(what: str, given: object, allowed: Iterable[str]) -> None:
    """Raise :class:`ProblemError` unless `given` is one of the `allowed` words."""
    allowed = list(allowed)
    if given not in allowed:
        raise ProblemError(f"{what}: {shown(given)} is not known; {nearest(str(given), allowed)}")


# repr() writes all of a value before it can be cut, and nested aliases of a YAML file can stand for billions.
_short = reprlib.Repr()
_short.maxlevel = 3
_short.maxlist = _short.maxtuple = _short.maxdict = _short.maxset = _short.maxfrozenset = 24
_short.maxstring = _short.maxlong = _short.maxother = _SHOWN


def shown(value: object) -> str:
    """`value` as text for a one-line message: without line breaks, and cut when it is long."""
    try:
        text = " ".join(_short.repr(value).split())
    except ValueError:  # an integer of more digits than Python writes
        text = f"a {type(value).__name__} too long to write"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def printable(text: str, *, but: str = "") -> str:
    """The text, with each character that a terminal would obey written as an escape, except those in `but`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in but else c.encode("unicode_escape").decode() for c in text)


def counted(number: int, of: str) -> str:
    """How many there are of a thing: "1 app", "2,000 apps"."""
    return f"{number:,} {of}" if number == 1 else f"{number:,} {of}s"


def rounded_up(number: float) -> float:
    """The smallest number of four digits that is not below a positive number.

    >>> rounded_up(1.53121755278), rounded_up(2.5), rounded_up(123456)
    (1.532, 2.5, 123500.0)
    """
    unit = 10.0 ** (math.floor(math.log10(number)) - 3)
    return float(f"{math.ceil(number / unit - 1e-9) * unit:.4g}")


def _one_line(error: ValidationError, where: str) -> str:
    problems = error.errors(include_url=False, include_context=False)
    first = problems[0]
    of_key = first["loc"][-1:] == ("[key]",)
    place = ".".join(str(part)[:_SHOWN] for part in (first["loc"][:-2] if of_key else first["loc"]))
    if first["type"] == "missing":
        text = f"missing key {place!r}"
    elif first["type"] == "too_short":
        text = f"{place} is empty"
    elif first["type"] == "mainstream" and not place:
        text = first["msg"]
    elif first["type"] == "value_error":  # a description within this one, which says it already
        text = f"{place}: {first['msg'].partition(': ')[2]}"
    else:
        message = _PLAIN_WORDS.get(first["type"], first["msg"].replace("Input should be", "it has to be"))
        text = f"{place}: {'key' if of_key else 'got'} {shown(first['input'])}; {message}"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{where}: {' '.join(text.split())}{more}"


@cache
def _own_keys(described: type[Description]) -> frozenset[str]:
    """Keys that are no other names of ours."""
    return frozenset(described.model_fields.keys() - described.other_names.keys())


class Description(BaseModel):
    """Frozen, checked once at construction; a wrong key or value is one :class:`ProblemError`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    other_names: ClassVar[Mapping[str, str]] = {}
    """Published key -> our key, where they differ."""

    def __init__(self, **keys: Any) -> None:
        self._fill(keys)

    def _fill(self, keys: Mapping[str, Any], where: str | None = None) -> None:
        try:
            super().__init__(**keys)
        except ValidationError as error:
            raise ProblemError(_one_line(error, self._label(keys, where))) from None

    @classmethod
    def _label(cls, keys: Mapping[str, Any], where: str | None = None) -> str:
        """What a message calls the described thing; `where` is its place in what was given."""
        return where or cls.__name__.lower()

    @classmethod
    def of(cls, given: Self | Mapping[str, Any], where: str | None = None) -> Self:
        """`given` itself when it is a description of this class already, else one made from the mapping.

        Parameters
        ----------
        given : this class or mapping
        where : str, optional
            What a message calls it.

        Raises
        ------
        ProblemError
            `given` is neither, or a key or a value is wrong.

        Examples
        --------
        >>> from mainstream import Video
        >>> Video.of({"stream_fps": 10})
        <Video: 10 fps, 10 rates from 1 to 10>
        """
        if isinstance(given, cls):
            return given
        where = where or cls.__name__.lower()
        if not isinstance(given, Mapping):
            raise ProblemError(f"{where}: got {shown(given)}; it has to be a mapping of keys to values")
        strange = [key for key in given if not isinstance(key, str)]
        if strange:
            raise ProblemError(f"{where}: key {shown(strange[0])} is not a word")
        made = cls.__new__(cls)
        made._fill(given, where)
        return made

    def __str__(self) -> str:
        return repr(self)

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        # pydantic's own __eq__ compares everything stored, also the arrays that a cached property has left here.
        keys = type(self).model_fields
        return type(self) is type(other) and all(getattr(self, key) == getattr(other, key) for key in keys)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, keys: dict[str, Any]) -> dict[str, Any]:
        if keys.keys() <= _own_keys(cls):
            return keys
        renamed: dict[str, Any] = {}
        for key, value in keys.items():
            ours = cls.other_names.get(key, key)
            if ours not in cls.model_fields:
                raise refuse(f"unknown key {shown(key)}; {nearest(key, [*cls.model_fields, *cls.other_names])}")
            if ours in renamed:
                raise refuse(f"{key!r} is another name of {ours!r}; give one of them")
            renamed[ours] = value
        return renamed
