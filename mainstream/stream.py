"""Apps that can share a stem: those of one camera, or of one region of its picture, on one base network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mainstream.apps import Apps
from mainstream.description import counted, printable, shown
from mainstream.errors import ProblemError
from mainstream.ids import id_list
from mainstream.problem import App, Model, Objective, Video
from mainstream.region import Region


class Stream:
    """Apps that may share layers with each other, and with none of another stream.

    Parameters
    ----------
    apps : Apps, or list of App or mapping
    model : Model or mapping
    video : Video or mapping
    name : str, optional
        What results call it.

    Attributes
    ----------
    apps : Apps
    model : Model
    video : Video
    name : str or None
    described : tuple of App
        The apps as objects; empty when they were given as columns.

    Raises
    ------
    ProblemError
        The input is bad, there is no app, or apps see different regions.

    Examples
    --------
    >>> from mainstream import Stream, load_problem
    >>> problem = load_problem("data/problems/tiny.yaml")
    >>> stream = Stream(problem.apps, problem.model, problem.video, name="gate")
    >>> stream
    <Stream gate: 3 apps, 10 fps, 156 layers>
    >>> print(stream.region)
    None
    """

    __slots__ = ("apps", "described", "model", "name", "video")

    def __init__(
        self,
        apps: Apps | Iterable[App | Mapping[str, Any]],
        model: Model | Mapping[str, Any],
        video: Video | Mapping[str, Any],
        name: str | None = None,
    ) -> None:
        check_order(apps, model, video)
        self.described: tuple[App, ...] = () if isinstance(apps, Apps) else App.each(apps)
        self.apps = apps if isinstance(apps, Apps) else Apps.of(self.described)
        self.model = Model.of(model)
        self.video = Video.of(video)
        self.name = name

    def __repr__(self) -> str:
        called = "" if self.name is None else f" {printable(self.name)}"
        layers = counted(self.model.total_layers, "layer")
        return f"<Stream{called}: {counted(len(self.apps), 'app')}, {self.video.stream_fps:g} fps, {layers}>"

    @property
    def region(self) -> Region | None:
        """The part of the frame that the apps see; None for the whole."""
        return self.described[0].region if self.described else None

    def with_app(self, app: App) -> Stream:
        """The stream with one more app, at the end.

        Raises
        ------
        ProblemError
            Its `app_id` is taken, or it sees another region.

        Examples
        --------
        >>> stream.with_app(problem.apps[0].model_copy(update={"app_id": "another"}))
        <Stream gate: 4 apps, 10 fps, 156 layers>
        """
        if app.region != self.region:
            raise ProblemError(
                f"app {shown(app.app_id)}: region {shown(app.region)}, that of the stream's apps is "
                f"{shown(self.region)}; prepare all apps anew"
            )
        described = (*self.described, app) if len(self.described) == len(self.apps) else ()
        return self._with_apps(self.apps.joined(Apps.of([app])), described)

    def without(self, row: int) -> Stream:
        """The stream without the app in a place, from 0.

        Raises
        ------
        ProblemError
            It is the only one.

        Examples
        --------
        >>> stream.without(0).apps.app_ids.tolist()
        [2, 3]
        """
        return self._with_apps(self.apps.without(row), self.described[:row] + self.described[row + 1 :])

    def _with_apps(self, apps: Apps, described: tuple[App, ...]) -> Stream:
        changed = Stream(apps, self.model, self.video, self.name)
        changed.described = described
        return changed


def streams_of(
    apps: Apps | Iterable[App | Mapping[str, Any] | Stream],
    model: Model | Mapping[str, Any] | None,
    video: Video | Mapping[str, Any] | None,
    name: str | None = None,
) -> tuple[Stream, ...]:
    """The streams that a user gave: as a list, or as apps, a model and a video, which make a stream for each region.

    Streams made from apps, a model and a video are all called `name`.

    Raises
    ------
    ProblemError
        The input is bad, there are streams among the apps, or there is a model or video beside streams.
    """
    if not isinstance(apps, Apps | Mapping | str) and isinstance(apps, Iterable):
        apps = tuple(apps)
        streams = tuple(one for one in apps if isinstance(one, Stream))
        if streams:
            for key, given in (("model", model), ("video", video)):
                if given is not None:
                    raise ProblemError(f"{key}: got {shown(given)} beside a list of streams; each has its own")
            strange = [one for one in apps if not isinstance(one, Stream)]
            if strange:
                raise ProblemError(f"streams: got {shown(strange[0])} in the list; it has to hold Stream objects only")
            return streams
    if model is None or video is None:
        missing = "model" if model is None else "video"
        raise ProblemError(f"{missing}: there is none; give apps, a model and a video, or a list of Stream objects")
    check_order(apps, model, video)
    if isinstance(apps, Apps):
        return (Stream(apps, model, video, name),)
    model, video = Model.of(model), Video.of(video)
    of_region: dict[Region | None, list[App]] = {}
    for app in App.each(apps):  # type: ignore[arg-type]  # streams were taken out above
        of_region.setdefault(app.region, []).append(app)
    return tuple(Stream(group, model, video, name) for group in of_region.values())


def called(streams: Sequence[Stream], k: int) -> str:
    """What a message calls one of several streams."""
    name = streams[k].name
    return f"streams[{k}]" if name is None else f"stream {name}"


def check_together(streams: Sequence[Stream], mode: str) -> None:
    """Check the streams together, and each stream's apps against its model and video.

    Each `app_id` may occur only once in all streams.

    Parameters
    ----------
    streams : sequence of Stream
    mode : str
        As for :func:`mainstream.solve`.

    Raises
    ------
    ProblemError
        See :meth:`mainstream.apps.Apps.check`; also, an `app_id` is in two streams, or latencies have different units.
    """
    for k, stream in enumerate(streams):
        try:
            stream.apps.check(stream.model, stream.video, mode)
        except ProblemError as error:
            raise (error if len(streams) == 1 else ProblemError(f"{called(streams, k)}: {error}")) from None
    if len(streams) == 1:
        return
    ids = [app_id for stream in streams for app_id in stream.apps.app_ids.tolist()]
    app_id, count = Counter(ids).most_common(1)[0]
    if count > 1:
        owners = [stream.name or k for k, stream in enumerate(streams) if app_id in stream.apps.app_ids.tolist()]
        raise ProblemError(f"app_id {app_id} stands in the streams {shown(owners)}; each app needs its own")
    units = sorted({stream.model.unit for stream in streams if stream.model.unit is not None})
    if len(units) > 1:
        raise ProblemError(f"unit: the streams' models have {shown(units)}; one budget needs one unit")


def check_memory(streams: Sequence[Stream]) -> None:
    """Raise :class:`ProblemError` where a model does not say how much memory it takes."""
    for k, stream in enumerate(streams):
        if stream.model.layer_memory_mb is None:
            where = "the model" if len(streams) == 1 else f"the model of {called(streams, k)}"
            raise ProblemError(f"memory_mb: {where} has no layer_memory_mb; give the megabytes of each layer there")


def objective_of(several: Sequence[Apps], objective: Objective | None) -> Objective:
    """The objective: the default if the caller gave none; else the given one, if the apps have what it needs.

    Parameters
    ----------
    several : sequence of Apps
        The apps of each stream.
    objective : {"f1", "recall", "precision"}, optional
        The objective that the caller gave.

    Raises
    ------
    ProblemError
        Only some apps have false positive rates and an event frequency, or the given objective needs them and they are
        missing.
    """
    complete = np.concatenate([apps.has_precision for apps in several])
    if complete.all():
        return objective or "f1"
    if objective == "recall" or (objective is None and not complete.any()):
        return "recall"
    ids = id_list([app_id for apps in several for app_id in apps.app_ids[~apps.has_precision].tolist()])
    if objective is None:
        raise ProblemError(
            f"objective: app {ids} lacks false_positive_rates or event_frequency, the others have "
            "both; give them to every app, or ask for objective 'recall'"
        )
    first = next(apps for apps in several if not apps.has_precision.all())
    missing = " and ".join(first.missing_for_precision(int((~first.has_precision).argmax())))
    raise ProblemError(f"objective {objective!r}: app {ids}: missing {missing}")


def only_camera(streams: Sequence[Stream]) -> Stream:
    """The first of the streams, which have to be regions of one camera on one base network.

    Raises
    ------
    ProblemError
        They have different models or videos.
    """
    first = streams[0]
    if any(stream.model != first.model or stream.video != first.video for stream in streams[1:]):
        raise ProblemError(f"this is for one camera, and the problem has {len(streams)} streams; see `streams`")
    return first


def unit_of(models: Iterable[Model]) -> str | None:
    """The unit of the latencies of models that share one budget; None if no model says it."""
    return next((model.unit for model in models if model.unit is not None), None)


def capacity_of(models: Iterable[Model]) -> float | None:
    """Compute a second of all cores of the models' device; None where the models do not all say the same."""
    capacities = {model.capacity for model in models}
    return capacities.pop() if len(capacities) == 1 else None


def is_model(given: object) -> bool:
    """Whether this looks like a model, even if something in it is wrong."""
    return isinstance(given, Model) or (isinstance(given, Mapping) and "layer_latencies" in given)


def is_video(given: object) -> bool:
    """Whether this looks like a video, even if something in it is wrong."""
    return isinstance(given, Video) or (isinstance(given, Mapping) and "stream_fps" in given)


def check_order(apps: object, model: object, video: object) -> None:
    """Raise :class:`ProblemError` where apps, a model and a video have changed places."""
    kinds = ["model" if is_model(one) else "video" if is_video(one) else "apps" for one in (apps, model, video)]
    if sorted(kinds) == ["apps", "model", "video"] and kinds != ["apps", "model", "video"]:
        raise ProblemError(f"arguments are swapped: got {', '.join(kinds)}; the order is apps, model, video")
