"""What ``mainstream deploy --labels`` adds: labels of what the source shows, and how well the last plan's apps did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mainstream.errors import ProblemError
from mainstream.evaluation.footage import Footage
from mainstream.evaluation.labels import Labels, check_times, read_events, read_times
from mainstream.evaluation.live import Decided, Scored, score_deployed
from mainstream.evaluation.watched import Watched
from mainstream.schedule import Result
from mainstream.streamer.sources import clip_of

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, eq=False)
class LiveLabels:
    """The labels of a source.

    Attributes
    ----------
    file : Path
    watched : tuple of Watched
    clip : Footage or None
        None for a camera, whose labels are read at the end.
    of_clip : Labels or None
    decided : Decided
        Has to be told what the apps decide.
    seed : int
        The seed of the bootstrap.
    """

    file: Path
    watched: tuple[Watched, ...]
    clip: Footage | None
    of_clip: Labels | None
    seed: int
    decided: Decided = field(default_factory=Decided)

    @classmethod
    def of(
        cls,
        file: Path,
        source: str,
        watched: Sequence[Watched],
        regions: Sequence[str] | None,
        inside: float,
        seed: int,
    ) -> Self:
        """Read the labels of a clip, or check that those of a camera are by the clock.

        Raises
        ------
        ProblemError
            The labels say nothing about the source or about the apps.
        """
        from mainstream.cli.label_options import box_regions

        where = box_regions(regions, inside, [one.label for one in watched])
        path = clip_of(source)
        if path is None:
            if where:
                raise ProblemError("--region: labels of a camera have no boxes; leave it out")
            check_times(file)
            return cls(file, tuple(watched), None, None, seed)
        clip = Footage.of(path)
        return cls(file, tuple(watched), clip, read_events(file, clip, watched, where, inside), seed)

    def scored(self, result: Result) -> Scored:
        """How the apps did since the last plan, whose schedule is `result`, took over."""
        labels = self.of_clip or read_times(self.file, self.watched)
        return score_deployed(self.decided, result, self.watched, labels, self.clip, seed=self.seed)

    def show(self, scored: Scored, screen: Console) -> None:
        """Print it."""
        from mainstream.cli.evaluate import scores_table

        screen.print(f"labels     {self.file}: {scored.seconds:.1f} s of the last plan", markup=False)
        if scored.apps:
            screen.print(scores_table(scored.apps))
        for one, events in scored.unscored:
            screen.print(
                f"           app {one.called}: {events} whole events of {one.label!r} passed meanwhile; "
                "intervals need 2 or more: give a longer --window",
                markup=False,
            )

    def to_dict(self, scored: Scored) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts."""
        few = [{"app_id": one.app.app_id, "label": one.label, "events": events} for one, events in scored.unscored]
        apps = [one.to_dict() for one in scored.apps]
        return {"file": str(self.file), "seconds": scored.seconds, "apps": apps, "too_few_events": few}
