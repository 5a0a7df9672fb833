"""The app that an M-Package describes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from mainstream.errors import ProblemError
from mainstream.files import Name, naming
from mainstream.formats.correction import Rates, contradictions, rates
from mainstream.formats.curve import Curve
from mainstream.formats.package import Events, Package, pareto, read_package
from mainstream.problem import App

_log = logging.getLogger("mainstream")


def load_package(folder: Name, app_id: int = 1, *, calibrated: bool = True, **keys: Any) -> App:
    """Load the app of an M-Package.

    Its curve has the points that :func:`~mainstream.formats.package.pareto` keeps, moved by what was seen on the camera
    (:mod:`mainstream.formats.correction`). Its event parameters are the calibrated ones, its event class is the number
    of an output, and its region is the one that it was trained on. Paths of model files are absolute, so that a runtime
    on this machine finds them.

    Parameters
    ----------
    folder : path
    app_id : int
    calibrated : bool
        If false, use the curve as it was measured, without what was seen on the camera.
    **keys
        Other keys of :class:`~mainstream.problem.App`; they override the package. `accuracies` override both rates of
        the package's curve.

    Raises
    ------
    ProblemError
        There is no such package, it is not calibrated and no `event_length_ms` is given, or a key or value is wrong.

    Examples
    --------
    >>> from mainstream import load_package
    >>> load_package("dogs.mpkg")  # a folder that `mainstream train` made
    Traceback (most recent call last):
        ...
    mainstream.errors.ProblemError: dogs.mpkg: not an M-Package: there is no package.yaml in it; ...
    """
    folder = Path(folder)
    package, curve = read_package(folder)
    with naming(folder):
        return app_of_package(folder, package, curve, {"app_id": app_id, **keys}, calibrated=calibrated)


def app_of_package(
    folder: Path,
    package: Package,
    curve: Curve,
    keys: dict[str, Any],
    *,
    called: str | None = None,
    calibrated: bool = True,
) -> App:
    """As :func:`load_package`, for a package that was read from `folder`; messages call it `called`."""
    given = {App.other_names.get(key, key) for key in keys}
    kept = pareto(curve)
    accuracies, alarms = rates(package, curve, calibrated=calibrated)
    own: dict[str, Any] = {
        "name": package.name,
        "model_path": {f: str((folder / file).absolute()) for f, file in package.models.items()},
        "event_class": package.event_output,
    }
    if package.region is not None:
        own["region"] = package.region
    if "accuracies" not in given:
        own |= _kept(accuracies, kept, "accuracies", "accuracy_intervals")
        if alarms is not None and "false_positive_rates" not in given:
            own |= _kept(alarms, kept, "false_positive_rates", "false_positive_intervals")
        for one in contradictions(package, curve):
            used = "the curve is moved by it" if calibrated else "the curve is used as it is"
            _log.warning("%s: calibration contradicts the curve: %s; %s", called or folder, one, used)
    if package.events is not None:
        own |= _event_keys(package.events, given)
        if not {"accuracies", "correlation", "correlation_fps"} & given:
            own |= _false_correlations(package, kept, own.get("correlation_fps"))
    if "event_length_ms" not in given | own.keys():
        raise ProblemError(
            f"{package.name} has no event length; give event_length_ms, or measure it: "
            f"mainstream calibrate {called or folder} --labels FILE (mainstream label makes the file)"
        )
    return App.of({key: value for key, value in own.items() if key not in given} | keys)


def _kept(own: Rates, kept: tuple[int, ...], values: str, intervals: str) -> dict[str, Any]:
    """The keys of a rate at the kept `num_frozen`, with its intervals if there are any."""
    keys: dict[str, Any] = {values: {f: own.values[f] for f in kept}}
    if own.intervals is not None:
        keys[intervals] = {f: own.intervals[f] for f in kept}
    return keys


def _false_correlations(package: Package, kept: tuple[int, ...], fps: float | None) -> dict[str, Any]:
    """Correlations of false alarms at the kept `num_frozen`, interpolated between the models that were seen.

    All are converted to one rate of frames: that of the events' correlation, if there is one.
    """
    found = {}
    for one in sorted(package.seen, key=lambda one: one.num_frozen):
        if one.false_correlation is not None and one.correlation_fps is not None:
            fps = fps or one.correlation_fps
            found[one.num_frozen] = one.false_correlation.value ** (one.correlation_fps / fps)
    if not found:
        return {}
    seen, values = list(found), list(found.values())
    return {
        "correlation_fps": fps,
        "false_correlations": {f: min(1.0, float(np.interp(f, seen, values))) for f in kept},
    }


def _event_keys(events: Events, given: set[str]) -> dict[str, Any]:
    """The calibrated keys. A key that only refines another is left out if that other key is given."""
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
