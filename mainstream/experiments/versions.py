"""The versions that are compared: ways to schedule a workload, each with a restriction on schedules.

==================  ===================================================================================================
version             its schedule is the best of all schedules in which
==================  ===================================================================================================
mainstream          each app has any of its `num_frozen` and any rate
no-sharing          nothing is shared
max-sharing         each app shares as many layers as it can
max-sharing-K       each app shares the first K layers
max-sharing-best    each app shares the first K layers, with the best K for the workload and the budget: the fair static
                    comparison
static-fps          all apps have the same rate, the best one for the workload and the budget
==================  ===================================================================================================

``greedy`` and ``greedy-released`` are mainstream, solved by those methods. Pinned apps stay pinned in all versions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from mainstream.description import nearest, shown
from mainstream.errors import InfeasibleError, ProblemError
from mainstream.formats.named_stream import NamedStream
from mainstream.io import SolveOptions
from mainstream.problem import App, Mode, canonical
from mainstream.schedule import Result
from mainstream.solver import Prepared, prepare

_CHOKEPOINT: Final = re.compile(r"max-?sharing-(\d{1,9})")
_KINDS: Final = (
    "mainstream",
    "no-sharing",
    "max-sharing",
    "max-sharing-K",
    "max-sharing-best",
    "greedy",
    "greedy-released",
    "static-fps",
)
_PUBLISHED: Final = {"nosharing": "no-sharing", "maxsharing": "max-sharing"}


class Restriction(NamedTuple):
    """A restriction on all apps of a workload.

    Attributes
    ----------
    mode : str
    num_frozen : int or None
        The only chokepoint; None allows all.
    target_fps : float or None
        The only rate; None allows all.
    """

    mode: Mode = "mainstream"
    num_frozen: int | None = None
    target_fps: float | None = None

    def __str__(self) -> str:
        if self.num_frozen is not None:
            return f"chokepoint {self.num_frozen}"
        return "" if self.target_fps is None else f"{self.target_fps:g} fps"


@dataclass(frozen=True)
class Version:
    """A way to schedule.

    Attributes
    ----------
    name : str
    """

    name: str

    @classmethod
    def of(cls, name: str) -> Version:
        """The version with this name; the published names "nosharing" and "maxsharing" also work.

        Raises
        ------
        ProblemError
            There is no version with that name.
        """
        ours = _PUBLISHED.get(name, name)
        cut = _CHOKEPOINT.fullmatch(ours)
        if cut is not None:
            return cls(f"max-sharing-{canonical(int(cut[1]))}")
        if ours not in _KINDS or ours.endswith("-K"):
            raise ProblemError(f"version {shown(name)} is not known; {nearest(name, _KINDS)}")
        return cls(ours)

    @property
    def published(self) -> str:
        """The end of its file's name, without the hyphen, as the published names have it."""
        return self.name.replace("-sharing", "sharing")

    @property
    def method(self) -> str | None:
        """Its method, if it stands for one."""
        return self.name if self.name.startswith("greedy") else None

    def restrictions(self, workload: Workbench) -> Iterator[Restriction]:
        """The restrictions to try; the best schedule of all counts."""
        cut = _CHOKEPOINT.fullmatch(self.name)
        if cut is not None:
            yield Restriction(num_frozen=int(cut[1]))
        elif self.name == "max-sharing-best":
            yield from (Restriction(num_frozen=f) for f in workload.common_chokepoints())
        elif self.name == "static-fps":
            yield from (Restriction(target_fps=fps) for fps in workload.common_rates())
        elif self.name in ("no-sharing", "max-sharing"):
            yield Restriction(mode=self.name)  # type: ignore[arg-type]  # mypy does not narrow to a literal
        else:
            yield Restriction()


class Solved(NamedTuple):
    """A version's schedule, and the restriction under which it was found."""

    result: Result
    restriction: Restriction


