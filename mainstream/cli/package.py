"""``mainstream package``: M-Packages on the screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mainstream.formats.curve import Curve
    from mainstream.formats.package import Estimate, Events, Package

app = typer.Typer(help="Look at M-Packages.", rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Look at M-Packages."""


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the M-Package.", show_default=False)],
) -> None:
    """Show what a package holds: its curve, what is kept of it and why, its event parameters and its files."""
    from mainstream.formats.package import read_package

    package, curve = read_package(folder)
    height, width, channels = package.shape
    lines = [
        ("name", package.name),
        ("network", f"{package.network}, {package.total_layers} layers, {height} x {width} x {channels}"),
        ("weights", package.weights_digest),
        ("classes", ", ".join(package.classes)),
        ("event class", package.event_class or "none: the curve is of all classes"),
        *_events(package.events, folder),
        *((key, str(value)) for key, value in package.training.items() if value is not None),
        ("versions", ", ".join(f"{name} {number}" for name, number in package.versions.items())),
    ]
    width = max(len(heading) for heading, _ in lines) + 2
    for heading, text in lines:
        typer.echo(f"{heading:<{width}}{text}".rstrip())
    typer.echo()
    for line in _curve(package, curve, folder):
        typer.echo(line)


def estimate(found: Estimate, unit: str = "") -> str:
    """An estimate with its interval, as text."""
    return f"{found.value:.4g}{unit} ({found.low:.4g} to {found.high:.4g})"


def parameters(events: Events) -> Iterator[tuple[str, str]]:
    """An app's event parameters, as headings and text."""
    yield "event length", estimate(events.event_length_ms, " ms")
    yield "shortest event", estimate(events.min_event_length_ms, " ms")
    yield "event frequency", estimate(events.event_frequency)
    if events.correlation is None:
        yield "correlation", "not measured"
    else:
        yield "correlation", f"{estimate(events.correlation)} at {events.correlation_fps:.4g} fps"


def _events(events: Events | None, folder: Path) -> Iterator[tuple[str, str]]:
    if events is None:
        yield "events", f"not calibrated; mainstream calibrate {folder} measures them"
        return
    yield from parameters(events)
    seen = f"{events.events:,} events in {events.labelled_frames:,} frames"
    yield "calibrated on", f"{seen}; intervals of {events.confidence:.0%}"


def _curve(package: Package, curve: Curve, folder: Path) -> Iterator[str]:
    from mainstream.formats.package import pareto

    rates = curve.false_positive_rates
    kept = pareto(curve)
    yield f"{'num_frozen':>10}  {'accuracy':>8}  {'false positives':>15}  kept"
    for f, accuracy in sorted(curve.accuracies.items()):
        rate = "-" if rates is None else f"{rates[f]:.4f}"
        better = max((k for k in kept if k > f and curve.accuracies[k] >= accuracy), default=None)
        verdict = "yes" if better is None else f"no: {better} shares more and reaches {curve.accuracies[better]:.4f}"
        files = ", ".join(_files(folder, package.models[f])) if f in package.models else ""
        yield f"{f:>10}  {accuracy:>8.4f}  {rate:>15}  {verdict}{f' ({files})' if files else ''}"


def _files(folder: Path, model: str) -> Iterator[str]:
    for file in (model, str(Path(model).with_suffix(".keras"))):
        path = folder / file
        yield f"{file} {path.stat().st_size / 1e6:.1f} MB" if path.is_file() else f"{file} missing"
