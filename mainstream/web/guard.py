"""Who may ask, and what a browser may do with the answers.

There are no cookies: a request that changes something needs the token in a header, which pages of other sites cannot
send. A request has to name this machine as its host; one from a site whose name was made to point here does not. Tokens
are compared in constant time; an address that gave too many wrong ones is refused for a while without comparing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from hmac import compare_digest
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_READING: Final = ("GET", "HEAD", "OPTIONS")
_WINDOW_S: Final = 60.0
"""Seconds for which a wrong token counts."""
_MOST_ADDRESSES: Final = 1024
"""Addresses that are remembered, so that nobody can fill the memory."""
_SAFE: Final = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' blob:; connect-src 'self'; script-src 'self'; "
    "style-src 'self'; media-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_log = logging.getLogger(__name__)


class WrongTokens:
    """How often each address gave a wrong token in the last minute.

    Parameters
    ----------
    most : int
        So many wrong tokens within a minute are allowed; then the address has to wait.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._failures: dict[str, list[float]] = {}

    def wait_s(self, address: str) -> float:
        """Seconds that this address has to wait; 0 if it need not."""
        failures = self._failures.get(address, [])
        return max(0.0, failures[0] + _WINDOW_S - monotonic()) if len(failures) >= self._most else 0.0

    def failed(self, address: str) -> None:
        """Count a wrong token."""
        now = monotonic()
        recent = [at for at in self._failures.pop(address, []) if at > now - _WINDOW_S]
        self._failures[address] = [*recent, now][-self._most :]
        if len(self._failures) > _MOST_ADDRESSES:
            self._failures.pop(next(iter(self._failures)))


class Guard:
    """Lets requests through to an application, or refuses them.

    Parameters
    ----------
    app : ASGI application
    allows : callable
        Says whether a request may name a host.
    token : str
    free_reading : bool
        Whether requests that change nothing need no token.
    most_failures : int
        Wrong tokens that an address may give within a minute.
    """

    def __init__(
        self, app: ASGIApp, allows: Callable[[str], bool], token: str, *, free_reading: bool, most_failures: int = 20
    ) -> None:
        self._app, self._allows, self._free_reading = app, allows, free_reading
        self._token = token.encode()
        self._wrong = WrongTokens(most_failures)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the application do it."""
        if scope["type"] != "http":
            return
        began = False

        async def safely(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                more = [(key.lower().encode(), value.encode()) for key, value in _SAFE.items()]
                message["headers"] = [*message.get("headers", []), *more]
            await send(message)

        refused = self._refused(scope)
        if refused is not None:
            await _answer(safely, *refused)
            return
        try:
            await self._app(scope, receive, safely)
        except Exception:
            _log.exception("page: %s %s failed", scope["method"], scope["path"])
            if not began:
                await _answer(safely, 500, "the box has failed on this request; its log says more")

    def _refused(self, scope: Scope) -> tuple[int, str, dict[str, str]] | None:
        """Status, reason and headers of a refusal."""
        headers = _headers(scope)
        host = headers.get("host")
        if host is None or not self._allows(host):
            return 421, "this box does not go by the host name of the request", {}
        origin = headers.get("origin")
        if origin not in (None, f"{scope['scheme']}://{host}") or headers.get("sec-fetch-site") == "cross-site":
            return 403, "pages of other sites may not ask here", {}
        api = scope["path"].startswith("/api/")
        given = headers.get("authorization")
        if not api or (given is None and self._free_reading and scope["method"] in _READING):
            return None
        return self._token_refused(scope, given)

    def _token_refused(self, scope: Scope, given: str | None) -> tuple[int, str, dict[str, str]] | None:
        how = {"WWW-Authenticate": "Bearer"}
        if given is None:
            return 401, "the token is needed, as Authorization: Bearer TOKEN; it is in the state's folder", how
        address = str((scope.get("client") or ("",))[0])
        wait_s = self._wrong.wait_s(address)
        if wait_s:
            return 429, "too many wrong tokens", {"Retry-After": f"{wait_s:.0f}"}
        kind, _, token = given.partition(" ")
        if kind.lower() != "bearer" or not compare_digest(token.strip().encode(), self._token):
            self._wrong.failed(address)
            return 401, "the token is wrong", how
        return None


def _headers(scope: Scope) -> dict[str, str]:
    return {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}


async def _answer(send: Send, status: int, error: str, headers: dict[str, str] | None = None) -> None:
    body = json.dumps({"error": error}).encode()
    own: dict[str, Any] = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    pairs = [(key.lower().encode(), value.encode()) for key, value in own.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
