"""Streamer's own files, which list cameras and models.

They also have keys for parts of Streamer that Mainstream does not have; unknown keys are ignored.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import Field

from mainstream.description import Description, nearest, says, shown
from mainstream.errors import ProblemError
from mainstream.files import read_text
from mainstream.ranges import Count

CAMERA_LIST: Final = "cameras.toml"
MODEL_LIST: Final = "models.toml"

Text = Annotated[str, Field(min_length=1), says("text, and not empty")]


class CameraEntry(Description):
    """A ``[[camera]]`` of cameras.toml.

    Parameters
    ----------
    name : str
    video_uri : str
        Any argument of :func:`mainstream.streamer.sources.open_source`.
    width, height : int, optional
        Size of its picture; the stream itself also says it.
    """

    name: Text
    video_uri: Text
    width: Count | None = None
    height: Count | None = None


class ModelEntry(Description):
    """A ``[[model]]`` of models.toml.

    Parameters
    ----------
    name : str
    type : str
        "tensorflow", "caffe", ...
    desc_path : str
        The model's file.
    input_width, input_height : int
    default_input_layer, default_output_layer : str, optional
    """

    name: Text
    type: Text
    desc_path: Text
    input_width: Count
    input_height: Count
    default_input_layer: Text | None = None
    default_output_layer: Text | None = None


_Kind = TypeVar("_Kind", CameraEntry, ModelEntry)


def camera_of(config_dir: str | Path, name: str) -> CameraEntry:
    """Read the camera `name` from ``cameras.toml`` in a folder.

    Raises
    ------
    ProblemError
        The file is missing or not TOML, has no such camera, or a key of the camera is missing or wrong.
    """
    return _named(Path(config_dir) / CAMERA_LIST, "camera", name, CameraEntry)


def model_of(config_dir: str | Path, name: str) -> ModelEntry:
    """Read the model `name` from ``models.toml`` in a folder.

    Raises
    ------
    ProblemError
        The file is missing or not TOML, has no such model, or a key of the model is missing or wrong.
    """
    return _named(Path(config_dir) / MODEL_LIST, "model", name, ModelEntry)


def _named(path: Path, table: str, name: str, kind: type[_Kind]) -> _Kind:
    """The entry with this name in an array of tables, with the keys that are used here."""
    entries = _entries(path, table)
    found = [entry for entry in entries if entry.get("name") == name]
    if not found:
        known = [str(entry["name"]) for entry in entries if "name" in entry]
        raise ProblemError(f"{path}: no {table} {shown(name)}; {nearest(name, known)}")
    if len(found) > 1:
        raise ProblemError(f"{path}: {table} {shown(name)} is there {len(found)} times; give each its own name")
    ours = {key: value for key, value in found[0].items() if key in kind.model_fields}
    return kind.of(ours, where=f"{path}: {table} {shown(name)}")


def _entries(path: Path, table: str) -> list[Mapping[str, Any]]:
    text = read_text(path)
    try:
        entries = tomllib.loads(text).get(table, [])
    except tomllib.TOMLDecodeError as error:
        raise ProblemError(f"{path}: not TOML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ProblemError(f"{path}: not TOML: nested too deeply") from None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ProblemError(f"{path}: {table} has to be a list of tables, each under [[{table}]]")
    if not entries:
        raise ProblemError(f"{path}: has no [[{table}]]")
    return entries
