"""The page's server: Starlette behind uvicorn, for this machine only.

Any web page that is open on this machine could send requests to its ports. So every address begins with a random word
that only the person who started the command sees, and a request has to name this machine as its host. A request's body
is bounded, labels are checked before they are written, and no file but that of the labels is ever written.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mainstream._optional import require
from mainstream.errors import ProblemError
from mainstream.formats.intervals import intervals_of, read_intervals, save_intervals
from mainstream.labelling.pictures import Pictures

if TYPE_CHECKING:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

HOST: Final = "127.0.0.1"
_LARGEST: Final = 2**24
_GIVE_UP_S: Final = 2
_SAFE: Final = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; connect-src 'self'; "
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


def application(pictures: Pictures, fps: float, classes: Sequence[str], labels: Path, word: str) -> Starlette:
    """Make the web application for one clip.

    Parameters
    ----------
    pictures : Pictures
    fps : float
        Frames a second at which the page plays.
    classes : sequence of str
        Labels to choose from.
    labels : Path
        File of intervals; intervals that it has already are shown and kept.
    word : str
        Every address begins with it.

    Raises
    ------
    MissingExtraError
        Starlette is not installed.
    ProblemError
        The file of labels holds something else.
    """
    require("starlette", "label")
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import HTMLResponse, JSONResponse, Response
    from starlette.routing import Mount, Route

    known = read_intervals(labels) if labels.is_file() else ()
    state: dict[str, Any] = {"labels": [one.model_dump() for one in known], "fps": fps, "classes": [*classes]}
    page = files("mainstream.labelling").joinpath("page.html").read_text(encoding="utf-8")

    def show(request: Request) -> Response:
        return HTMLResponse(page, headers=_SAFE)

    def frame(request: Request) -> Response:
        try:
            found = pictures.get(request.path_params["number"])
        except ProblemError as error:
            return JSONResponse({"error": str(error)}, 422, headers=_SAFE)
        if found is None:
            return JSONResponse({"frames": pictures.count}, 404, headers=_SAFE)
        return Response(found, media_type="image/jpeg", headers=_SAFE)

    def get(request: Request) -> Response:
        return JSONResponse(state, headers=_SAFE)

    async def put(request: Request) -> Response:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > _LARGEST:
                return JSONResponse({"error": f"more than {_LARGEST:,} bytes"}, 413, headers=_SAFE)
        try:
            found = intervals_of(json.loads(body))
            if pictures.count is not None and any(one.end > pictures.count for one in found):
                raise ProblemError(f"labels: an interval ends after the last of {pictures.count} frames")
            save_intervals(found, labels)
        except (ProblemError, ValueError, RecursionError) as error:
            return JSONResponse({"error": str(error)}, 422, headers=_SAFE)
        state["labels"] = [one.model_dump() for one in found]
        return JSONResponse({"saved": len(found)}, headers=_SAFE)

    routes = [
        Route("/", show),
        Route("/frame/{number:int}", frame),
        Route("/labels", get, methods=["GET"]),
        Route("/labels", put, methods=["PUT"]),
    ]
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"], www_redirect=False)
    return Starlette(routes=[Mount(f"/{word}", routes=routes)], middleware=[hosts])


def server(application: Starlette) -> uvicorn.Server:
    """Make its server: ``run(sockets=[...])`` serves until Ctrl-C, or until ``should_exit`` is set."""
    require("uvicorn", "label")
    import uvicorn

    config = uvicorn.Config(
        application,
        log_level="error",
        access_log=False,
        limit_concurrency=32,
        timeout_graceful_shutdown=_GIVE_UP_S,
        lifespan="off",
    )
    return uvicorn.Server(config)
