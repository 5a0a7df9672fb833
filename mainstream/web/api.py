"""The API: what can be seen, as JSON, and what can be changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from mainstream.box.box import Box
from mainstream.box.changes import AddedApp, AppChange, Changes
from mainstream.box.wanted import Wanted
from mainstream.description import shown
from mainstream.errors import DeployError, MainstreamError, NotKeptError, ProblemError
from mainstream.schedule import Result
from mainstream.web.bodies import ADD, BUDGET, CHANGE, Schema, body_of
from mainstream.web.openapi import described
from mainstream.web.pictures import Pictures
from mainstream.web.timeline import MOST as MOST_EVENTS
from mainstream.web.timeline import Timeline
from mainstream.web.viewers import MOST as MOST_VIEWERS
from mainstream.web.viewers import Viewers
from mainstream.web.views import Views

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

_LARGEST: Final = 2**16
"""Most bytes of a request's body."""
_LONGEST_S: Final = 10.0
"""Seconds within which a request's body has to come."""
_ANSWER_S: Final = 60.0
"""Seconds for an answer; a thread that needs longer goes on, unheard."""
_FORBIDDEN_FOLDER: Final = "there is no model folder here (-m), so no package can be added"


class RefusedError(Exception):
    """A request is answered with this status and one line."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Api:
    """The routes of the API.

    Parameters
    ----------
    box : Box
    views : Views
    timeline : Timeline
    viewers : Viewers
    pictures : mapping of Pictures
        Pictures of each camera, by the name of its stream.
    has_packages : bool
        Whether there is a folder of packages.
    """

    def __init__(
        self,
        box: Box,
        views: Views,
        timeline: Timeline,
        viewers: Viewers,
        pictures: Mapping[str | None, Pictures],
        *,
        has_packages: bool,
    ) -> None:
        self._box, self._views, self._timeline = box, views, timeline
        self._viewers, self._pictures, self._has_packages = viewers, pictures, has_packages
        self._description = described()

    def routes(self) -> list[Route]:
        """All of them."""
        views = self._views
        return [
            _on("/api/openapi.json", GET=_show(lambda: self._description)),
            _on("/api/schedule", GET=_show(views.schedule)),
            _on("/api/frontier", GET=_show(views.frontier)),
            _on("/api/health", GET=_show(views.health)),
            _on("/api/packages", GET=_show(views.packages)),
            _on("/api/events", GET=self._events),
            _on("/api/events/{event_id}/picture", GET=self._event_picture),
            _on("/api/events/{event_id}/clip", GET=self._event_clip),
            _on("/api/picture", GET=self._picture),
            _on("/api/stream", GET=self._stream),
            _on("/api/apps", GET=_show(views.apps), POST=self._add),
            _on("/api/apps/{app_id:path}", PATCH=self._set, DELETE=self._remove),
            _on("/api/budget", GET=_show(views.budget), PUT=self._set_budget),
            _on("/api/changes", GET=_show(self._changes), DELETE=self._forget),
        ]

    async def _events(self, request: Request) -> Response:
        from starlette.responses import JSONResponse

        given = request.query_params.get("limit", str(MOST_EVENTS))
        if not (given.isascii() and given.isdecimal() and len(given) < 6 and 1 <= int(given) <= MOST_EVENTS):
            raise RefusedError(422, f"limit: got {shown(given)}; it has to be a whole number, 1 to {MOST_EVENTS}")
        return JSONResponse({"events": self._timeline.recent(int(given))})

    async def _event_picture(self, request: Request) -> Response:
        from starlette.responses import Response

        picture = await asyncio.to_thread(self._timeline.picture, request.path_params["event_id"])
        if picture is None:
            raise RefusedError(404, "there is no such event, or no picture of it any more")
        return Response(picture, media_type="image/jpeg")

    async def _event_clip(self, request: Request) -> Response:
        from starlette.responses import FileResponse

        path = self._timeline.clip(request.path_params["event_id"])
        if path is None:
            raise RefusedError(404, "there is no such event, or no clip of it")
        return FileResponse(path, media_type="video/mp4" if path.suffix == ".mp4" else "video/x-matroska")

    async def _picture(self, request: Request) -> Response:
        from starlette.responses import Response

        given = request.query_params.get("stream")
        if given is None and len(self._pictures) > 1:
            raise RefusedError(422, f"stream: which camera is it? it has to be one of {self._names()}")
        pictures = self._pictures.get(given) if given is not None else next(iter(self._pictures.values()))
        if pictures is None:
            raise RefusedError(404, f"there is no stream {shown(given)}; there are {self._names()}")
        if pictures.too_many():
            raise RefusedError(429, "the viewers ask for too many pictures; ask again in a second")
        picture = await asyncio.to_thread(pictures.get)
        if picture is None:
            raise RefusedError(404, "there is no picture yet, or none here")
        return Response(picture, media_type="image/jpeg")

    async def _stream(self, request: Request) -> Response:
        from starlette.responses import StreamingResponse

        if len(self._viewers) >= MOST_VIEWERS:
            raise RefusedError(429, f"there are {MOST_VIEWERS} viewers already, which is the most; close one")
        return StreamingResponse(self._viewers.stream(), media_type="text/event-stream")

    async def _add(self, request: Request) -> Response:
        given = await _body(request, ADD)
        keys = {key: value for key, value in given.items() if value is not None}
        own = {key: keys.pop(key) for key in ("weight", "min_value", "min_fps") if key in keys}
        try:
            added = AddedApp(**{"app_id": keys.get("package"), **keys})
            change = AppChange(**own)
        except ProblemError as error:
            raise RefusedError(422, str(error)) from None
        if not self._has_packages:
            raise RefusedError(409, _FORBIDDEN_FOLDER)

        def make(changes: Changes, base: Wanted) -> Changes:
            _check_stream(added.stream, [one.name for one in base.problem.streams])
            if added.app_id in _ids(base):
                hint = "; it was removed, and comes back with removed: false" * changes.change_of(added.app_id).removed
                raise ProblemError(f"app_id {added.app_id} is taken; give another{hint}")
            return changes.with_added(added).with_app(added.app_id, change)

        return await self._change(make, 201)

    async def _set(self, request: Request) -> Response:
        given, app_id = await _body(request, CHANGE), _app_id(request)

        def make(changes: Changes, base: Wanted) -> Changes:
            _check_known(app_id, base)
            keys = changes.change_of(app_id).model_dump() | given
            return changes.with_app(app_id, AppChange(**keys))

        return await self._change(make)

    async def _remove(self, request: Request) -> Response:
        app_id = _app_id(request)

        def make(changes: Changes, base: Wanted) -> Changes:
            _check_known(app_id, base)
            if changes.change_of(app_id).removed:
                raise RefusedError(404, f"app {app_id} is removed already")
            if any(one.app_id == app_id for one in changes.added):
                return changes.without_added(app_id)
            return changes.with_app(app_id, AppChange(removed=True))

        return await self._change(make)

    async def _set_budget(self, request: Request) -> Response:
        budget = (await _body(request, BUDGET))["budget"]
        return await self._change(lambda changes, _: changes.with_budget(budget))

    def _names(self) -> str:
        return shown([name for name in self._pictures if name is not None])

    def _changes(self) -> dict[str, Any]:
        return self._box.standing.changes.model_dump(mode="json", exclude_defaults=True)

    async def _forget(self, request: Request) -> Response:
        return await self._change(lambda *_: Changes())

    async def _change(self, make: Callable[[Changes, Wanted], Changes], status: int = 200) -> Response:
        from starlette.responses import JSONResponse

        try:
            result = await asyncio.to_thread(self._box.change, make)
        except DeployError as error:
            raise RefusedError(503, str(error)) from None
        except NotKeptError as error:
            raise RefusedError(507, str(error)) from None
        return JSONResponse(_answer(result), status)


def _on(path: str, **endpoints: Callable[[Request], Any]) -> Route:
    """A route, with an endpoint for each method; a refusal is answered with one line."""
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def answer(request: Request) -> Response:
        try:
            async with asyncio.timeout(_ANSWER_S):
                response: Response = await endpoints[request.method](request)
                return response
        except RefusedError as error:
            return JSONResponse({"error": str(error)}, error.status)
        except MainstreamError as error:
            return JSONResponse({"error": str(error)}, 409)
        except TimeoutError:
            return JSONResponse({"error": "it takes too long; ask again"}, 503)

    return Route(path, answer, methods=[*endpoints])


def _show(view: Callable[[], dict[str, Any]]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        from starlette.responses import JSONResponse

        return JSONResponse(await asyncio.to_thread(view))

    return endpoint


async def _body(request: Request, schema: Schema) -> dict[str, Any]:
    """Read what was sent, bounded in size and time."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RefusedError(415, "the body has to be application/json")
    body = bytearray()
    try:
        async with asyncio.timeout(_LONGEST_S):
            async for part in request.stream():
                body += part
                if len(body) > _LARGEST:
                    raise RefusedError(413, f"the body has more than {_LARGEST:,} bytes")
    except TimeoutError:
        raise RefusedError(408, f"the body did not come within {_LONGEST_S:g} s") from None
    try:
        return body_of(body.decode(), schema)
    except (ProblemError, UnicodeDecodeError) as error:
        raise RefusedError(422, str(error)) from None


