"""Profiles: base networks measured on a device, as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from mainstream.files import Name, mapping, write_text
from mainstream.problem import Model


def load_profile(path: Name) -> Model:
    """Read a base network that was measured on a device, from JSON (or YAML).

    Raises
    ------
    ProblemError
        The file cannot be read, or a key or a value is wrong.

    Examples
    --------
    >>> from mainstream.io import load_profile
    >>> load_profile("data/profiles/mobilenetv2-96.json")
    <Model 'mobilenetv2-96': 156 layers, 4.026 ms a frame, 22 chokepoints>
    """
    path = Path(path)
    return Model.of(mapping(path), where=str(path))


def save_profile(model: Model, path: Name) -> None:
    """Write a base network as JSON; :func:`load_profile` reads it back, equal.

    Examples
    --------
    >>> from mainstream.io import load_profile, save_profile
    >>> model = load_profile("data/profiles/mobilenetv2-96.json")
    >>> save_profile(model.model_copy(update={"name": "mine"}), "mine.json")
    >>> load_profile("mine.json").name
    'mine'
    """
    write_text(Path(path), json.dumps(model.model_dump(mode="json", exclude_defaults=True), indent=1) + "\n")
