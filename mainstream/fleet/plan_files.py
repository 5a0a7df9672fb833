"""The net plans of a fleet as files: one JSON file for each box, with the plan of each of its streams by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mainstream.description import shown
from mainstream.errors import ProblemError
from mainstream.files import json_values, naming, read_text, reason, write_text
from mainstream.fleet.fleet import Fleet
from mainstream.streamer.plan import NetPlan

_LARGEST: Final = 2**27

Plans = Mapping[str, Mapping[str, NetPlan]]
"""Box -> stream -> its net plan."""


def check_folder(folder: Path) -> None:
    """Create the folder for plans if it is missing; called before the work is done.

    Raises
    ------
    ProblemError
        It cannot be created, or is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise ProblemError(f"{folder}: cannot be created: {reason(error)}") from None


def save_plans(plans: Plans, folder: Path) -> None:
    """Write the plans of each box to ``BOX.json``; each file is written whole or not at all.

    Raises
    ------
    ProblemError
        A file cannot be written.
    """
    for box, streams in plans.items():
        each = ",\n".join(f"{json.dumps(name)}:\n{plan.to_json()}" for name, plan in streams.items())
        write_text(folder / f"{box}.json", "{" + each + "}\n")


def load_plans(fleet: Fleet, folder: Path) -> dict[str, dict[str, NetPlan]]:
    """Read the plans that :func:`save_plans` wrote, for all boxes of a fleet.

    Raises
    ------
    ProblemError
        A file is missing or does not hold net plans; it has a stream that cannot be on the box; a camera with a choice
        of boxes is on several.
    """
    plans: dict[str, dict[str, NetPlan]] = {}
    where: dict[str, str] = {}
    for b, box in enumerate(fleet.boxes):
        known = {camera.name: camera for camera in fleet.cameras if b in camera.on}
        file = folder / f"{box.name}.json"
        text = read_text(file, largest=_LARGEST)
        with naming(file):
            given = json_values(text)
            if not isinstance(given, dict):
                raise ProblemError(f"got {shown(given)}; it has to be a mapping of streams to net plans")
            for name in given:
                if name not in known:
                    raise ProblemError(
                        f"stream {shown(name)} cannot be on box {box.name}; run `mainstream fleet plan` again"
                    )
                if not known[name].placed and where.setdefault(name, str(box.name)) != box.name:
                    raise ProblemError(
                        f"camera {shown(name)} is on box {where[name]}, too; run `mainstream fleet plan` again"
                    )
            plans[str(box.name)] = {}
            for name, plan in given.items():
                with naming(f"stream {name}"):
                    plans[str(box.name)][name] = NetPlan.from_json(json.dumps(plan))
    return plans
