"""``mainstream layers``."""

from __future__ import annotations

from typing import Annotated

import typer

Net = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="inceptionv3, resnet50, mobilenet, mobilenetv2, efficientnetb0, or a .keras file.",
        show_default=False,
    ),
]
Size = Annotated[
    int | None, typer.Option(help="Height and width of the frame; else the network's own.", show_default=False)
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
    size: Size = None,
    chokepoints: Which = "block",
    dense: Dense = False,
) -> None:
    """List the layers of a network and where it can be cut.

    A line for each layer: its number, name, output shape and parameters; the num_frozen of the chokepoint right behind
    it, if there is one; and an x where that is one of those to use.
    """
    from mainstream.trainer import chokepoints as points
    from mainstream.trainer.networks import network

    net = network(model, size=size, dense=dense)
    chosen = points.chokepoints(net, chokepoints)
    rows = [("layer", "name", "shape", "parameters", "num_frozen", chokepoints)]
    for k, layer in enumerate(net.layers, start=1):
        shape = " x ".join("?" if side is None else str(side) for side in layer.shape[1:])
        cut = str(k) if k in net.cuts else ""
        rows.append((str(k - 1), layer.name, shape, f"{layer.parameters:,}", cut, "x" if k in chosen else ""))
    # Lines as long as they have to be and not as wide as the terminal: they are for grep, too.
    name_width, shape_width = (max(len(row[column]) for row in rows) for column in (1, 2))
    for number, name, shape, parameters, cut, mark in rows:
        line = f"{number:>5}  {name:<{name_width}}  {shape:<{shape_width}}  {parameters:>10}  {cut:>10}  {mark}"
        typer.echo(line.rstrip())
    typer.echo(
        f"{net.name}: {net.total_layers} layers, {sum(layer.parameters for layer in net.layers):,} parameters, "
        f"{len(net.cuts)} chokepoints, {len(chosen)} to use, with 0 and {net.total_layers}"
    )
