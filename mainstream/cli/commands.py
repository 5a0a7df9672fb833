"""The table of all commands. A command's module is imported when the command is called, so that --help is quick."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup

PANELS: Final[Mapping[str, Mapping[str, str]]] = {
    "Decide": {
        "init": "Write a problem file for packages, ready to run.",
        "capacity": "Tell whether apps fit a box, and how many more would.",
        "solve": "Choose sharing and frame rate for each app, proven optimal.",
        "frontier": "Show the best that each of several budgets can pay for.",
        "methods": "Compare all methods on one problem.",
        "plan": "Print the net plan of a schedule, as JSON.",
    },
    "Train": {
        "label": "Mark in the browser what a clip shows, and when.",
        "images": "Cut images to train on out of a labelled clip.",
        "layers": "List the layers of a network and where it can be cut.",
        "profile": "Measure what a base network costs on this device.",
        "train": "Train an app from images: its accuracy curve and its package.",
        "train-server": "Take trainings from other machines.",
        "train-jobs": "List, follow or cancel the jobs of a training server.",
        "quantise": "Make the int8 variant of a package.",
        "calibrate": "Measure an app's event parameters on labelled frames.",
        "share": "Find the leading layers that models have in common.",
        "freeze": "Write the frozen graph of a model: one .pb file.",
        "packages": "Keep packages in a store, by name and version.",
    },
    "Run": {
        "run": "Solve, run and watch in one process, until it is ended.",
        "apps": "List or change the apps of a box that runs.",
        "deploy": "Solve, run the plan on a Streamer, and solve again.",
        "streamer": "Run net plans on a camera or clip, as a Streamer does.",
        "streamer-keys": "Make keys: a server with them answers known clients only.",
        "fleet": "Plan, deploy and watch many boxes at once.",
    },
    "Study": {
        "demo": "Make a clip, train three small apps, solve and run them.",
        "simulate": "Compare predictions with events drawn frame by frame.",
        "evaluate": "Run schedules on a labelled clip and score the apps.",
        "experiment": "Compare ways to share on growing numbers of apps.",
        "report": "Draw what experiments found: one HTML file.",
        "scenes": "Make two labelled clips, to train on and to test on.",
        "workloads": "Make random problems, one or many.",
    },
}
"""Panel, name and one line of each command. ``train-jobs`` is in ``train_jobs.py``, named ``command`` or ``app``."""

LINES: Final = {name: line for panel in PANELS.values() for name, line in panel.items()}


class Commands(Mapping[str, Any]):
    """All commands by name; each is imported when it is looked up."""

    def __getitem__(self, name: str) -> Any:
        if name not in LINES:
            raise KeyError(name)
        return _load(name)

    def __iter__(self) -> Iterator[str]:
        return iter(LINES)

    def __len__(self) -> int:
        return len(LINES)


class _Below(TyperGroup):
    """The subcommands of a command; called without one, it lists them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            ctx.fail(f"{ctx.info_name}: give one of its commands: {', '.join(self.commands)}; --help tells more")
        return super().parse_args(ctx, args)


@cache
def _load(name: str) -> Any:
    module = import_module(f"mainstream.cli.{name.replace('-', '_')}")
    own = getattr(module, "app", None)
    if own is None:
        own = typer.Typer(add_completion=False, rich_markup_mode=None)
        own.command(name, cls=getattr(module, "Command", None))(module.command)
    else:
        own.info.cls = _Below
    return typer.main.get_command(own)
