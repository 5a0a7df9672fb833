"""Compares predictions with measurements, for each app of schedules at some budgets.

For ``benchmarks/truth.py`` and ``benchmarks/truth_people.py``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import numpy as np

from mainstream.errors import InfeasibleError
from mainstream.evaluation.evaluate import Evaluated, evaluate
from mainstream.evaluation.footage import Footage
from mainstream.evaluation.labels import Labels
from mainstream.evaluation.outputs import Outputs
from mainstream.evaluation.watched import Watched
from mainstream.events import event_metrics
from mainstream.experiments.versions import Version, Workbench
from mainstream.formats.named_stream import NamedStream
from mainstream.formats.package import read_package
from mainstream.formats.package_app import app_of_package
from mainstream.io import SolveOptions
from mainstream.problem import App, Video
from mainstream.schedule import Choice

VERSIONS: Final = ("mainstream", "max-sharing", "max-sharing-best", "no-sharing", "static-fps")
BUDGETS: Final = (0.1, 0.25, 0.5, 0.8)
"""Shares of the way from the smallest budget that has a schedule to the one beyond which nothing is gained."""
USED: Final = "as calibrated"


def predictors(folder: Path, app_id: int) -> dict[str, tuple[App, str]]:
    """The ways to predict an app's F1, from the earlier ones to the one in use: the app as given, the event model."""
    package, curve = read_package(folder)
    assert package.events is not None
    deepest = max(package.seen, key=lambda one: one.num_frozen)
    one_shift = package.model_copy(update={"events": package.events.model_copy(update={"seen": (deepest,)})})
    keys = {"app_id": app_id, "x_vote": "auto"}
    trained = app_of_package(folder, package, curve, keys, calibrated=False)
    used = app_of_package(folder, package, curve, keys)
    shifted = app_of_package(folder, one_shift, curve, keys)
    return {
        "windowed, as trained": (trained, "windowed"),
        "measured, as trained": (_one_chain(trained), "measured"),
        "one shift for all models": (_one_chain(shifted), "measured"),
        "a shift for each model": (_one_chain(used), "measured"),
        USED: (used, "measured"),
    }


def _one_chain(app: App) -> App:
    """The app, with false alarms that are correlated as the frames of events are."""
    return app.model_copy(update={"false_correlations": None})


def f1_of(app: App, choice: Choice, event_model: str, fps: float) -> float:
    """What is predicted for a choice; frames are independent if the event model does not know their correlation."""
    k = choice.num_frozen
    assert app.false_positive_rates is not None
    plain = event_model == "windowed"
    found = event_metrics(
        app.accuracies[k], app.false_positive_rates[k], event_length_ms=app.event_length_ms,
        event_frequency=app.event_frequency, correlation=0.0 if plain else app.correlation, stream_fps=fps,
        target_fps=choice.target_fps, x_vote=choice.x_vote or 0, correlation_fps=app.correlation_fps or np.nan,
        accuracy_spread=app.accuracy_spread or 0.0, event_lengths_ms=app.event_lengths_ms, event_model=event_model,
        false_correlation=(app.false_correlations or {}).get(k, np.nan),
    )  # fmt: skip
    return float(found.f1)


def tau(first: list[float], second: list[float]) -> float:
    """Kendall's tau-b."""
    signs = [(np.sign(a - b), np.sign(c - d)) for (a, c), (b, d) in combinations(zip(first, second, strict=True), 2)]
    x, y = np.array(signs).T
    return float((x * y).sum() / np.sqrt((x != 0).sum() * (y != 0).sum()))