def _app_id(request: Request) -> int | str:
    """The app in a path; as in problem files, text that reads as a number is one."""
    given: str = request.path_params["app_id"]
    return int(given) if given.isascii() and given.isdigit() and len(given) <= 15 else given


def _check_stream(given: str | None, streams: Sequence[str | None]) -> None:
    """Refuse an app whose camera does not exist, or that names none of several."""
    if given is None and streams:
        raise RefusedError(422, f"stream: which camera is it for? it has to be one of {shown(streams)}")
    if given is not None and given not in streams:
        known = f"; there are {shown(streams)}" if streams else "; there is one camera, without a name"
        raise RefusedError(404, f"stream: there is no {shown(given)}{known}")


def _ids(base: Wanted) -> set[int | str]:
    return {app.app_id for app in base.problem.all_apps}


def _check_known(app_id: int | str, base: Wanted) -> None:
    if app_id not in _ids(base):
        raise RefusedError(404, f"there is no app {shown(app_id)}")


def _answer(result: Result) -> dict[str, Any]:
    """What is predicted after a change."""
    return {
        "apps": len(result.choices),
        "left_out": list(result.left_out),
        "metric": result.metric,
        "objective": result.objective,
        "cost": result.cost,
        "budget": result.budget,
        "unit": result.unit,
        "runtime_s": result.runtime_s,
    }
