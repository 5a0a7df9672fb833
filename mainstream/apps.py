"""Many apps as columns: what every later step works on, whether the apps came as objects or as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mainstream.columns import CURVES, ROWS, CurvePoints, given_lengths, in_columns, on_columns
from mainstream.description import counted, shown
from mainstream.errors import ProblemError
from mainstream.ids import IdArray, check_unique, given_ids, id_array, id_list
from mainstream.problem import App, FloatArray, Model, Video, canonical
from mainstream.ranges import PARAMETERS, numbers

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

NO_VOTE: Final = 0
"""`x_vote` in columns: no voting, one positive frame is a detection."""
AUTO_VOTE: Final = -1
"""`x_vote` in columns: the number of votes is chosen with the option."""
NO_PIN: Final = -1
"""`pinned_num_frozen` in columns: the app is not pinned."""


@dataclass(frozen=True, eq=False, repr=False)
class Apps:
    """N apps over F chokepoints, as columns; made by :meth:`of` or :meth:`from_arrays`.

    Attributes
    ----------
    app_ids : (N,) int, or object where an id is text
    chokepoints : (F,) int
        Every `num_frozen` that some app has, increasing; 0 for nothing shared.
    accuracies, false_positive_rates : (N, F) float
        NaN where the app has no model for that `num_frozen`, or no false positive rates at all.
    accuracy_intervals, false_positive_intervals : (N, F, 2) float
        Low and high; NaN where not known.
    false_correlations : (N, F) float
        NaN where that of events holds.
    event_length_ms, correlation, weight : (N,) float
    event_frequency, correlation_fps : (N,) float
        NaN where not given.
    accuracy_spread : (N,) float
        0 where not given.
    event_lengths_ms : (N, J) float
        Rising; NaN behind the last one of each app, J = 0 where no app has any.
    x_vote : (N,) int
        Votes; 0 for no voting, -1 for "auto".
    unshared_key : (N,) int
        0 or 1: how the app itself calls the `num_frozen` that shares nothing.
    pinned_num_frozen, pinned_fps : (N,) int and float
        -1 and NaN where not pinned.
    min_fps, max_fps, min_value : (N,) float
        0, infinity and -infinity where not given.
    optional : (N,) bool
    names : tuple of str or None
        Empty when no app has a name.

    Examples
    --------
    >>> from mainstream import Apps
    >>> apps = Apps.from_arrays([[0.95, 0.9], [0.8, 0.7]], None, [0, 40], event_length_ms=500, app_ids=["dog", "cat"])
    >>> apps
    <Apps: 2 apps, 2 chokepoints>
    >>> apps.is_measured, apps.has_precision.tolist()
    (False, [False, False])
    """

    app_ids: IdArray
    chokepoints: IntArray
    accuracies: FloatArray
    false_positive_rates: FloatArray
    event_length_ms: FloatArray
    event_frequency: FloatArray
    correlation: FloatArray
    correlation_fps: FloatArray
    accuracy_spread: FloatArray
    event_lengths_ms: FloatArray
    weight: FloatArray
    x_vote: IntArray
    unshared_key: IntArray
    pinned_num_frozen: IntArray
    pinned_fps: FloatArray
    min_fps: FloatArray
    max_fps: FloatArray
    min_value: FloatArray
    optional: BoolArray
    accuracy_intervals: FloatArray
    false_positive_intervals: FloatArray
    false_correlations: FloatArray
    names: tuple[str | None, ...] = ()

    def __len__(self) -> int:
        return len(self.app_ids)

    def __repr__(self) -> str:
        return f"<Apps: {counted(len(self), 'app')}, {counted(len(self.chokepoints), 'chokepoint')}>"

    @classmethod
    def of(cls, given: Apps | Iterable[App | Mapping[str, Any]]) -> Apps:
        """Columns from App objects or plain mappings; `given` itself when it is columns already.

        Raises
        ------
        ProblemError
            An app is not valid, there is none, two have the same `app_id`, or they see different regions.

        Examples
        --------
        >>> Apps.of([{"app_id": 1, "accuracies": {0: 0.95, 40: 0.9}, "event_length_ms": 500}])
        <Apps: 1 app, 2 chokepoints>
        """
        if isinstance(given, Apps):
            return given
        apps = App.each(given)
        regions = list(dict.fromkeys(app.region for app in apps))
        if len(regions) > 1:
            raise ProblemError(
                f"region: got {shown(regions)}; this is for apps that see the same, and may share layers"
            )
        chokepoints = sorted({canonical(f) for app in apps for f in app.accuracies})
        column_of = {f: k for k, f in enumerate(chokepoints)}
        accuracies = np.full((len(apps), len(chokepoints)), np.nan)
        false_positive_rates, false_correlations = accuracies.copy(), accuracies.copy()
        intervals = np.full((2, *accuracies.shape, 2), np.nan)
        for i, app in enumerate(apps):
            for f, rate in app.accuracies.items():
                accuracies[i, column_of[canonical(f)]] = rate
            for f, rate in (app.false_positive_rates or {}).items():
                false_positive_rates[i, column_of[canonical(f)]] = rate
            for f, rho in (app.false_correlations or {}).items():
                false_correlations[i, column_of[canonical(f)]] = rho
            for k, given_ends in enumerate((app.accuracy_intervals, app.false_positive_intervals)):
                for f, ends in (given_ends or {}).items():
                    intervals[k, i, column_of[canonical(f)]] = ends
        pins = [app.pinned or (NO_PIN, np.nan) for app in apps]
        columns = cls(
            app_ids=id_array([app.app_id for app in apps]),
            chokepoints=np.array(chokepoints),
            accuracies=accuracies,
            false_positive_rates=false_positive_rates,
            event_length_ms=np.array([app.event_length_ms for app in apps]),
            event_frequency=np.array([np.nan if app.event_frequency is None else app.event_frequency for app in apps]),
            correlation=np.array([app.correlation for app in apps]),
            correlation_fps=np.array([app.correlation_fps or np.nan for app in apps]),
            accuracy_spread=np.array([app.accuracy_spread or 0.0 for app in apps]),
            event_lengths_ms=in_columns([sorted(app.event_lengths_ms or ()) for app in apps]),
            weight=np.array([app.weight for app in apps]),
            x_vote=np.array([_vote_code(app.x_vote) for app in apps]),
            unshared_key=np.array([int(1 in app.accuracies) for app in apps]),
            pinned_num_frozen=np.array([NO_PIN if f == NO_PIN else canonical(f) for f, _ in pins]),
            pinned_fps=np.array([fps for _, fps in pins], dtype=float),
            min_fps=np.array([app.min_fps or 0.0 for app in apps]),
            max_fps=np.array([app.max_fps or np.inf for app in apps]),
            min_value=np.array([-np.inf if app.min_value is None else app.min_value for app in apps]),
            optional=np.array([app.optional for app in apps]),
            accuracy_intervals=intervals[0],
            false_positive_intervals=intervals[1],
            false_correlations=false_correlations,
            names=tuple(app.name for app in apps) if any(app.name for app in apps) else (),
        )
        check_unique(columns.app_ids)
        return columns

    @classmethod
    def from_arrays(
        cls,
        accuracies: ArrayLike,
        false_positive_rates: ArrayLike | None,
        chokepoints: ArrayLike,
        *,
        event_length_ms: ArrayLike,
        event_frequency: ArrayLike | None = None,
        correlation: ArrayLike = 0.0,
        correlation_fps: ArrayLike = np.nan,
        accuracy_spread: ArrayLike = 0.0,
        false_correlations: ArrayLike | None = None,
        event_lengths_ms: Sequence[Sequence[float]] = (),
        x_vote: ArrayLike | None = None,
        weight: ArrayLike = 1.0,
        min_fps: ArrayLike = 0.0,
        max_fps: ArrayLike = np.inf,
        min_value: ArrayLike = -np.inf,
        optional: ArrayLike = False,
        app_ids: ArrayLike | None = None,
    ) -> Self:
        """Columns without an object for each app.

        Parameters
        ----------
        accuracies : (N, F) array
            Per-frame accuracy; NaN where an app has no model for that chokepoint.
        false_positive_rates : (N, F) array or None
        chokepoints : (F,) int array
            `num_frozen` of the columns, increasing.
        event_length_ms, event_frequency, correlation, weight : (N,) arrays or numbers
            As in :class:`~mainstream.problem.App`.
        correlation_fps, accuracy_spread : (N,) arrays or numbers
            As there; NaN for no `correlation_fps`.
        false_correlations : (N, F) array, optional
            As there; NaN where that of events holds.
        event_lengths_ms : N sequences of float, optional
            As there; one that is empty for none.
        x_vote : (N,) int array, int, "auto" or None
            In the array, 0 stands for no voting and -1 for "auto".
        min_fps, max_fps, min_value, optional : (N,) arrays or single values
            As in :class:`~mainstream.problem.App`; 0, infinity and -infinity stand for none of the first three.
        app_ids : (N,) array of int or str, optional
            Default 0..N-1.

        Raises
        ------
        ProblemError
            Shapes that disagree, values out of range.

        Examples
        --------
        >>> Apps.from_arrays([[0.95, 0.9]], [[0.1, 0.2]], [0, 40], event_length_ms=500, event_frequency=0.1)
        <Apps: 1 app, 2 chokepoints>
        """
        p = numbers("accuracies", accuracies).copy()
        if p.ndim != 2 or 0 in p.shape:
            raise ProblemError(f"accuracies: shape {p.shape}; it has to be N apps x F chokepoints, neither 0")
        n, columns = p.shape
        f = numbers("chokepoints", chokepoints)
        if f.shape != (columns,):
            raise ProblemError(f"chokepoints: shape {f.shape}; accuracies has {columns} columns")
        if (
            not ((f >= 0) & (f <= 2**31)).all()
            or (f != np.floor(f)).any()
            or (np.diff(f) <= 0).any()
            or (f <= 1).sum() > 1
        ):
            raise ProblemError("chokepoints: they have to be increasing integers, 0 or 1 at most once")
        q = (
            np.full_like(p, np.nan)
            if false_positive_rates is None
            else numbers("false_positive_rates", false_positive_rates).copy()
        )
        if q.shape != p.shape:
            raise ProblemError(f"false_positive_rates: shape {q.shape}; accuracies has {p.shape}")
        if false_positive_rates is not None and (np.isnan(p) != np.isnan(q)).any():
            raise ProblemError("false_positive_rates: NaN has to stand where accuracies has NaN, and only there")
        PARAMETERS["accuracy"].check_array("accuracies", p, {np.nan: "none"})
        PARAMETERS["false_positive_rate"].check_array("false_positive_rates", q, {np.nan: "none"})
        given_rho = np.full_like(p, np.nan) if false_correlations is None else false_correlations
        rho = numbers("false_correlations", given_rho)
        if rho.shape != p.shape:
            raise ProblemError(f"false_correlations: shape {rho.shape}; accuracies has {p.shape}")
        PARAMETERS["false_correlation"].check_array("false_correlations", rho, {np.nan: "none"})
        empty = np.flatnonzero(np.isnan(p).all(axis=1))
        if empty.size:
            raise ProblemError(f"accuracies: row {empty[0]} is NaN throughout; each app needs a model")

        def column(name: str, given: ArrayLike, codes: Mapping[float, str] | None = None) -> FloatArray:
            values = numbers(name, given)
            if values.shape not in ((), (n,)):
                raise ProblemError(f"{name}: shape {values.shape}; it has to be ({n},) or a single number")
            PARAMETERS[name].check_array(name, values, codes)
            return np.broadcast_to(values, (n,)).copy()

        votes = _vote_code(x_vote) if x_vote is None or isinstance(x_vote, str) else x_vote
        whole_votes = column("x_vote", votes, {NO_VOTE: "none", AUTO_VOTE: "'auto'"})
        may_stay_out = np.asarray(optional)
        if may_stay_out.dtype != np.bool_ or may_stay_out.shape not in ((), (n,)):
            raise ProblemError(
                f"optional: got {shown(optional)}; it has to be ({n},) or a single one, of True and False"
            )
        slowest, fastest = column("min_fps", min_fps, {0: "none"}), column("max_fps", max_fps, {np.inf: "none"})
        if (slowest > fastest).any():
            i = int((slowest > fastest).argmax())
            raise ProblemError(f"min_fps: row {i} has {slowest[i]:g}, above its max_fps {fastest[i]:g}")
        made = cls(
            app_ids=given_ids(app_ids, n),
            chokepoints=np.array([canonical(int(k)) for k in f]),
            accuracies=p,
            false_positive_rates=q,
            event_length_ms=column("event_length_ms", event_length_ms),
            event_frequency=(
                np.full(n, np.nan) if event_frequency is None else column("event_frequency", event_frequency)
            ),
            correlation=column("correlation", correlation),
            correlation_fps=column("correlation_fps", correlation_fps, {np.nan: "none"}),
            accuracy_spread=column("accuracy_spread", accuracy_spread),
            event_lengths_ms=given_lengths(event_lengths_ms, n),
            weight=column("weight", weight),
            x_vote=whole_votes.astype(np.int64),
            unshared_key=np.full(n, int(f[0] == 1)),
            pinned_num_frozen=np.full(n, NO_PIN),
            pinned_fps=np.full(n, np.nan),
            min_fps=slowest,
            max_fps=fastest,
            min_value=column("min_value", min_value, {-np.inf: "none"}),
            optional=np.broadcast_to(may_stay_out, (n,)).copy(),
            accuracy_intervals=np.full((*p.shape, 2), np.nan),
            false_positive_intervals=np.full((*p.shape, 2), np.nan),
            false_correlations=rho.copy(),
        )
        check_unique(made.app_ids)
        return made

    def joined(self, more: Apps) -> Apps:
        """These apps, then `more`, over the chokepoints of both.

        Raises
        ------
        ProblemError
            An `app_id` is in both.

        Examples
        --------
        >>> apps.joined(Apps.of([{"app_id": 1, "accuracies": {0: 0.9, 90: 0.8}, "event_length_ms": 500}]))
        <Apps: 3 apps, 3 chokepoints>
        """
        chokepoints = self.chokepoints
        if not np.array_equal(chokepoints, more.chokepoints):
            chokepoints = np.union1d(chokepoints, more.chokepoints)
        both: dict[str, Any] = {"chokepoints": chokepoints}
        for name in CURVES:
            halves = [on_columns(getattr(apps, name), apps.chokepoints, chokepoints) for apps in (self, more)]
            both[name] = np.concatenate(halves)
        for name in ROWS:
            both[name] = np.concatenate([getattr(self, name), getattr(more, name)])
        both["event_lengths_ms"] = in_columns([*self.event_lengths_ms.tolist(), *more.event_lengths_ms.tolist()])
        both["app_ids"] = id_array([*self.app_ids.tolist(), *more.app_ids.tolist()])
        names = [name for apps in (self, more) for name in apps.names or [None] * len(apps)]
        columns = Apps(**both, names=tuple(names) if any(names) else ())
        check_unique(columns.app_ids)
        return columns

    def without(self, row: int) -> Apps:
        """All apps but one, over the chokepoints that they have.

        Parameters
        ----------
        row : int
            Its place, from 0.

        Raises
        ------
        ProblemError
            It is the only one.

        Examples
        --------
        >>> apps.without(0).app_ids.tolist()
        ['cat']
        """
        if len(self) == 1:
            raise ProblemError(f"app {self.app_ids[row]} is the only one; at least one is needed")
        left: dict[str, Any] = {name: np.delete(getattr(self, name), row, axis=0) for name in (*CURVES, *ROWS)}
        left["event_lengths_ms"] = np.delete(self.event_lengths_ms, row, axis=0)
        used = ~np.isnan(left["accuracies"]).all(axis=0)
        for name in CURVES:
            left[name] = left[name][:, used]
        names = self.names[:row] + self.names[row + 1 :]
        return Apps(
            **left,
            app_ids=id_array(np.delete(self.app_ids, row).tolist()),
            chokepoints=self.chokepoints[used],
            names=names if any(names) else (),
        )

    def at(self, rows: IntArray, columns: IntArray) -> CurvePoints:
        """Apps at one chokepoint each.

        Parameters
        ----------
        rows, columns : (M,) int arrays
            Places of the apps, and of their chokepoints.

        Examples
        --------
        >>> apps.at([0, 1], [1, 1]).accuracy.tolist()
        [0.9, 0.7]
        """
        return CurvePoints(
            accuracy=self.accuracies[rows, columns],
            false_positive_rate=self.false_positive_rates[rows, columns],
            event_length_ms=self.event_length_ms[rows],
            event_frequency=self.event_frequency[rows],
            correlation=self.correlation[rows],
            correlation_fps=self.correlation_fps[rows],
            accuracy_spread=self.accuracy_spread[rows],
            event_lengths_ms=self.event_lengths_ms[rows],
            false_correlation=self.false_correlations[rows, columns],
        )

    def places(self, app_ids: Iterable[int | str], num_frozen: Iterable[int]) -> tuple[IntArray, IntArray]:
        """Row and column of each of M choices.

        Returns
        -------
        (M,) int array, (M,) int array

        Raises
        ------
        ProblemError
            An app is not among these, or has no model for that `num_frozen`.

        Examples
        --------
        >>> rows, columns = apps.places(["cat"], [40])
        >>> rows.tolist(), columns.tolist()
        ([1], [1])
        """
        row_of = {app_id: i for i, app_id in enumerate(self.app_ids.tolist())}
        column_of = {f: k for k, f in enumerate(self.chokepoints.tolist())}
        rows, columns = [], []
        for app_id, f in zip(app_ids, num_frozen, strict=True):
            row, column = row_of.get(app_id), column_of.get(canonical(f))
            if row is None or column is None or np.isnan(self.accuracies[row, column]):
                raise ProblemError(f"result: app {app_id} with num_frozen {f} is not among the apps")
            rows.append(row)
            columns.append(column)
        return np.array(rows, np.int64), np.array(columns, np.int64)

    def check(self, model: Model, video: Video, mode: str) -> None:
        """Check that the apps fit the model and the video.

        Parameters
        ----------
        model : Model
        video : Video
        mode : str
            As for :func:`mainstream.solve`; it has a say in the frame rates on offer.

        Raises
        ------
        ProblemError
            A curve has a `num_frozen` that the model does not know, or a pin a rate that the video does not offer.

        Examples
        --------
        >>> from mainstream import Model, Video
        >>> model = Model(total_layers=50, layer_latencies=[1] * 50, frozen_layer_names={0: "in", 20: "mid"})
        >>> apps.check(model, Video(stream_fps=10), "mainstream")
        Traceback (most recent call last):
            ...
        mainstream.errors.ProblemError: app dog: num_frozen 40 in accuracies is no chokepoint of the model; ...
        """
        strange = [int(f) for f in self.chokepoints if int(f) not in model.chokepoints]
        if strange:
            owners = ~np.isnan(self.accuracies[:, self.chokepoints == strange[0]]).ravel()
            raise ProblemError(
                f"app {self.app_ids[owners][0]}: num_frozen {strange[0]} in accuracies is no chokepoint of the model; "
                f"allowed: {shown(sorted(model.chokepoints))}"
            )
        rates = video.rates(mode)
        for i in np.flatnonzero(self.pinned_num_frozen != NO_PIN):
            if self.pinned_fps[i] not in rates:
                raise ProblemError(
                    f"app {self.app_ids[i]}: pinned target_fps {self.pinned_fps[i]:g} is not offered; "
                    f"fps_options: {shown([float(rate) for rate in rates])}"
                )

    @property
    def is_measured(self) -> bool:
        """Whether some app has more than event model "windowed" takes."""
        chains = (self.correlation_fps, self.false_correlations)
        known = any(not np.isnan(one).all() for one in chains)
        return bool(known or self.event_lengths_ms.shape[1] or self.accuracy_spread.any())

    @property
    def has_precision(self) -> BoolArray:
        """Which apps have false positive rates and an event frequency; shape (N,)."""
        has_both: BoolArray = (~np.isnan(self.false_positive_rates)).any(axis=1) & ~np.isnan(self.event_frequency)
        return has_both

    def missing_for_precision(self, i: int) -> list[str]:
        """The keys that app number i lacks for a precision.

        >>> apps.missing_for_precision(0)
        ['false_positive_rates', 'event_frequency']
        """
        missing = {
            "false_positive_rates": bool(np.isnan(self.false_positive_rates[i]).all()),
            "event_frequency": bool(np.isnan(self.event_frequency[i])),
        }
        return [key for key, lacking in missing.items() if lacking]

    def id_list(self, which: BoolArray) -> str:
        """The ids of the apps where `which` is true, the first few of many, for a message.

        >>> apps.id_list(apps.accuracies[:, 0] > 0.9)
        'dog'
        """
        return id_list(self.app_ids[which].tolist())


def _vote_code(x_vote: int | str | None) -> int:
    if isinstance(x_vote, str) and x_vote != "auto":
        raise ProblemError(f"x_vote: got {x_vote!r}; it has to be an integer of at least 1, or 'auto'")
    return AUTO_VOTE if isinstance(x_vote, str) else NO_VOTE if x_vote is None else x_vote
