"""Where the workloads of ``mainstream experiment`` come from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainstream.cli.problem_file import read_problem
from mainstream.errors import ProblemError

if TYPE_CHECKING:
    from mainstream.experiments.points import Placed, Point
    from mainstream.io import Problem


@dataclass(frozen=True)
class Input:
    """Apps to combine into workloads, or whole workloads.

    Attributes
    ----------
    apps : sequence of Placed
        Empty with whole workloads.
    options : mapping of str to object
        What the problem file says about how to solve.
    problems : tuple of Problem
        The whole workloads.
    cut : int or None
        The number of the line at which the workload file is cut off.
    """

    apps: Sequence[Placed] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    cut: int | None = None

    def points(self, num_apps: int, *, combs: bool, most: int | None, seed: int, x_vote: str | None) -> list[Point]:
        """The workloads of the experiment; if votes are given, each app has them."""
        from mainstream.experiments.points import combinations, growing, of_workloads

        if not self.apps:
            if combs:
                raise ProblemError("command line: --combs is for --apps; a workload is taken as it is")
            points = of_workloads(self.problems, num_apps)
        elif combs:
            points = combinations(self.apps, num_apps, most=most, seed=seed)
        else:
            points = growing(self.apps, num_apps)
        return points if x_vote is None else [_with_votes(point, x_vote) for point in points]


def read_input(
    apps: Path | None,
    workloads: Path | None,
    profile: Path | None,
    stream_fps: float | None,
    datasets: Sequence[str],
    store: str | None,
) -> Input:
    """What the flags of the same names say.

    Raises
    ------
    ProblemError
        They do not go together, or a file is wrong.
    """
    from mainstream.experiments.points import selected
    from mainstream.files import naming
    from mainstream.io import load_workloads

    if (apps is None) == (workloads is None):
        raise ProblemError("command line: give --apps, a problem file or a folder of M-Packages, or --workloads")
    if workloads is not None:
        if datasets:
            raise ProblemError("command line: --datasets is for --apps; a workload is taken as it is")
        problems, cut = load_workloads(workloads)
        return Input(problems=problems, cut=cut)
    assert apps is not None
    read = _of_packages(apps, profile, stream_fps) if apps.is_dir() else _of_problem(apps, profile, stream_fps, store)
    if not datasets:
        return read
    with naming(apps):
        return replace(read, apps=selected(read.apps, datasets))


def _of_packages(folder: Path, profile: Path | None, stream_fps: float | None) -> Input:
    from mainstream.experiments.points import apps_of_packages, placed
    from mainstream.formats.named_stream import NamedStream
    from mainstream.io import load_profile
    from mainstream.problem import Video

    if profile is None:
        raise ProblemError("command line: a folder of M-Packages needs --profile, the base network")
    model = load_profile(profile)
    video = Video(stream_fps=10 if stream_fps is None else stream_fps)
    return Input(placed([NamedStream(apps=apps_of_packages(folder, model), model=model, video=video)]))


def _of_problem(file: Path, profile: Path | None, stream_fps: float | None, store: str | None) -> Input:
    if profile is not None or stream_fps is not None:
        raise ProblemError(
            "command line: --profile and --stream-fps are for a folder of M-Packages; a problem file has its own"
        )
    from mainstream.experiments.points import placed

    problem = read_problem(file, store)
    return Input(placed(problem.each), problem.given())


def words(given: str | None) -> list[str]:
    """The words between commas, each word once."""
    return list(dict.fromkeys(word.strip() for word in (given or "").split(",") if word.strip()))


def _with_votes(point: Point, x_vote: str) -> Point:
    """The workload with these votes for all its apps."""
    from mainstream.problem import App

    votes = int(x_vote) if x_vote.isdecimal() else x_vote
    streams = []
    for stream in point.streams:
        apps = (App.of({**app.model_dump(exclude_defaults=True), "x_vote": votes}) for app in stream.apps)
        streams.append(stream.model_copy(update={"apps": tuple(apps)}))
    return replace(point, streams=tuple(streams))


def digest(points: Iterable[Point]) -> str:
    """A value that tells these workloads from all others."""
    found = hashlib.sha256()
    for point in points:
        parts = (part for stream in point.streams for part in (*stream.apps, stream.model, stream.video))
        names = [stream.name for stream in point.streams if stream.name is not None]
        plain = [point.id, point.budget, *names, *(part.model_dump(mode="json") for part in parts)]
        found.update(json.dumps(plain, sort_keys=True).encode())
    return found.hexdigest()[:16]
