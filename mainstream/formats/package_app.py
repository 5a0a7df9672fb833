"""The app that an M-Package describes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mainstream.errors import ProblemError
from mainstream.files import Name, naming
from mainstream.formats.curve import Curve
from mainstream.formats.package import Events, Package, pareto, read_package
from mainstream.problem import App


def load_package(folder: Name, app_id: int = 1, **keys: Any) -> App:
    """The app of an M-Package.

    Its curve is what :func:`~mainstream.formats.package.pareto` keeps, its event parameters are the calibrated ones,
    its event class is the number of an output, and its model files are absolute, so that a runtime on this machine
    finds them.

    Parameters
    ----------
    folder : path
    app_id : int
    **keys
        Any other key of :class:`~mainstream.problem.App`; wins over what the package says. `accuracies` win over both
        halves of the package's curve.

    Raises
    ------
    ProblemError
        There is no such package, it is not calibrated and no `event_length_ms` is given, or a key or value is wrong.
    """
    folder = Path(folder)
    package, curve = read_package(folder)
    with naming(folder):
        return app_of_package(folder, package, curve, {"app_id": app_id, **keys})


def app_of_package(
    folder: Path, package: Package, curve: Curve, keys: dict[str, Any], *, called: str | None = None
) -> App:
    """As :func:`load_package`, of a package that was read from `folder`; a message calls it `called`."""
    given = {App.other_names.get(key, key) for key in keys}
    kept = pareto(curve)
    rates = curve.false_positive_rates
    own: dict[str, Any] = {
        "name": package.name,
        "accuracies": {f: curve.accuracies[f] for f in kept},
        "model_path": {f: str((folder / file).absolute()) for f, file in package.models.items()},
        "event_class": package.event_output,
    }
    if rates is not None and "accuracies" not in given:
        own["false_positive_rates"] = {f: rates[f] for f in kept}
    if package.events is not None:
        own |= _event_keys(package.events, given)
    if "event_length_ms" not in given | own.keys():
        raise ProblemError(
            f"{package.name} has no event length; give event_length_ms, or measure it: "
            f"mainstream calibrate {called or folder}"
        )
    return App.of({key: value for key, value in own.items() if key not in given} | keys)


def _event_keys(events: Events, given: set[str]) -> dict[str, Any]:
    """The calibrated keys; one that tells more of another is left out where that other is given."""
    keys: dict[str, Any] = {}
    for key in ("event_length_ms", "event_frequency", "correlation", "accuracy_spread"):
        estimate = getattr(events, key)
        if estimate is not None:
            keys[key] = estimate.value
    if events.correlation_fps is not None and "correlation" not in given:
        keys["correlation_fps"] = events.correlation_fps
    if events.event_lengths_ms is not None and "event_length_ms" not in given:
        keys["event_lengths_ms"] = events.event_lengths_ms
    return keys
