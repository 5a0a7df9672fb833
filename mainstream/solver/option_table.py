"""Apps of one stream -> packed arrays of options, and the chosen options -> a schedule; nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from mainstream.apps import NO_PIN, Apps, BoolArray, IntArray
from mainstream.blocks import over_blocks
from mainstream.columns import on_columns
from mainstream.costs import memory_of, stem_parts, tail_costs
from mainstream.errors import InfeasibleError
from mainstream.events import metric_intervals, metrics_of, option_values
from mainstream.extensions import EventModel
from mainstream.problem import FloatArray, Model, Video
from mainstream.schedule import Choice, Schedule
from mainstream.schedule_columns import INTERVALS
from mainstream.solver import kernels, packing

if TYPE_CHECKING:
    from mainstream.solver.search import Limits

CellArray = NDArray[np.int32]

_DENSE_BYTES: Final = 8 + 1 + 1 + 1
"""Of an option before the superfluous ones are dropped: value, votes, whether it stays, and a mask on the way."""
PACKED_BYTES: Final = 8 + 4
"""Of a packed option: value and cell."""
_FEW: Final = 1_200_000
"""This many options are made whatever the clock says, as there is no answer without them: some tenths of a second."""


@dataclass(frozen=True, eq=False)
class OptionTable:
    """What each app may choose, and what that is worth.

    Attributes
    ----------
    apps : Apps
        N apps over F chokepoints.
    model : Model
    video : Video
    metric, mode : str
        As for :func:`mainstream.solve`; the metric is its objective.
    event_model : EventModel
    memory : bool
        Whether memory counts.
    values : (N, F, R) float
        The metric for each app, chokepoint column and rate; NaN where the app may not have it.
    votes : (N, F, R) int8
        The votes X of each value; 0 for no voting.
    rates : (R,) float
    depths : (F,) int
        Depth of each column: 0 shares nothing, d > 0 shares segments 1..d of the stem.
    packed : Packed
        The options worth looking at, as the kernels take them: one group; values unweighted.
    """

    apps: Apps
    model: Model
    video: Video
    metric: str
    mode: str
    event_model: EventModel
    memory: bool
    values: FloatArray
    votes: NDArray[np.int8]
    rates: FloatArray
    depths: IntArray
    packed: kernels.Packed

    @classmethod
    def build(
        cls,
        apps: Apps,
        model: Model,
        video: Video,
        *,
        metric: str,
        mode: str,
        event_model: EventModel,
        limits: Limits,
        memory: bool = False,
    ) -> OptionTable:
        """All options that mode, pins and constraints allow.

        Parameters
        ----------
        apps : Apps
            Already checked against model and video.
        model : Model
        video : Video
        metric : {"f1", "recall", "precision"}
        mode : str
            As for :func:`mainstream.solve`.
        event_model : EventModel
        limits : Limits
        memory : bool
            Whether memory counts: then a deeper option, which takes less of it, is seldom superfluous.

        Raises
        ------
        InfeasibleError
            An app that is not optional has no option, whatever the budget.
        OutOfTimeError
            There is not enough time or memory for them.
        """
        rates = video.rates(mode)
        dense = _DENSE_BYTES * apps.accuracies.size * len(rates)
        limits.check_memory(dense)
        check_time = limits.check_time if apps.accuracies.size * len(rates) > _FEW else None
        how: dict[str, Any] = {"metric": metric, "event_model": event_model, "meanwhile": check_time}
        values, votes = option_values(apps, rates, video.stream_fps, **how)
        _close_columns(values, apps, mode)
        _close_rates(values, apps, rates)
        values[values < apps.min_value[:, None, None]] = np.nan
        stuck = np.isnan(values).all(axis=(1, 2)) & ~apps.optional
        if stuck.any():
            raise InfeasibleError(
                f"app {apps.id_list(stuck)}: no option satisfies min_fps, max_fps, min_value and pin, at any budget"
            )
        depths, tail, seg = _stem(apps, model, mode)
        keep = np.empty(values.shape, np.bool_)
        own_mb, stem_mb = _memory(apps, model, mode, counts=memory)
        standing = np.concatenate([[0.0], rates])

        def mark(some: slice) -> int:
            columns = len(depths)
            limit, best = np.empty((columns, columns, len(rates)), np.int64), np.empty((columns, len(standing)))
            return packing.undominated(values[some], depths, tail, own_mb, standing, keep[some], limit, best)

        kept = sum(over_blocks(values, mark, check_time))
        limits.less(dense).check_memory(PACKED_BYTES * (kept + len(apps)))
        if check_time is not None:
            check_time()
        return cls(
            apps=apps,
            model=model,
            video=video,
            metric=metric,
            mode=mode,
            event_model=event_model,
            memory=memory,
            values=values,
            votes=votes,
            rates=rates,
            depths=depths,
            packed=_pack(values, keep, depths, apps.optional, *_costs(tail, seg, rates), own_mb, stem_mb),
        )

    def joined(self, more: OptionTable, apps: Apps) -> OptionTable:
        """The table of both tables' apps, as :meth:`build` makes it; nothing is computed again.

        Parameters
        ----------
        more : OptionTable
            The table of other apps with the same model, video, metric, mode and event model.
        apps : Apps
            The apps of both.
        """
        halves = [table._over(apps) for table in (self, more)]
        counts = np.concatenate([np.diff(half.packed.start) for half in halves])
        first = halves[0].packed
        return replace(
            halves[0],
            apps=apps,
            values=np.concatenate([half.values for half in halves]),
            votes=np.concatenate([half.votes for half in halves]),
            packed=first._replace(
                start=np.concatenate([[0], np.cumsum(counts)]),
                value=np.concatenate([half.packed.value for half in halves]),
                cell=np.concatenate([half.packed.cell for half in halves]),
                apps=np.array([0, len(apps)]),
            ),
        )

    def without(self, row: int, apps: Apps) -> OptionTable:
        """The table without one app, as :meth:`build` makes it; nothing is computed again.

        Parameters
        ----------
        row : int
            The app's place, from 0.
        apps : Apps
            The others.
        """
        start, end = self.packed.start[row : row + 2]
        counts = np.delete(np.diff(self.packed.start), row)
        fewer = replace(
            self,
            values=np.delete(self.values, row, axis=0),
            votes=np.delete(self.votes, row, axis=0),
            packed=self.packed._replace(
                start=np.concatenate([[0], np.cumsum(counts)]),
                value=np.delete(self.packed.value, slice(start, end)),
                cell=np.delete(self.packed.cell, slice(start, end)),
                apps=np.array([0, len(apps)]),
            ),
        )
        return fewer._over(apps)

    @property
    def nbytes(self) -> int:
        """Bytes of all options."""
        return self.values.nbytes + self.votes.nbytes + PACKED_BYTES * len(self.packed.value)

    def _over(self, apps: Apps) -> OptionTable:
        """The same options, numbered as the stem of `apps` requires."""
        if np.array_equal(self.apps.chokepoints, apps.chokepoints):
            return replace(self, apps=apps)
        depths, tail, seg = _stem(apps, self.model, self.mode)
        cell = self.packed.cell
        if len(tail) != len(self.packed.own):
            depth_now = np.searchsorted(_ends(apps, self.mode), _ends(self.apps, self.mode))
            depth, rate = np.divmod(cell, len(self.rates) + 1)
            cell = (depth_now[depth] * (len(self.rates) + 1) + rate).astype(np.int32)
        own, stem = _costs(tail, seg, self.rates)
        own_mb, stem_mb = _memory(apps, self.model, self.mode, counts=self.memory)
        return replace(
            self,
            apps=apps,
            values=on_columns(self.values, self.apps.chokepoints, apps.chokepoints),
            votes=on_columns(self.votes, self.apps.chokepoints, apps.chokepoints),
            depths=depths,
            packed=self.packed._replace(
                cell=cell, own=own, stem=stem, rows=np.array([0, len(own)]), own_mb=own_mb, stem_mb=stem_mb
            ),
        )

    @cached_property
    def every(self) -> kernels.Packed:
        """All options, packed like :attr:`packed`, but with the dominated ones."""
        packed = self.packed
        costs = (packed.own, packed.stem, packed.own_mb, packed.stem_mb)
        return _pack(self.values, ~np.isnan(self.values), self.depths, self.apps.optional, *costs)

    @cached_property
    def _only_column(self) -> IntArray:
        """In mode "no-sharing", the one open column of each app, since depth does not identify it."""
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
        recall, precision, f1 = (np.zeros(n) for _ in range(3))
        chosen = apps.at(rows, column[rows])
        accuracy[rows] = chosen.accuracy
        how: dict[str, Any] = {"stream_fps": self.video.stream_fps, "target_fps": fps[rows], "x_vote": votes[rows]}
        metrics = metrics_of(self.event_model, **chosen._asdict(), **how)
        intervals: dict[str, Any] = {name: np.full((n, 2), np.nan) for name in INTERVALS}
        if not np.isnan(apps.accuracy_intervals).all():
            low, high = metric_intervals(self.event_model, apps, rows, column[rows], **how)
            for name in INTERVALS:
                metric = name.removesuffix("_interval")
                intervals[name][rows] = np.column_stack([getattr(low, metric), getattr(high, metric)])
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
            stem=(stem := stem_parts(self.model, num_frozen[rows], fps[rows]) if sharing else ()),
            memory_mb=memory_of(self.model, num_frozen[rows], stem, sharing=sharing),
            names=apps.names,
            **intervals,
        )

    def staircase(self, choices: Iterable[Choice]) -> IntArray:
        """The stem that choices of a similar problem need, as rate indices for each depth; shape (D,)."""
        ends = _ends(self.apps, self.mode)
        staircase = np.zeros(len(ends), np.int64)
        for choice in choices:
            # Chokepoints and rates may have changed since: take the nearest that is no more.
            depth = int(np.searchsorted(ends, choice.num_frozen, side="right")) - 1
            rate = int(np.searchsorted(self.rates, choice.target_fps, side="right"))
            staircase[1 : depth + 1] = np.maximum(staircase[1 : depth + 1], rate)
        return staircase


def near_best(packed: kernels.Packed, gap: float) -> kernels.Packed:
    """The options that are worth at most `gap` less than the best of their app."""
    best = np.maximum.reduceat(packed.value, packed.start[:-1])
    return _only(packed, packed.value >= np.repeat(best, np.diff(packed.start)) - gap)


def _only(packed: kernels.Packed, keep: BoolArray) -> kernels.Packed:
    """Some of the options, (M,)."""
    before = np.concatenate([[0], np.cumsum(keep)])
    return packed._replace(start=before[packed.start], value=packed.value[keep], cell=packed.cell[keep])


def _ends(apps: Apps, mode: str) -> IntArray:
    """Where segments of the stem end, by depth: 0, then each chokepoint that shares something."""
    shared = apps.chokepoints[apps.chokepoints > 0] if mode != "no-sharing" else apps.chokepoints[:0]
    return np.concatenate([[0], shared])


def _stem(apps: Apps, model: Model, mode: str) -> tuple[IntArray, FloatArray, FloatArray]:
    """Depth of each column (F,), latency behind each depth (D + 1,), and of each segment of the stem (D + 1,)."""
    ends = _ends(apps, mode)
    depths = np.searchsorted(ends, apps.chokepoints) if mode != "no-sharing" else np.zeros_like(apps.chokepoints)
    return depths, model.prefix[-1] - model.prefix[ends], np.concatenate([[0.0], np.diff(model.prefix[ends])])


def _costs(tail: FloatArray, seg: FloatArray, rates: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Cost of each cell's tail, and of each segment at each rate, standing still first; both (D, R + 1)."""
    per_second = np.concatenate([[0.0], rates])
    return np.outer(tail, per_second), np.outer(seg, per_second)


