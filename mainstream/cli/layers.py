"""``mainstream layers``."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mainstream.cli import options
from mainstream.errors import ProblemError

if TYPE_CHECKING:
    from mainstream.graphs.trace import Layer, Network
    from mainstream.onnx_graphs.layers import OnnxLayer, OnnxNetwork
    from mainstream.trainer.package_network import PackageNetwork

Net = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="inceptionv3, resnet50, mobilenet, mobilenetv2, efficientnetb0, or a .keras or .onnx file.",
        show_default=False,
    ),
]
Which = Annotated[
    str,
    typer.Option(
        help="Which to use: block, every, a published list (inception, resnet, mobilenets), or N: every 5th up to N."
    ),
]
Dense = Annotated[bool, typer.Option("--dense", help="A dense layer of 1024 units before the softmax.")]


def command(
    model: Net,
    size: options.Size = None,
    chokepoints: Which = "block",
    dense: Dense = False,
    json: options.Json = None,
) -> None:
    """List the layers of a network and where it can be cut.

    A line for each layer: its number, name, output shape and parameters; the num_frozen of the chokepoint right behind
    it, if there is one; and an x where that is one of those to use.
    """
    from mainstream.cli.json_file import STDOUT, check_json, put_json
    from mainstream.trainer.chokepoints import chokepoints as of_network

    check_json(json)
    net = open_network(model, size, dense=dense)
    chosen = of_network(net, chokepoints)
    put_json(lambda: _plain(net, chosen), json)
    if json == STDOUT:
        return
    rows = [("layer", "name", "shape", "parameters", "num_frozen", chokepoints)]
    layers: Sequence[Layer | OnnxLayer] = net.layers
    for k, layer in enumerate(layers, start=1):
        shape = " x ".join("?" if side is None else str(side) for side in layer.shape[1:])
        cut = str(k) if k in net.cuts else ""
        rows.append((str(k - 1), layer.name, shape, f"{layer.parameters:,}", cut, "x" if k in chosen else ""))
    # Lines are as long as they have to be, whatever the terminal's width, since they are also for grep.
    name_width, shape_width = (max(len(row[column]) for row in rows) for column in (1, 2))
    for number, name, shape, parameters, cut, mark in rows:
        line = f"{number:>5}  {name:<{name_width}}  {shape:<{shape_width}}  {parameters:>10}  {cut:>10}  {mark}"
        typer.echo(line.rstrip())
    typer.echo(
        f"{net.name}: {net.total_layers} layers, {sum(layer.parameters for layer in layers):,} parameters, "
        f"{len(net.cuts)} chokepoints, {len(chosen)} to use, with 0 and {net.total_layers}"
    )
    turned = channels_first(net)
    if turned is not None:
        typer.echo(turned)


def _plain(net: Network | OnnxNetwork, chosen: Collection[int]) -> dict[str, Any]:
    """Each layer, the num_frozen right after it if it can be cut there, and whether that is one to use."""
    layers: Sequence[Layer | OnnxLayer] = net.layers
    rows = [
        {
            "name": layer.name,
            "shape": list(layer.shape[1:]),
            "parameters": layer.parameters,
            "num_frozen": k if k in net.cuts else None,
            "to_use": k in chosen,
        }
        for k, layer in enumerate(layers, start=1)
    ]
    return {"network": net.name, "total_layers": net.total_layers, "layers": rows}


def open_network(
    model: str, size: int | None = None, *, weights: str = "none", classes: int = 2, dense: bool = False
) -> Network | OnnxNetwork:
    """A network of Keras or of ONNX, with the arguments and errors of :func:`mainstream.trainer.networks.network`."""
    from mainstream.onnx_graphs.model_file import SUFFIX

    if Path(model).suffix != SUFFIX:
        from mainstream.trainer.networks import network

        return network(model, size=size, weights=weights, classes=classes, dense=dense)
    from mainstream.onnx_graphs.layers import read_network

    if weights != "none" or dense:
        raise ProblemError(f"{model} brings its own weights and head; leave out --weights and --dense")
    return read_network(model, size)


def channels_first(net: Network | OnnxNetwork | PackageNetwork) -> str | None:
    """What to say about a model that takes its channels first; None if there is nothing to say."""
    if not getattr(net, "channels_first", False):
        return None
    return f"layout     the model takes (batch, {net.channels}, {net.height}, {net.width}); frames are turned for it"