def run(folders: list[Path], model: Any, clip: Footage, outputs: Outputs, labels: Labels, out: Path) -> None:
    """Solve for packages, replay, print and keep the rows."""
    by_app = {k: predictors(folder, k) for k, folder in enumerate(folders, start=1)}
    apps = tuple(some[USED][0] for some in by_app.values())
    bench = Workbench([NamedStream(apps=apps, model=model, video=Video(stream_fps=clip.fps))], SolveOptions())
    least, most = bench.useful_range()
    schedules = {}
    for share in BUDGETS:
        for version in VERSIONS:
            try:
                result = bench.solve(Version.of(version), least + share * (most - least)).result
            except InfeasibleError:
                print(f"{version} has no schedule at {share:g}")
                continue
            schedules[f"{version} {share:g}"] = result
    watched = [Watched.of(app, outputs.model_dir) for app in apps]
    found = evaluate(schedules, watched, model, clip, labels, outputs, seed=0)
    rows = [_row(name, one, by_app[int(one.choice.app_id)], clip.fps) for name, some in found.items() for one in some]
    print(f"{'schedule, budget':<22}{'app':<11}{'k':>4}{'fps':>5}{'X':>3}  predicted          measured")
    for row in rows:
        (low, high), (least_f1, most_f1) = row["predicted_interval"], row["interval"]
        print(
            f"{row['schedule']:<22}{row['app']:<11}{row['num_frozen']:>4}{row['fps']:>5g}{row['x_vote']:>3}"
            f"  {row['f1'][0]:.3f} ({low:.2f}-{high:.2f})  {row['f1'][1]:.3f} ({least_f1:.2f}-{most_f1:.2f})"
            f"{'' if row['inside'] else ' outside':<8}  recall {row['recall']} precision {row['precision']}"
        )
    for name in by_app[1]:
        errors = [abs(row[name] - row["f1"][1]) for row in rows]
        near = sum(error <= 0.05 for error in errors)
        inside = sum(row["interval"][0] <= row[name] <= row["interval"][1] for row in rows)
        of_each = [[row for row in rows if row["schedule"] == one] for one in found]
        predicted = [fmean(row[name] for row in some) for some in of_each]
        measured = [fmean(row["f1"][1] for row in some) for some in of_each]
        print(
            f"{name:<26} mean absolute error {fmean(errors):.3f}, largest {max(errors):.3f}, {near} of {len(errors)} "
            f"within 0.05, {inside} in the measured interval, "
            f"tau of {len(found)} schedules {tau(predicted, measured):.2f}"
        )
    told = sum(row["predicted_interval"][0] <= row["f1"][1] <= row["predicted_interval"][1] for row in rows)
    print(f"what was measured lies in the predicted interval in {told} of {len(rows)}")
    out.write_text(json.dumps(rows, indent=1))
    picture(rows, out.with_suffix(".png"))


def picture(rows: list[dict[str, Any]], out: Path) -> None:
    """Predicted F1 against measured F1, before and as it is used."""
    from matplotlib.figure import Figure

    axes = Figure(figsize=(5, 5), dpi=110, layout="constrained").add_subplot()
    axes.fill_between((0, 1), (-0.05, 0.95), (0.05, 1.05), color="0.9", label="within 0.05")
    measured = np.array([row["f1"][1] for row in rows])
    before, used = (np.array([row[name] for row in rows]) for name in ("windowed, as trained", USED))
    axes.plot(before, measured, "x", color="0.6", label="windowed, as trained")
    ends = np.array([row["interval"] for row in rows]).T
    away = np.abs(ends - measured)
    axes.errorbar(used, measured, yerr=away, fmt="o", ms=4, lw=0.6, label=f"measured, {USED}")
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="F1 predicted", ylabel="F1 measured")
    axes.legend(loc="upper left")
    axes.figure.savefig(out)


def _row(schedule: str, one: Evaluated, predicted_by: Mapping[str, tuple[App, str]], fps: float) -> dict[str, Any]:
    choice, score = one.choice, one.score
    measured = {"recall": score.recall, "precision": score.precision, "f1": score.f1}
    return {
        "schedule": schedule,
        "app": one.watched.called,
        "num_frozen": choice.num_frozen,
        "fps": choice.target_fps,
        "x_vote": choice.x_vote or 1,
        "predicted_interval": choice.f1_interval or (np.nan, np.nan),
        "interval": (score.f1.low, score.f1.high),
        "inside": not one.outside("f1"),
        **{key: (round(getattr(choice, key) or 0, 3), round(m.value, 3) if m else 1.0) for key, m in measured.items()},
        **{name: f1_of(app, choice, event_model, fps) for name, (app, event_model) in predicted_by.items()},
    }
