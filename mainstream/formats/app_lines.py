"""The apps of a large problem file, one a line.

A line is JSON, and JSON is YAML, so any reader of YAML reads such a file. Here the lines are read as JSON, in a tenth
of the time that YAML takes:

    budget: 5510.0
    apps:
    - {"app_id": 1, "accuracies": {"0": 0.7927, "10": 0.7797}, "event_length_ms": 1114.0}
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NoReturn

import yaml

from mainstream.description import shown
from mainstream.errors import ProblemError
from mainstream.files import different_keys, naming, parse, read_text, yaml_values

MANY: Final = 1_000
"""From so many apps on a file has them so; one with fewer is edited by people."""
_WIDTH: Final = 110
_HEADING: Final = "\napps:\n"
_ITEM: Final = "- {"
_EXPONENT: Final = re.compile(r"[eE](?<=[0-9.][eE])[-+]?[0-9]")


def problem_keys(path: Path) -> dict[Any, Any]:
    """The keys and values in a problem file, YAML or JSON.

    Raises
    ------
    ProblemError
        The file cannot be read or holds something else.
    """
    if path.suffix.lower() == ".json":
        values = parse(path)
    else:
        text = read_text(path)
        with naming(path):
            values = _in_lines(text) or yaml_values(text)
    if not isinstance(values, dict):
        raise ProblemError(f"{path}: holds {shown(values)}; it has to be a mapping of keys to values")
    return values


def problem_text(keys: Mapping[str, Any]) -> str:
    """The same as YAML; ``apps``, if it is there, comes last."""
    apps = keys.get("apps", ())
    head = {key: value for key, value in keys.items() if key != "apps"}
    if len(apps) >= MANY:
        with suppress(ValueError):  # JSON has no infinity
            lines = [f"- {json.dumps(app, ensure_ascii=False, allow_nan=False)}\n" for app in apps]
            text = f"{_yaml(head)}apps:\n{''.join(lines)}"
            if _in_lines(text) is not None:
                return text
    return _yaml(dict(keys))


def _yaml(keys: dict[str, Any]) -> str:
    text: str = yaml.safe_dump(keys, sort_keys=False, default_flow_style=None, allow_unicode=True, width=_WIDTH)
    return text


def _in_lines(text: str) -> dict[Any, Any] | None:
    """The values of a file with its apps in lines; None where YAML might read it otherwise, or there is an error."""
    head, found, tail = text.partition(_HEADING)
    lines = tail.split("\n")
    if not found or lines.pop() or not all(line.startswith(_ITEM) for line in lines):
        return None
    if "\\" in tail or _EXPONENT.search(tail):  # YAML has other escapes, and takes some such numbers for words
        return None
    try:
        keys = yaml_values(head)  # on its own it is whole: the heading stands within nothing else
        apps = [_DECODER.decode(line[2:]) for line in lines]
    except (ProblemError, ValueError, RecursionError):
        return None
    if not isinstance(keys, dict) or "apps" in keys:
        return None
    return {**keys, "apps": apps}


def _constant(text: str) -> NoReturn:
    raise ValueError(text)


_DECODER: Final = json.JSONDecoder(object_pairs_hook=different_keys, parse_constant=_constant)
