"""Serves the metrics over HTTP with few threads, none of which runs for long, whoever connects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http.server import HTTPServer
from socket import SHUT_RDWR, socket
from threading import BoundedSemaphore, Thread, Timer
from typing import TYPE_CHECKING, Any, Final

from mainstream.errors import ProblemError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_MOST: Final = 8
"""Requests at a time; further ones are hung up on."""
_LONGEST_S: Final = 5.0
"""Seconds for a request and its answer."""


class _Server(HTTPServer):
    """Answers each request in a thread of its own that ends in good time."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: Any) -> None:
        self._free = BoundedSemaphore(_MOST)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        Thread(target=self._serve, args=(request, client_address), name="mainstream-metrics", daemon=True).start()

    def _serve(self, request: socket, client_address: Any) -> None:
        limit = Timer(_LONGEST_S, _hang_up, (request,))
        limit.daemon = True
        limit.start()
        try:
            with suppress(OSError):  # it has gone, or took too long
                self.finish_request(request, client_address)
        finally:
            limit.cancel()
            self.shutdown_request(request)
            self._free.release()


def _hang_up(request: socket) -> None:
    with suppress(OSError):  # it has gone already
        request.shutdown(SHUT_RDWR)


def by_stream(registries: Mapping[str, CollectorRegistry]) -> CollectorRegistry:
    """One registry for several cameras: each metric gets its camera's name as the label ``stream``."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric
    from prometheus_client.registry import Collector

    class Joined(Collector):
        def collect(self) -> Iterator[Metric]:
            families: dict[str, Metric] = {}
            for name, registry in registries.items():
                for one in registry.collect():
                    family = families.setdefault(one.name, Metric(one.name, one.documentation, one.type))
                    family.samples += [
                        sample._replace(labels={"stream": name, **sample.labels}) for sample in one.samples
                    ]
            yield from families.values()

    joined = CollectorRegistry()
    joined.register(Joined())
    return joined


def serve_metrics(
    address: str, registry: CollectorRegistry, checks: Mapping[str, Callable[[], str | None]]
) -> Callable[[], None]:
    """Answer Prometheus and health checks at ``PORT`` (of 127.0.0.1) or ``HOST:PORT``.

    Parameters
    ----------
    address : str
    registry : prometheus_client.CollectorRegistry
    checks : mapping of str to callable
        Path, such as ``/healthz`` -> a function that gives what is wrong, which is answered with 503, or None, which is
        answered with 200 and "ok".

    Returns
    -------
    callable
        Ends it.

    Raises
    ------
    ProblemError
        The address has another form, or is in use.
    """
    from prometheus_client.exposition import MetricsHandler

    class Handler(MetricsHandler):
        def do_GET(self) -> None:  # noqa: N802 (the library's name)
            check = checks.get(self.path)
            if check is None:
                super().do_GET()
                return
            wrong = check()
            self.send_response(200 if wrong is None else 503)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.end_headers()
            self.wfile.write(f"{wrong or 'ok'}\n".encode())

    Handler.registry = registry
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise ProblemError(f"metrics: got {address!r}; it has to be PORT or HOST:PORT")
    try:
        server = _Server((host or "127.0.0.1", int(port)), Handler)
    except OSError as error:
        raise ProblemError(f"metrics: cannot listen at {address}: {error.strerror}") from None
    thread = Thread(target=server.serve_forever, args=(0.1,), name="mainstream-metrics", daemon=True)
    thread.start()

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end
