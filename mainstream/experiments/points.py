"""The workloads of an experiment: more and more apps, combinations of apps, or the lines of a workload file."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Final, NamedTuple

from mainstream.description import nearest, shown
from mainstream.errors import ProblemError
from mainstream.files import Name, naming
from mainstream.formats.named_stream import NamedStream
from mainstream.formats.package import PACKAGE, check_fit, read_package
from mainstream.formats.package_app import app_of_package
from mainstream.io import Problem
from mainstream.problem import App, Model

_MOST: Final = 1_000_000
"""The most combinations that are listed."""


@dataclass(frozen=True)
class Point:
    """One workload of an experiment.

    Attributes
    ----------
    id : str
    streams : tuple of NamedStream
    budget : float or None
        Its own budget, compute a second.
    """

    id: str
    streams: tuple[NamedStream, ...]
    budget: float | None = None

    @property
    def apps(self) -> tuple[App, ...]:
        """The apps of all streams."""
        return tuple(app for stream in self.streams for app in stream.apps)


class Placed(NamedTuple):
    """An app, and the stream that it belongs to."""

    app: App
    stream: NamedStream


def placed(streams: Iterable[NamedStream]) -> list[Placed]:
    """The apps of all streams, each with its stream."""
    return [Placed(app, stream) for stream in streams for app in stream.apps]


def growing(apps: Sequence[Placed], num_apps: int) -> list[Point]:
    """Workloads of 1, 2, ... `num_apps` apps: the given ones in turn, starting again if there are fewer.

    Apps stay in their own streams and get the ids 1, 2, ... A workload's id is its number of apps.
    """
    return [_point(str(n), (apps[i % len(apps)] for i in range(n))) for n in range(1, num_apps + 1)]


def combinations(apps: Sequence[Placed], num_apps: int, *, most: int | None, seed: int) -> list[Point]:
    """All combinations of `num_apps` apps, or a sample of them; an app may be in a combination several times.

    The id of a combination is the names of its apps, joined by underscores.

    Parameters
    ----------
    apps : sequence of Placed
    num_apps : int
    most : int, optional
        Draw at most so many of them, without replacement.
    seed : int
        Seed of the draw.

    Raises
    ------
    ProblemError
        There are more than can be listed.
    """
    count = math.comb(len(apps) + num_apps - 1, num_apps)
    if min(count, most or count) > _MOST:
        raise ProblemError(
            f"--combs: {num_apps} of {len(apps)} apps make {_written(count)} combinations; at most {_MOST:,} can be "
            "listed; draw some of them with --combs-max-samples"
        )
    if most is None or most >= count:
        chosen: Iterable[tuple[int, ...]] = combinations_with_replacement(range(len(apps)), num_apps)
    else:
        draw = random.Random(seed)
        ranks: dict[int, None] = {}
        while len(ranks) < most:
            ranks[draw.randrange(count)] = None
        chosen = (_combination(rank, len(apps), num_apps) for rank in ranks)
    names = [_word(app.name or str(app.app_id)) for app, _ in apps]
    if len(set(names)) < len(names):
        names = [f"{name}-{_word(str(app.app_id))}" for name, (app, _) in zip(names, apps, strict=True)]
    return [_point("_".join(names[i] for i in places), (apps[i] for i in places)) for places in chosen]


def of_workloads(problems: Sequence[Problem], num_apps: int) -> list[Point]:
    """The workloads of a file, unchanged.

    Raises
    ------
    ProblemError
        A workload has more than `num_apps` apps.
    """
    for number, problem in enumerate(problems, start=1):
        if len(problem.all_apps) > num_apps:
            raise ProblemError(
                f"workload {number} has {len(problem.all_apps)} apps, but NUM_APPS is {num_apps}; raise NUM_APPS"
            )
    return [Point(str(one.id), one.each, one.given().get("budget")) for one in problems]


def selected(apps: Sequence[Placed], names: Sequence[str]) -> list[Placed]:
    """The apps with these names or ids, in this order.

    Raises
    ------
    ProblemError
        There is no such app, or several have that name.
    """
    chosen = []
    for name in names:
        found = [one for one in apps if name in (one.app.name, str(one.app.app_id))]
        if not found:
            known = [one.app.name or str(one.app.app_id) for one in apps]
            raise ProblemError(f"dataset {shown(name)}: there is no such app; {nearest(name, known)}")
        if len(found) > 1:
            raise ProblemError(f"dataset {shown(name)}: {len(found)} apps have that name; give the app_id instead")
        chosen.append(found[0])
    return chosen


def apps_of_packages(folder: Name, model: Model) -> list[App]:
    """Read the apps of the M-Packages in a folder: one in each subfolder, in order of their names.

    Raises
    ------
    ProblemError
        There is none, one is damaged, or they do not fit together or do not fit the model.
    """
    folder = Path(folder)
    with naming(folder):
        found = sorted(place.parent for place in folder.glob(f"*/{PACKAGE}"))
        if not found:
            raise ProblemError(f"there is no M-Package in it, that is, no subfolder with {PACKAGE}")
        apps, packages = [], {}
        for i, place in enumerate(found, start=1):
            packages[place.name], curve = read_package(place)
            with naming(place.name):
                apps.append(app_of_package(place, packages[place.name], curve, {"app_id": i}))
        check_fit(packages, model)
    return apps


def _point(called: str, apps: Iterable[Placed]) -> Point:
    """A workload of these apps, numbered from 1, in their streams."""
    of_stream: dict[str | None, list[App]] = {}
    streams = {}
    for i, (app, stream) in enumerate(apps, start=1):
        of_stream.setdefault(stream.name, []).append(app.model_copy(update={"app_id": i}))
        streams[stream.name] = stream
    return Point(
        called, tuple(streams[name].model_copy(update={"apps": tuple(own)}) for name, own in of_stream.items())
    )


def _word(name: str) -> str:
    return "-".join(name.replace("_", " ").split())


def _combination(rank: int, kinds: int, size: int) -> tuple[int, ...]:
    """The combination with repetition that has this rank, from 0, in lexicographic order."""
    return tuple(_places(rank, kinds, size))


def _places(rank: int, kinds: int, size: int) -> Iterator[int]:
    kind = 0
    for left in range(size, 0, -1):
        while (begin := math.comb(kinds - kind + left - 2, left - 1)) <= rank:
            rank -= begin
            kind += 1
        yield kind


def _written(count: int) -> str:
    return f"{count:,}" if count < 10**15 else f"about 10^{len(str(count)) - 1}" if count < 10**4000 else "too many"
