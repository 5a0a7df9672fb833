"""``mainstream calibrate``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mainstream.cli import options
from mainstream.cli.json_file import check_json, put_json
from mainstream.cli.package import estimate, parameters
from mainstream.description import Description, nearest, shown
from mainstream.errors import ProblemError
from mainstream.problem import canonical
from mainstream.ranges import Positive, Probability

if TYPE_CHECKING:
    from rich.console import Console

    from mainstream.formats.package import Estimate, Package
    from mainstream.store.store import Store
    from mainstream.store.version import Version


_OF_SCORES: Final = ("correlation", "correlation_fps", "accuracy_spread", "seen")
"""The event parameters that labels alone do not give."""


class _Numbers(Description):
    fps: Positive
    threshold: Probability


def command(
    package: Annotated[
        str,
        typer.Argument(
            metavar="DIR|store://NAME", help="The app's M-Package: a folder, or one in a store.", show_default=False
        ),
    ],
    labels: Annotated[Path, typer.Option(metavar="FILE.csv", help="Labelled frames: frame,label.", show_default=False)],
    fps: options.Fps,
    scores: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The model's outputs: CSV frame,score, or the runtime's results.",
            show_default=False,
        ),
    ] = None,
    app_id: Annotated[
        int | None, typer.Option(help="Whose results to take, where they are of several apps.", show_default=False)
    ] = None,
    threshold: Annotated[
        float, typer.Option(metavar="NUMBER", help="Scores in CSV that reach this are positive decisions.")
    ] = 0.5,
    num_frozen: Annotated[
        int | None,
        typer.Option(
            help="Which of the package's models decided; needed where it has more than one.", show_default=False
        ),
    ] = None,
    event_class: options.EventClass = None,
    json: options.Json = None,
    quiet: options.Quiet = False,
    store: options.StoreUrl = None,
) -> None:
    """Measure an app's event parameters on labelled frames.

    They are written into its package. A package in a store gets a next version with them. So does one in a folder when
    --store is given. --event-class is for a package that has none.

    Event lengths and frequency come from the labels alone; the correlation between successive analysed frames, and how
    much events differ in accuracy, from the model's outputs. Each comes with its interval of 95 %. Where it is known
    which of the package's models decided, what it did on these frames is kept, too: a problem with the package then has
    its curve corrected by it.
    """
    from mainstream.cli import console
    from mainstream.formats.calibration_files import read_labels, read_scores
    from mainstream.trainer.calibration import calibrate

    check_json(json)
    screen = console.output(quiet=quiet, json=json)
    numbers = _Numbers.of({"fps": fps, "threshold": threshold}, where="command line")
    place = _InStore(package, store) if package.startswith("store://") else _InFolder(Path(package), store)
    described, curve = place.package, place.curve
    event = _event(described, event_class)
    frames, events = read_labels(labels, described.classes, event)
    decisions = read_scores(scores, numbers.threshold, app_id) if scores is not None else ()
    found = calibrate(frames, events, numbers.fps, *decisions)
    measured = found.events
    if scores is None and described.events is not None:
        kept = {key: getattr(described.events, key) for key in _OF_SCORES}
        measured = measured.model_copy(update=kept)
    decided = _model(described, num_frozen)
    if scores is not None and decided is not None:
        others = [one for one in described.seen if canonical(one.num_frozen) != canonical(decided)]
        measured = measured.model_copy(update={"seen": (*others, found.seen(decided))})
    place.save(described.model_copy(update={"events": measured, "event_class": event}))

    screen.print(f"{'events':<18}{measured.events:,} in {len(frames):,} frames, {found.cut_off} of them cut off")
    for heading, text in parameters(measured):
        screen.print(f"{heading:<18}{text}")
    if scores is not None:
        if measured.correlation is None:
            screen.print(f"{'':<18}all decisions on frames of events were the same, or none were successive")
        screen.print(f"{'on these frames':<18}{found.analysed:,} with a label and a score")
        _beside(screen, "accuracy", found.accuracy, curve.accuracies)
        _beside(screen, "false positives", found.false_positive_rate, curve.false_positive_rates)
        if found.false_correlation is not None:
            screen.print(f"{'their correlation':<18}{estimate(found.false_correlation)}")
    if place.pushed is not None:
        screen.print(f"{'pushed':<18}{place.pushed}")
    put_json(lambda: measured.model_dump(mode="json", exclude_none=True), json)


class _InFolder:
    """Calibrate a package in a folder; if a store is given, push the package to it, too."""

    def __init__(self, folder: Path, store: str | None) -> None:
        from mainstream.formats.package import read_package

        self._folder = folder
        self._store: Store | None = None
        self.package, self.curve = read_package(folder)
        self.pushed: Version | None = None
        if store is not None:
            from mainstream.store import open_store

            self._store = open_store(store)
            self._store.check(self.package.name)

    def save(self, package: Package) -> None:
        from mainstream.formats.package import save_package

        save_package(package, self.curve, self._folder)
        if self._store is not None:
            self.pushed = self._store.push(self._folder).version


class _InStore:
    """Calibrate a package in a store."""

    def __init__(self, name: str, store: str | None) -> None:
        from mainstream.store import open_store
        from mainstream.store.address import Reference

        self._store = open_store(store)
        self._version = self._store.read(Reference.of(name))
        self.package, self.curve = self._version.package, self._version.curve
        self.pushed: Version | None = None

    def save(self, package: Package) -> None:
        self.pushed = self._store.push_events(self._version, package).version


def _event(package: Package, given: str | None) -> str:
    """The class that is the event: the package's, or the given one if the package has none."""
    event = package.event_class or given
    if event is None:
        raise ProblemError(
            f"{package.name} has no event class; give --event-class, one of: {', '.join(package.classes)}"
        )
    if given is not None and given != event:
        raise ProblemError(f"--event-class {shown(given)}: the package's curve was measured for {shown(event)}")
    if event not in package.classes:
        raise ProblemError(f"--event-class {shown(event)} is no class; {nearest(event, package.classes)}")
    return event


def _model(package: Package, given: int | None) -> int | None:
    """The model of the package that decided; None if that is not known."""
    if given is None:
        return next(iter(package.models)) if len(package.models) == 1 else None
    own = [f for f in package.models if canonical(f) == canonical(given)]
    if not own:
        raise ProblemError(f"--num-frozen {given}: the package has no such model; allowed: {shown([*package.models])}")
    return own[0]


def _beside(screen: Console, heading: str, found: Estimate | None, curve: Mapping[int, float] | None) -> None:
    here = "no such frames" if found is None else estimate(found)
    there = "" if curve is None else f"; the curve has {min(curve.values()):.4g} to {max(curve.values()):.4g}"
    screen.print(f"{f'  {heading}':<18}{here}{there}")
