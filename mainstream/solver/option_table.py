"""Apps -> packed arrays of options, and the chosen options -> a schedule; nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mainstream.apps import NO_PIN, Apps, BoolArray, IntArray
from mainstream.costs import stem_parts, tail_costs
from mainstream.description import shown
from mainstream.errors import InfeasibleError, ProblemError
from mainstream.events import event_metrics, option_values
from mainstream.problem import FloatArray, Model, Video
from mainstream.schedule import Choice, Result, Schedule
from mainstream.solver import kernels, packing

CellArray = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class OptionTable:
    """What each app may choose, worth how much.

    Attributes
    ----------
    values : (N, F, R) float
        The metric for each app, chokepoint column and rate; NaN where the app may not have it.
    votes : (N, F, R) int8
        X behind each value; 0 for no voting.
    rates : (R,) float
    depths : (F,) int
        Depth of each column: 0 shares nothing, d > 0 shares segments 1..d of the stem.
    tail, seg : (D + 1,) float
        Latency behind each depth, and of each segment of the stem.
    share : (N,) float
        What each app's value counts in the objective: its weight, scaled to a sum of 1.
    """

    apps: Apps
    model: Model
    stream_fps: float
    metric: str
    mode: str
    event_model: str
    values: FloatArray
    votes: NDArray[np.int8]
    rates: FloatArray
    depths: IntArray
    tail: FloatArray
    seg: FloatArray
    share: FloatArray

    @classmethod
    def build(cls, apps: Apps, model: Model, video: Video, *, metric: str, mode: str, event_model: str) -> OptionTable:
        """All options that mode, pins and constraints allow.

        Parameters
        ----------
        apps : Apps
            Checked against model and video.
        model : Model
        video : Video
        metric : {"f1", "recall", "precision"}
        mode, event_model : str
            As for :func:`mainstream.solve`.

        Raises
        ------
        InfeasibleError
            An app that is not optional has none, whatever the budget.
        """
        rates = video.rates(mode)
        values, votes = option_values(apps, rates, video.stream_fps, metric=metric, event_model=event_model)
        _close_columns(values, apps, mode)
        _close_rates(values, apps, rates)
        values[values < apps.min_value[:, None, None]] = np.nan
        stuck = np.isnan(values).all(axis=(1, 2)) & ~apps.optional
        if stuck.any():
            raise InfeasibleError(
                f"app {apps.id_list(stuck)}: no option satisfies min_fps, max_fps, min_value and pin, at any budget"
            )
        sharing = mode != "no-sharing"
        ends = np.concatenate([[0], apps.chokepoints[sharing & (apps.chokepoints > 0)]])
        return cls(
            apps=apps,
            model=model,
            stream_fps=video.stream_fps,
            metric=metric,
            mode=mode,
            event_model=event_model,
            values=values,
            votes=votes,
            rates=rates,
            depths=np.searchsorted(ends, apps.chokepoints) if sharing else np.zeros(len(apps.chokepoints), np.int64),
            tail=model.prefix[-1] - model.prefix[ends],
            seg=np.concatenate([[0.0], np.diff(model.prefix[ends])]),
            share=_shares(apps.weight),
        )

    @cached_property
    def packed(self) -> kernels.Packed:
        """The options worth looking at, as the kernels take them; values unweighted, see :func:`weighted`."""
        n, columns, count = self.values.shape
        rate = np.concatenate([[0.0], self.rates])
        keep = np.empty((n, columns, count), np.bool_)
        kept = packing.undominated(self.values, self.depths, self.tail, rate, keep) + int(self.apps.optional.sum())
        packed = kernels.Packed(
            start=np.empty(n + 1, np.int64),
            value=np.empty(kept),
            cell=np.empty(kept, np.int32),
            tail=self.tail,
            seg=self.seg,
            rate=rate,
        )
        packing.pack(self.values, keep, self.depths, self.apps.optional, packed.start, packed.value, packed.cell)
        return packed

    @cached_property
    def _only_column(self) -> IntArray:
        """In mode "no-sharing", where depth does not tell: the one open column of each app."""
        first: IntArray = np.argmax(~np.isnan(self.values).all(axis=2), axis=1)
        return first

    def schedule(self, cells: CellArray) -> Schedule:
        """The schedule of one cell for each app.

        Parameters
        ----------
        cells : (N,) int
            depth * (R + 1) + rate index, the latter from 1; 0 for an app that is left out.
        """
        apps = self.apps
        depth, rate_index = np.divmod(cells.astype(np.int64), len(self.rates) + 1)
        column = self._only_column if self.mode == "no-sharing" else np.searchsorted(self.depths, depth)
        admitted = rate_index > 0
        rows = np.flatnonzero(admitted)
        at = (rows, column[rows], rate_index[rows] - 1)
        n = len(apps)
        votes = np.zeros(n, np.int64)
        votes[rows] = self.votes[at]
        fps = np.zeros(n)
        fps[rows] = self.rates[rate_index[rows] - 1]
        num_frozen = np.where(admitted, apps.chokepoints[np.minimum(column, len(apps.chokepoints) - 1)], 0)
        accuracy = np.full(n, np.nan)
        accuracy[rows] = apps.accuracies[at[:2]]
        recall, precision, f1 = (np.zeros(n) for _ in range(3))
        metrics = event_metrics(
            accuracy[rows],
            apps.false_positive_rates[at[:2]],
            event_length_ms=apps.event_length_ms[rows],
            event_frequency=apps.event_frequency[rows],
            correlation=apps.correlation[rows],
            stream_fps=self.stream_fps,
            target_fps=fps[rows],
            x_vote=votes[rows],
            event_model=self.event_model,
        )
        recall[rows], precision[rows], f1[rows] = metrics.recall, metrics.precision, metrics.f1
        value = np.zeros(n)
        value[rows] = self.values[at]
        sharing = self.mode != "no-sharing"
        tail = np.zeros(n)
        tail[rows] = tail_costs(self.model, num_frozen[rows], fps[rows], sharing=sharing)
        return Schedule(
            app_ids=apps.app_ids,
            num_frozen=np.where(num_frozen > 0, num_frozen, np.where(admitted, apps.unshared_key, 0)),
            target_fps=fps,
            x_vote=votes,
            value=value,
            f1=f1,
            recall=recall,
            precision=precision,
            accuracy=accuracy,
            tail_cost=tail,
            stem=stem_parts(self.model, num_frozen[rows], fps[rows]) if sharing else (),
            names=apps.names,
        )

    def staircases(self, warm_start: Result | Iterable[Choice] | None) -> IntArray:
        """The stem of a schedule made for a similar problem, as rate indices for each depth.

        Returns
        -------
        (S, D + 1) array, S = 0 without a warm start
        """
        if warm_start is None:
            return np.zeros((0, len(self.tail)), np.int64)
        if not isinstance(warm_start, Result | Iterable):
            raise ProblemError(f"warm_start: got {shown(warm_start)}; it has to be a Result or a list of Choice")
        choices = warm_start.choices if isinstance(warm_start, Result) else tuple(warm_start)
        for choice in choices:
            if not isinstance(choice, Choice):
                raise ProblemError(f"warm_start: got {shown(choice)} in the list; it has to hold Choice objects")
        ends = np.concatenate([[0], self.apps.chokepoints[self.apps.chokepoints > 0]])
        staircase = np.zeros(len(self.tail), np.int64)
        for choice in choices:
            # Other chokepoints and other rates than then: the nearest that is no more.
            depth = min(int(np.searchsorted(ends, choice.num_frozen, side="right")), len(self.tail)) - 1
            rate = int(np.searchsorted(self.rates, choice.target_fps, side="right"))
            staircase[1 : depth + 1] = np.maximum(staircase[1 : depth + 1], rate)
        return staircase[None, :]


def _shares(weight: FloatArray) -> FloatArray:
    """Weights scaled to a sum of 1; by the largest first, as their plain sum may be infinite."""
    scaled = weight / weight.max()
    shares: FloatArray = scaled / scaled.sum()
    return shares


def weighted(packed: kernels.Packed, share: FloatArray) -> kernels.Packed:
    """The same options, each app's values times its share.

    Parameters
    ----------
    packed : Packed
        M options of N apps.
    share : (N,) array
    """
    return packed._replace(value=packed.value * np.repeat(share, np.diff(packed.start)))


def at_least(packed: kernels.Packed, least: float) -> kernels.Packed:
    """The options of at least a value. What was dropped as dominated was so by one worth as much.

    Parameters
    ----------
    packed : Packed
    least : float
        In units of `packed.value`.
    """
    keep = packed.value >= least
    before = np.concatenate([[0], np.cumsum(keep)])
    return packed._replace(start=before[packed.start], value=packed.value[keep], cell=packed.cell[keep])


def _close_columns(values: FloatArray, apps: Apps, mode: str) -> None:
    """Leave each app the chokepoints that its mode, or else its pin, allows."""
    has_model: BoolArray = ~np.isnan(apps.accuracies)
    columns = np.arange(has_model.shape[1])
    allowed = has_model.copy()
    if mode == "no-sharing":
        allowed = columns == np.argmax(has_model, axis=1)[:, None]
    elif mode == "max-sharing":
        allowed = columns == (len(columns) - 1 - np.argmax(has_model[:, ::-1], axis=1))[:, None]
    pinned = apps.pinned_num_frozen != NO_PIN
    allowed[pinned] = apps.chokepoints == apps.pinned_num_frozen[pinned, None]
    values[~allowed] = np.nan


def _close_rates(values: FloatArray, apps: Apps, rates: FloatArray) -> None:
    """Leave each app the rates within its limits and its pin."""
    allowed: BoolArray = (rates >= apps.min_fps[:, None]) & (rates <= apps.max_fps[:, None])
    pinned = ~np.isnan(apps.pinned_fps)
    allowed[pinned] &= rates == apps.pinned_fps[pinned, None]
    if not allowed.all():
        values[np.broadcast_to(~allowed[:, None, :], values.shape)] = np.nan
