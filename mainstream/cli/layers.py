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

    A line for each layer: its number, name, output shape and parameters. In the last column stands the num_frozen of
    the chokepoint right behind the layer, if there is one.
    """
    from rich.table import Table
    from rich.text import Text

    from mainstream.cli import screen
    from mainstream.trainer import chokepoints as points
    from mainstream.trainer.networks import network

    net = network(model, size=size, dense=dense)
    chosen = points.chokepoints(net, chokepoints)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("layer", justify="right", no_wrap=True)
    table.add_column("name", no_wrap=True)
    table.add_column("shape", no_wrap=True)
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("num_frozen", justify="right", no_wrap=True)
    for number, layer in enumerate(net.layers):
        shape = " x ".join("?" if side is None else str(side) for side in layer.shape[1:])
        cut = str(number + 1) if number + 1 in chosen else ""
        cells = [str(number), layer.name, shape, f"{layer.parameters:,}", cut]
        table.add_row(*(Text(cell) for cell in cells))
    console = screen.console()
    console.print(table)
    console.print(
        f"{net.name}: {net.total_layers} layers, {sum(layer.parameters for layer in net.layers):,} parameters, "
        f"{len(chosen)} chokepoints with 0 and {net.total_layers}"
    )
