"""``mainstream share``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mainstream.cli import options
from mainstream.cli.json_file import check_json, put_json

if TYPE_CHECKING:
    from mainstream.trainer.sharing import Place, Sharing


def command(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL...", help="Two or more: .keras, .onnx, and frozen graphs, .pb.", show_default=False
        ),
    ],
    profile: options.ProfileFile = None,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:
    """Find the leading layers that models have in common.

    Those are the same layers with the same weights. A line for each model: the num_frozen up to which its app could
    share one stem with the others, and the tensor there. Then what differs next, and in which models. Names do not
    count, nor do batch norms that are folded in one frozen graph and not in the other. With an ONNX model among them
    all are compared as ONNX models.

    The layer names of --profile number the layers of frozen graphs.
    """
    from mainstream.cli import console
    from mainstream.io import load_profile
    from mainstream.trainer.sharing import shared_layers

    check_json(json)
    names = load_profile(profile).frozen_layer_names if profile else {}
    found = shared_layers(models, {name: number for number, name in names.items()})
    put_json(lambda: _plain(found), json)
    screen = console.output(quiet=quiet, json=json)
    for line in _lines(found):
        screen.print(line)


def _lines(found: Sharing) -> list[str]:
    width = max(5, *(len(name) for name in found.stem))
    lines = [f"{'model':<{width}}  num_frozen  layer"]
    lines += [f"{name:<{width}}  {_number(place):>10}  {place.layer}" for name, place in found.stem.items()]
    for group in found.groups:
        where = _behind(next(iter(group.places.values())))
        if not group.of_stem:
            lines.append(f"{where}: {', '.join(group.places)} could have a longer stem of their own")
        lines += [f"{where}: {fork}" for fork in group.forks]
    return lines + [f"{', '.join(names)}: the same model to the end" for names in found.same]


def _number(place: Place) -> str:
    return "?" if place.num_frozen is None else str(place.num_frozen)


def _behind(place: Place) -> str:
    return f"up to {_number(place)} ({place.layer})"


def _plain(found: Sharing) -> dict[str, Any]:
    def listed(places: Any) -> list[dict[str, Any]]:
        return [{"model": name, **place._asdict()} for name, place in places.items()]

    return {
        "models": listed(found.stem),
        "groups": [
            {"models": listed(group.places), "of_stem": group.of_stem, "forks": group.forks} for group in found.groups
        ],
        "same": found.same,
    }
