"""What may be sent to the API, as JSON Schemas; they serve both to check requests and to describe them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from mainstream.description import nearest, shown
from mainstream.errors import ProblemError
from mainstream.files import json_values
from mainstream.formats.named_stream import STREAM_NAME

Schema = dict[str, Any]

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "number": (int, float),
    "integer": (int,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
}
_WORDS: Final = {"exclusiveMinimum": "be above", "minimum": "be at least", "maximum": "be at most", "pattern": "match"}
_ABOVE_0: Final[Schema] = {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1e15}
_WISHES: Final[Schema] = {
    "weight": {**_ABOVE_0, "description": "Weight in the mean."},
    "min_value": {"type": ["number", "null"], "minimum": 0, "maximum": 1, "description": "Least value, such as F1."},
    "min_fps": {**_ABOVE_0, "description": "Least frames a second."},
}
APP_ID: Final[Schema] = {"type": ["integer", "string"], "minimum": 0, "maximum": 2**53, "pattern": "^[!-~]{1,100}$"}
ADD: Final[Schema] = {
    "type": "object",
    "properties": {
        "package": {
            "type": "string",
            "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._ -]{0,199}$",
            "description": "A folder in the model folder.",
        },
        "app_id": {**APP_ID, "description": "Default: the package's name."},
        "stream": {
            "type": ["string", "null"],
            "pattern": f"^{STREAM_NAME.pattern}$",
            "description": "Name of its camera, if there are several; null if there is one.",
        },
        "event_length_ms": _ABOVE_0,
        "event_frequency": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1},
        **_WISHES,
    },
    "required": ["package"],
    "additionalProperties": False,
}
CHANGE: Final[Schema] = {
    "type": "object",
    "properties": {
        "paused": {"type": "boolean"},
        "removed": {"type": "boolean", "description": "False brings back an app of the file that was removed."},
        **_WISHES,
    },
    "additionalProperties": False,
}
BUDGET: Final[Schema] = {
    "type": "object",
    "properties": {"budget": {**_ABOVE_0, "description": "Compute a second; null stands for what the file says."}},
    "required": ["budget"],
    "additionalProperties": False,
}


def body_of(text: str, schema: Schema) -> dict[str, Any]:
    """The keys of a JSON object, as the schema has them.

    Raises
    ------
    ProblemError
        It is not a JSON object, has an unknown key or lacks one, or a value has another type or is out of its range.
    """
    values = json_values(text)
    if not isinstance(values, dict):
        raise ProblemError(f"body: got {shown(values)}; it has to be an object")
    known = schema["properties"]
    for key, value in values.items():
        # For JSON Schema any whole number is an integer, also 1.0.
        if isinstance(value, float) and value.is_integer() and "integer" in known.get(key, {}).get("type", ()):
            value = values[key] = int(value)  # noqa: PLW2901
        if key not in known:
            raise ProblemError(f"body: unknown key {shown(key)}; {nearest(key, known)}")
        kinds = known[key]["type"]
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if not any(_is(value, kind) for kind in kinds):
            raise ProblemError(f"{key}: got {shown(value)}; it has to be of type {' or '.join(kinds)}")
        wrong = _beyond(value, known[key])
        if wrong is not None:
            raise ProblemError(f"{key}: got {shown(value)}; it has to {_WORDS[wrong]} {known[key][wrong]}")
    missing = [key for key in schema.get("required", ()) if key not in values]
    if missing:
        raise ProblemError(f"body: missing key {missing[0]!r}")
    return values


def _is(value: object, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _beyond(value: Any, schema: Schema) -> str | None:
    """The keyword of a schema that a value breaks."""
    if isinstance(value, str):
        return "pattern" if "pattern" in schema and not re.fullmatch(schema["pattern"], value) else None
    if isinstance(value, bool | None):
        return None
    holds: dict[str, Callable[[float], bool]] = {
        "exclusiveMinimum": lambda end: value > end,
        "minimum": lambda end: value >= end,
        "maximum": lambda end: value <= end,  # this also refuses NaN, which JSON does not have but Python reads
    }
    return next((word for word, check in holds.items() if word in schema and not check(schema[word])), None)
