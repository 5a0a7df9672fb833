"""What a package looks like on the screen and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainstream.description import printable

if TYPE_CHECKING:
    from mainstream.formats.curve import Curve
    from mainstream.formats.package import Estimate, Events, Package


def as_plain(package: Package, curve: Curve) -> dict[str, Any]:
    """A package, its curve and the num_frozen that are kept of it, in plain values."""
    from mainstream.formats.package import pareto

    return {
        "package": package.model_dump(mode="json", exclude_none=True),
        **curve._asdict(),
        "kept": pareto(curve),
    }


def as_text(package: Package, curve: Curve, sizes: Mapping[str, int], called: object) -> Iterator[str]:
    """The lines that show a package: what it is, its curve, what is kept of it and why.

    Parameters
    ----------
    package : Package
    curve : Curve
    sizes : mapping of str to int
        Model file that is there -> its bytes.
    called : object
        What a command calls the package.
    """
    height, width, channels = package.shape
    lines = [
        ("name", package.name),
        ("network", f"{package.network}, {package.total_layers} layers, {height} x {width} x {channels}"),
        ("weights", package.weights_digest),
        ("classes", ", ".join(package.classes)),
        ("event class", package.event_class or "none: the curve is of all classes"),
        ("precision", package.precision or "float32"),
        *_events(package.events, called),
        *_seen(package, curve),
        *((key, str(value)) for key, value in package.training.items() if value is not None),
        ("versions", ", ".join(f"{name} {number}" for name, number in package.versions.items())),
    ]
    width = max(len(heading) for heading, _ in lines) + 2
    for heading, text in lines:
        yield printable(f"{heading:<{width}}{text}".rstrip())
    yield ""
    yield from _curve(package, curve, sizes)


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
    if events.event_lengths_ms is not None:
        low, high = min(events.event_lengths_ms), max(events.event_lengths_ms)
        yield "event lengths", f"{len(events.event_lengths_ms)} that are as frequent, {low:.4g} to {high:.4g} ms"
    if events.accuracy_spread is not None:
        yield "accuracy spread", estimate(events.accuracy_spread)


def _events(events: Events | None, called: object) -> Iterator[tuple[str, str]]:
    if events is None:
        yield "events", f"not calibrated; mainstream calibrate {called} --labels FILE measures them"
        return
    yield from parameters(events)
    seen = f"{events.events:,} events in {events.labelled_frames:,} frames"
    yield "calibrated on", f"{seen}; intervals of {events.confidence:.0%}"


def _seen(package: Package, curve: Curve) -> Iterator[tuple[str, str]]:
    """What a model did on the camera, how that changes the curve, and where the two contradict each other."""
    from mainstream.formats.correction import contradictions, rates

    accuracies, alarms = rates(package, curve)
    for seen in package.seen:
        for what, here, own in (
            ("accuracy", seen.accuracy, accuracies),
            ("false positives", seen.false_positive_rate, alarms),
        ):
            if here is None or own is None:
                continue
            shift, low, high = own.shifts[seen.num_frozen]
            yield (
                f"seen {what}",
                (
                    f"{estimate(here)} at num_frozen {seen.num_frozen}; "
                    f"moves the curve by {shift:+.2f} ({low:+.2f} to {high:+.2f}) there on the logit scale"
                ),
            )
        if seen.false_correlation is not None:
            at = f"at num_frozen {seen.num_frozen} and {seen.correlation_fps:.4g} fps"
            yield "their correlation", f"{estimate(seen.false_correlation)} {at}"
    for one in contradictions(package, curve):
        yield "warning", f"calibration contradicts the curve: {one}"


def _curve(package: Package, curve: Curve, sizes: Mapping[str, int]) -> Iterator[str]:
    from mainstream.formats.package import pareto

    rates = curve.false_positive_rates
    kept = pareto(curve)
    yield f"{'num_frozen':>10}  {'accuracy':>8}  {'false positives':>15}  kept"
    for f, accuracy in sorted(curve.accuracies.items()):
        rate = "-" if rates is None else f"{rates[f]:.4f}"
        better = max((k for k in kept if k > f and curve.accuracies[k] >= accuracy), default=None)
        verdict = "yes" if better is None else f"no: {better} shares more and reaches {curve.accuracies[better]:.4f}"
        files = ", ".join(_files(sizes, package.models[f])) if f in package.models else ""
        yield printable(f"{f:>10}  {accuracy:>8.4f}  {rate:>15}  {verdict}{f' ({files})' if files else ''}")


def _files(sizes: Mapping[str, int], model: str) -> Iterator[str]:
    path = Path(model)
    for file in (model, str(path.with_suffix(".keras"))) if path.suffix == ".pb" else (model,):
        yield f"{file} {sizes[file] / 1e6:.1f} MB" if file in sizes else f"{file} missing"
