"""The API and the page behind a socket: Starlette on uvicorn, in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.resources import files
from pathlib import Path
from threading import Thread
from time import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from mainstream._optional import require
from mainstream.box.box import Box
from mainstream.web.address import Address, listen
from mainstream.web.api import Api
from mainstream.web.guard import Guard
from mainstream.web.heard import Heard
from mainstream.web.pictures import Pictures, every_s
from mainstream.web.timeline import Timeline
from mainstream.web.viewers import Viewers
from mainstream.web.views import Scores, Views

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_CONNECTIONS: Final = 256
_IDLE_S: Final = 10.0
"""Seconds for which a connection may be idle, or its request incomplete."""
_END_S: Final = 3.0

_SCRIPT: Final = "text/javascript"
_FILES: Final = {
    "": "text/html",
    "page.css": "text/css",
    "page.js": _SCRIPT,
    "cameras.js": _SCRIPT,
    "icon.svg": "image/svg+xml",
}


class Site:
    """Serves a box's API and page; use it in a ``with`` block.

    Parameters
    ----------
    address : Address
    token : str
        Requests that change something have to carry it.
    box : Box
    timeline : Timeline
        It gets the runtimes' events.
    model_dir : Path or None
        Folder of the packages that may be added.
    scores : callable, optional
        ``app_id`` -> what was measured of the app against labels; called often.

    Attributes
    ----------
    url : str
        Where the page is.
    routes : list of Route

    Raises
    ------
    MissingExtraError
        Starlette or uvicorn is not installed.
    ProblemError
        It cannot listen at the address.
    """

    def __init__(
        self,
        address: Address,
        token: str,
        box: Box,
        timeline: Timeline,
        model_dir: Path | None,
        scores: Scores | None = None,
        *,
        most_wrong_tokens: int = 20,
    ) -> None:
        require("starlette", "page")
        require("uvicorn", "page")
        import uvicorn
        from starlette.applications import Starlette
        from starlette.routing import Route

        heard = {camera.name: Heard() for camera in box.cameras}
        for camera in box.cameras:
            if camera.local is not None:
                camera.local.listeners.append(heard[camera.name].heard)
        self._views = views = Views(box, heard, timeline, model_dir, scores)
        self._viewers = Viewers(lambda: views.status({"picture_s": every_s(len(self._viewers) * len(box.cameras))}))
        timeline.tell = partial(self._viewers.publish, "event")
        pictures = {camera.name: Pictures(camera.newest) for camera in box.cameras}
        api = Api(box, views, timeline, self._viewers, pictures, has_packages=model_dir is not None)
        pages = [Route(f"/{name}", _static(name or "page.html", kind)) for name, kind in _FILES.items()]
        self.routes = [*pages, *api.routes()]
        application = Starlette(routes=self.routes, exception_handlers=_handlers())
        guarded = Guard(
            application, address.allows, token, free_reading=address.loopback, most_failures=most_wrong_tokens
        )
        config = uvicorn.Config(
            guarded,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=1,
            ssl_certfile=address.cert,
            ssl_keyfile=address.key,
        )
        self._server = uvicorn.Server(config)
        self._socket = listen(address)
        self.url = address.url(self._socket.getsockname()[1])
        self._thread = Thread(target=self._serve, name="mainstream-page", daemon=True)

    def say(self, line: str) -> None:
        """Show viewers a line for people."""
        said = {"time": round(time(), 3), "line": line}
        self._views.said.append(said)
        self._viewers.publish("said", said)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(_END_S)
        self._socket.close()

    def _serve(self) -> None:
        asyncio.run(self._serve_all())

    async def _serve_all(self) -> None:
        async with _meanwhile(self._viewers.run), _meanwhile(self._hang_up_idle):
            await self._server.serve(sockets=[self._socket])

    async def _hang_up_idle(self) -> None:
        """Close connections on which two looks in a row saw nothing being answered."""
        idle: set[Any] = set()
        while True:
            await asyncio.sleep(_IDLE_S)
            now = {one for one in self._server.server_state.connections if _is_idle(one)}
            for one in idle & now:
                one.transport.close()
            idle = now - idle


def _is_idle(connection: Any) -> bool:
    return connection.cycle is None or bool(connection.cycle.response_complete)


@asynccontextmanager
async def _meanwhile(work: Callable[[], Any]) -> AsyncIterator[None]:
    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _static(name: str, kind: str) -> Callable[[Request], Response]:
    from starlette.responses import Response

    content = files("mainstream.web").joinpath(name).read_bytes()
    return lambda request: Response(content, media_type=kind)


def _handlers() -> Any:
    """Answer what no route answers with a line of JSON."""
    from starlette.exceptions import HTTPException
    from starlette.responses import JSONResponse

    def refuse(request: Request, error: HTTPException) -> Response:
        return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)

    return {HTTPException: refuse}