class Workbench:
    """A workload that is compiled once for each restriction, and used for all versions, methods and budgets.

    Parameters
    ----------
    streams : sequence of NamedStream
    options : SolveOptions
        How to solve; `mode` and `budget` have no effect.
    """

    def __init__(self, streams: Sequence[NamedStream], options: SolveOptions) -> None:
        self.streams = tuple(streams)
        given = options.given()
        what = ("memory_mb", "objective", "event_model")
        self.what: dict[str, Any] = {key: given[key] for key in what if key in given}
        self.how: dict[str, Any] = {
            key: given[key] for key in ("aggregate", "method", "gap", "time_limit") if key in given
        }
        self._prepared: dict[Restriction, Prepared] = {}

    def common_chokepoints(self) -> list[int]:
        """The `num_frozen` that all apps have, except pinned ones, increasing.

        Raises
        ------
        ProblemError
            There is none.
        """
        apps = [app for stream in self.streams for app in stream.apps if app.pinned is None]
        free = [{canonical(f) for f in app.accuracies} for app in apps]
        common = set.intersection(*free) if free else {0}
        if not common:
            raise ProblemError("max-sharing-best: there is no num_frozen that all apps have; leave that version out")
        return sorted(common)

    def common_rates(self) -> list[float]:
        """The frame rates that all streams have, increasing.

        Raises
        ------
        ProblemError
            There is none.
        """
        common = set.intersection(*(set(stream.video.rates("mainstream").tolist()) for stream in self.streams))
        if not common:
            raise ProblemError("static-fps: there is no frame rate that all streams have; leave that version out")
        return sorted(common)

    def restricted(self, restriction: Restriction) -> tuple[NamedStream, ...]:
        """The streams with only the chokepoint and rate that a restriction allows; its mode is left out.

        Raises
        ------
        ProblemError
            An app does not have that chokepoint.
        """
        return tuple(self._restricted(stream, restriction) for stream in self.streams)

    def _restricted(self, stream: NamedStream, restriction: Restriction) -> NamedStream:
        apps, video = stream.apps, stream.video
        if restriction.num_frozen is not None:
            apps = tuple(_only(app, restriction.num_frozen) for app in apps)
        if restriction.target_fps is not None:
            video = video.model_copy(update={"fps_options": (restriction.target_fps,)})
        return stream.model_copy(update={"apps": apps, "video": video})

    def prepared(self, restriction: Restriction = Restriction()) -> Prepared:  # noqa: B008  # it is immutable
        """The workload under a restriction, compiled when it is first needed."""
        if restriction not in self._prepared:
            streams = [stream for one in self.restricted(restriction) for stream in one.to_solve()]
            self._prepared[restriction] = prepare(streams, mode=restriction.mode, **self.what)
        return self._prepared[restriction]

    def useful_range(self) -> tuple[float, float]:
        """The smallest budget that has a schedule, and the budget beyond which nothing is gained; compute a second."""
        whole = self.prepared()
        return whole.smallest_budget(), whole.useful_budget()

    def solve(self, version: Version, budget: float) -> Solved:
        """Find a version's best schedule within a budget.

        Its bound holds for all schedules of the version; time and nodes are sums over all its restrictions.

        Raises
        ------
        InfeasibleError
            No schedule of the version fits.
        ProblemError
            The workload does not allow the restriction.
        """
        how = self.how if version.method is None else {**self.how, "method": version.method}
        solved: list[Solved] = []
        failed: list[InfeasibleError] = []
        for restriction in version.restrictions(self):
            try:
                solved.append(Solved(self.prepared(restriction).solve(budget, **how), restriction))
            except InfeasibleError as error:
                failed.append(error)
        if not solved:
            raise min(failed, key=lambda error: error.smallest_budget or float("inf"))
        best, restriction = max(solved, key=lambda one: (one.result.objective, one.result.mean or 0.0))
        if len(solved) == 1:
            return Solved(best, restriction)
        results = [one.result for one in solved]
        whole = replace(
            best,
            bound=max(one.bound for one in results),
            runtime_s=sum(one.runtime_s for one in results),
            nodes=sum(one.nodes for one in results),
            status="optimal" if all(one.status == "optimal" for one in results) else "feasible",
        )
        return Solved(whole, restriction)


def _only(app: App, num_frozen: int) -> App:
    """The app with only this chokepoint; unchanged if it is pinned."""
    if app.pinned is not None:
        return app
    key = next((f for f in app.accuracies if canonical(f) == num_frozen), None)
    if key is None:
        raise ProblemError(
            f"max-sharing-{num_frozen}: app {app.app_id} has no such num_frozen; it has {shown(sorted(app.accuracies))}"
        )
    kept: dict[str, Any] = {}
    for of_chokepoint in (
        "accuracies",
        "false_positive_rates",
        "accuracy_intervals",
        "false_positive_intervals",
        "false_correlations",
    ):
        given = getattr(app, of_chokepoint)
        if given is not None:
            own = next((value for f, value in given.items() if canonical(f) == num_frozen), None)
            kept[of_chokepoint] = None if own is None else {key: own}
    return app.model_copy(update=kept)
