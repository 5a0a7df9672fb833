"""``mainstream profile``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mainstream.cli import options
from mainstream.cli.ending import interrupted_line, keeping, was_pressed
from mainstream.cli.engine import engine_name, that_runs
from mainstream.cli.exit_codes import INTERRUPTED
from mainstream.cli.json_file import check_json, put_json
from mainstream.cli.layers import Dense, Which, channels_first, open_network
from mainstream.cli.progress import Bar

if TYPE_CHECKING:
    from rich.console import Console

    from mainstream.trainer.profile import Profile


def command(
    net: options.Net,
    size: options.Size = None,
    threads: options.Threads = 1,
    engine: options.EngineName = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE.json", help="The profile; else NAME-SIZE.json.", show_default=False
        ),
    ] = None,
    chokepoints: Which = "block",
    weights: options.Weights = "none",
    outputs: Annotated[int, typer.Option(help="Outputs of a named network.")] = 2,
    dense: Dense = False,
    pause: Annotated[
        float, typer.Option(metavar="MS", help="Idle before each timed frame; 30: as frames come from a camera.")
    ] = 0,
    spread: Annotated[float, typer.Option(help="Measure until each median is known to this share of it.")] = 0.01,
    seconds: Annotated[float, typer.Option(help="Measure no longer than this.")] = 300,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:
    """Measure what a base network costs on this device.

    Writes the profile that problems name as their model. Times the stem and the tail of each chokepoint and the network
    in one piece, one frame a call, in rounds. A package is measured as it will run. Weights cost the same, whatever
    they are.
    """
    from mainstream.cli import console
    from mainstream.errors import ProblemError
    from mainstream.graphs.backend import use_threads
    from mainstream.io import save_profile
    from mainstream.onnx_graphs.auto import is_installed
    from mainstream.onnx_graphs.model_file import SUFFIX
    from mainstream.trainer.package_network import read_package_network
    from mainstream.trainer.profile import InterruptedProfile, profile

    check_json(json)
    errors, screen = console.errors(quiet=quiet), console.output(quiet=quiet, json=json)
    package = read_package_network(net) if Path(net).is_dir() else None
    if package is not None and (size is not None or weights != "none" or dense):
        raise ProblemError(f"{net} is a package, which has its own; leave out --size, --weights and --dense")
    foreign = (Path(net) if package is None else package.path).suffix == SUFFIX
    runs = that_runs("onnx" if foreign and engine is None else engine_name(engine))
    kernels = None
    if runs == "tensorflow" and not foreign:
        with keeping(_nothing):
            kernels = None if package is not None else _choose_kernels(net, size, threads or 1, errors)
        use_threads(threads or 1)
    with keeping(_nothing), Bar(errors, f"preparing {net}", quiet=quiet) as bar:
        base = package or open_network(net, size, weights=weights, classes=outputs, dense=dense)

        def measure(engine: str) -> Profile:
            return profile(
                base,
                engine=engine,
                which=chokepoints,
                threads=threads or 1,
                pause_ms=pause,
                spread=spread,
                seconds=seconds,
                progress=lambda done: bar(done, f"measuring {net}"),
            )

        path = output or Path(f"{base.name}.json")
        try:
            try:
                measured = measure(runs)
            except ProblemError as error:
                if engine != "auto" or foreign or runs == "tensorflow" or not is_installed("tensorflow"):
                    raise
                errors.print(f"mainstream: TensorFlow runs it, as ONNX Runtime does not: {error}", markup=False)
                measured = measure("tensorflow")
        except InterruptedProfile as interruption:
            measured = interruption.profile
    if was_pressed():
        errors.print(interrupted_line(f"{path} has what was measured until then:"), markup=False)
    save_profile(measured.model, path)
    _show(screen, measured, path)
    put_json(lambda: _plain(measured, path), json)
    turned = channels_first(base)
    if turned is not None:
        screen.print(turned)
    if kernels is not None:
        screen.print(f"oneDNN     {kernels['1']:.3f} ms with it, {kernels['0']:.3f} without; the faster is used")
    if measured.spread > spread:
        errors.print(
            f"mainstream: the medians are known to {measured.spread:.1%} only, not {spread:.1%}; "
            "measure longer (--seconds) or on a quieter machine"
        )
    if was_pressed():
        raise typer.Exit(INTERRUPTED)


def _nothing() -> str:
    return "too little was measured, nothing is written"


def _choose_kernels(net: str, size: int | None, threads: int, errors: Console) -> dict[str, float] | None:
    """Time TensorFlow with and without oneDNN, and keep the faster; return the times, None if there is no choice."""
    from mainstream.errors import ProblemError
    from mainstream.graphs import onednn
    from mainstream.trainer.onednn import with_and_without

    kernels = with_and_without(net, size, threads=threads)
    if kernels is not None:
        try:
            onednn.keep(min(kernels, key=kernels.__getitem__))
        except ProblemError as error:
            errors.print(f"mainstream: {error}; it is measured again the next time", markup=False)
    return kernels


def _plain(measured: Profile, path: Path) -> dict[str, Any]:
    """The profile as it is written, and the times that it is made of."""
    cuts = [
        {
            "num_frozen": k,
            "layer": measured.model.frozen_layer_names[k],
            "stem": asdict(measured.stems[k]),
            "tail": asdict(tail),
            "cut_cost_ms": measured.cut_cost_ms(k),
        }
        for k, tail in measured.tails.items()
    ]
    return {
        "profile": measured.model.model_dump(mode="json", exclude_defaults=True),
        "whole": asdict(measured.whole),
        "chokepoints": cuts,
        "spread": measured.spread,
        "file": str(path),
    }


def _show(output: Console, measured: Profile, path: Path) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("num_frozen", justify="right", no_wrap=True)
    table.add_column("layer", overflow="fold")  # names of PyTorch's modules are long
    for heading in ("stem ms", "tail ms", "spread", "cut costs"):
        table.add_column(heading, justify="right", no_wrap=True)
    for k, tail in measured.tails.items():
        stem = measured.stems[k]
        cells = [
            str(k),
            measured.model.frozen_layer_names[k],
            f"{stem.median_ms:.3f}",
            f"{tail.median_ms:.3f}",
            f"{max(stem.spread, tail.spread):.1%}",
            f"{measured.cut_cost_ms(k) / measured.whole.median_ms:.1%}",
        ]
        table.add_row(*(Text(cell) for cell in cells))
    output.print(table)
    output.print("cut costs  what stem and tail take beyond the whole network; predictions leave it out")
    whole = measured.whole
    output.print(f"whole      {whole.median_ms:.3f} ms, fastest {whole.fastest_ms:.3f}, spread {whole.spread:.1%}")
    output.print(f"measured   {whole.visits} rounds, {measured.model.threads} threads, {measured.model.measured_on}")
    output.print(f"written    {path}")