def _memory(apps: Apps, model: Model, mode: str, *, counts: bool) -> tuple[FloatArray, FloatArray]:
    """Megabytes of each depth's tail, and of each segment; both (D,), and 0 where memory does not count."""
    ends = _ends(apps, mode)
    if not counts or model.prefix_mb is None:
        return np.zeros(len(ends)), np.zeros(len(ends))
    return model.prefix_mb[-1] - model.prefix_mb[ends], np.concatenate([[0.0], np.diff(model.prefix_mb[ends])])


def _pack(
    values: FloatArray,
    keep: BoolArray,
    depths: IntArray,
    optional: BoolArray,
    own: FloatArray,
    stem: FloatArray,
    own_mb: FloatArray,
    stem_mb: FloatArray,
) -> kernels.Packed:
    """The options that are marked in `keep`, (N, F, R)."""
    kept = int(keep.sum()) + int(optional.sum())
    packed = kernels.Packed(
        start=np.empty(len(values) + 1, np.int64),
        value=np.empty(kept),
        cell=np.empty(kept, np.int32),
        own=own,
        stem=stem,
        rows=np.array([0, len(own)]),
        apps=np.array([0, len(values)]),
        own_mb=own_mb,
        stem_mb=stem_mb,
        memory_mb=np.inf,
    )
    packing.pack(values, keep, depths, optional, packed.start, packed.value, packed.cell)
    return packed


def weighted(packed: kernels.Packed, share: FloatArray) -> kernels.Packed:
    """The same options; each value is multiplied by its app's share of the objective.

    Parameters
    ----------
    packed : Packed
        M options of N apps.
    share : (N,) array
    """
    return packed._replace(value=packed.value * np.repeat(share, np.diff(packed.start)))


def at_least(packed: kernels.Packed, least: float) -> kernels.Packed:
    """Keep options worth at least `least`; dominated ones can stay dropped, since what dominated them is worth as much.

    Parameters
    ----------
    packed : Packed
    least : float
        In units of `packed.value`.
    """
    return _only(packed, packed.value >= least)


def _close_columns(values: FloatArray, apps: Apps, mode: str) -> None:
    """Close the chokepoints that the mode, or the app's pin, does not allow."""
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
    """Close the rates that the app's limits, or its pin, do not allow."""
    allowed: BoolArray = (rates >= apps.min_fps[:, None]) & (rates <= apps.max_fps[:, None])
    pinned = ~np.isnan(apps.pinned_fps)
    allowed[pinned] &= rates == apps.pinned_fps[pinned, None]
    if not allowed.all():
        values[np.broadcast_to(~allowed[:, None, :], values.shape)] = np.nan
