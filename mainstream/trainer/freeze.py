"""Frozen graphs: a ``.pb`` file with variables as constants, which any TensorFlow runtime can cut at chokepoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mainstream.errors import ProblemError
from mainstream.files import write_bytes
from mainstream.graphs.frozen import frozen_graph
from mainstream.graphs.keras_file import load_keras_file
from mainstream.graphs.trace import trace
from mainstream.trainer.model_importers import from_checkpoint, from_json, from_saved_model


@dataclass(frozen=True)
class Frozen:
    """A frozen graph on disk.

    Attributes
    ----------
    path : Path
    input_layer, output_layer : str
        Names of the tensors at its two ends.
    chokepoints : mapping of int to str
        Chokepoint -> name of its tensor; empty if the source does not say what its layers are.
    """

    path: Path
    input_layer: str
    output_layer: str
    chokepoints: Mapping[int, str]


def freeze(source: str | Path | Any, out: str | Path | None = None, *, output: str | None = None) -> Frozen:
    """Write the frozen graph of a model.

    Parameters
    ----------
    source : str, Path or keras.Model
        ``MODEL.keras`` or ``MODEL.h5``; a SavedModel folder; or a PREFIX with ``PREFIX.json`` and ``PREFIX.h5`` (or
        ``PREFIX.weights.h5``), or TensorFlow 1's ``PREFIX.ckpt.meta`` or ``PREFIX.pb`` with ``PREFIX.ckpt``.
    out : str or Path, optional
        The file to write; default: ``MODEL.pb``, and ``PREFIX-frozen.pb`` for the other forms.
    output : str, optional
        Name of the output tensor, for TensorFlow 1 graphs with more than one.

    Returns
    -------
    Frozen

    Raises
    ------
    ProblemError
        The source is none of these or cannot be loaded, or it is a model object and `out` is missing.
    """
    if not isinstance(source, str | Path):
        if out is None:
            raise ProblemError("out: got None; a model object has no file name to derive it from, so give one")
        return _freeze_model(source, Path(out).stem, Path(out))
    path = Path(source)
    prefix = str(path)
    written = Path(out or f"{prefix}-frozen.pb")
    if path.suffix in {".keras", ".h5"}:
        return _freeze_model(load_keras_file(path), path.stem, Path(out or path.with_suffix(".pb")))
    if (path / "saved_model.pb").is_file():
        return _save(*from_saved_model(path), written)
    if Path(f"{prefix}.json").is_file():
        return _freeze_model(from_json(prefix), path.name, written)
    if Path(f"{prefix}.ckpt.meta").is_file() or Path(f"{prefix}.ckpt.index").is_file():
        return _save(*from_checkpoint(prefix, output), written)
    raise ProblemError(
        f"{prefix}: no such model; give MODEL.keras, a SavedModel folder, or a PREFIX for which there is "
        "PREFIX.json with PREFIX.h5, or PREFIX.ckpt.meta"
    )


def _freeze_model(model: Any, name: str, out: Path) -> Frozen:
    network = trace(model, name)
    names = network.tensor_names
    return _save(frozen_graph(network, names), names[0], names[network.total_layers], out, names)


def _save(graph: Any, input_layer: str, output_layer: str, out: Path, names: Mapping[int, str] | None = None) -> Frozen:
    write_bytes(out, graph.SerializeToString())
    return Frozen(out, input_layer, output_layer, dict(names or {}))
