"""The flags of the page, and what the state's folder keeps of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mainstream.errors import ProblemError

if TYPE_CHECKING:
    from mainstream.box.box import Box
    from mainstream.streamer.events.recorder import Teller
    from mainstream.web.server import Site
    from mainstream.web.views import Scores

Page = Annotated[
    str | None,
    typer.Option(
        "--page",
        metavar="[HOST:]PORT",
        help="Serve a page and the API there; HOST is 127.0.0.1. Needs --state.",
        show_default=False,
    ),
]
TlsCert = Annotated[
    Path | None,
    typer.Option("--tls-cert", metavar="FILE", help="Its certificate: needed beyond this machine.", show_default=False),
]
TlsKey = Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="Its key.", show_default=False)]


class PageSettings:
    """Where the page is served, and what was kept from earlier.

    Parameters
    ----------
    page : str or None
        The value of ``--page``; None for no page.
    cert, key : Path or None
    state : Path or None
        The folder of the changes, which count even without a page, and of the token.
    events : Path or None
        The folder of the events.

    Attributes
    ----------
    changes : Changes
        The changes that were kept.
    keep : callable
        Keeps new changes.

    Raises
    ------
    ProblemError
        A flag or the folder is wrong.
    """

    def __init__(
        self, page: str | None, cert: Path | None, key: Path | None, state: Path | None, events: Path | None
    ) -> None:
        from mainstream.box.changes import Changes, ChangesFile
        from mainstream.files import reason
        from mainstream.web.address import page_address
        from mainstream.web.timeline import Timeline
        from mainstream.web.tokens import token_in

        if page is None and (cert or key):
            raise ProblemError("command line: --tls-cert and --tls-key are for --page")
        if page is not None and state is None:
            raise ProblemError("command line: --page needs --state, the folder of its token and of what it changes")
        self._address = None if page is None else page_address(page, cert, key)
        self._state, self._token = state, ""
        self._site: Site | None = None
        self.changes = Changes()
        self.keep: Callable[[Changes], None] = lambda _: None
        self._events = None if page is None else events
        self._timeline = Timeline({})
        if state is not None:
            try:
                state.mkdir(parents=True, exist_ok=True)
            except (OSError, ValueError) as error:
                raise ProblemError(f"state: {state} cannot be made: {reason(error)}") from None
            file = ChangesFile(state)
            self.changes, self.keep = file.load(), file.save
            if page is not None:
                self._token = token_in(state)

    def tellers(self, streams: Iterable[str | None]) -> list[Teller]:
        """Who the runtimes of these cameras tell about events; each of several cameras has a folder of its own."""
        from mainstream.web.timeline import Timeline

        events = self._events
        self._timeline = Timeline({} if events is None else {one: events / one if one else events for one in streams})
        return [] if self._address is None else [self._timeline]

    def saying(self, say: Callable[[str], None]) -> Callable[[str], None]:
        """A function that shows a line to people: as before, and also on the page."""
        self._say = say

        def both(line: str) -> None:
            say(line)
            if self._site is not None:
                self._site.say(line)

        return both

    @contextmanager
    def site(self, box: Box, model_dir: Path | None, scores: Scores | None) -> Iterator[None]:
        """Serve the page meanwhile, if there is to be one, and say where it is."""
        from mainstream.web.server import Site

        if self._address is None:
            yield
            return
        with Site(self._address, self._token, box, self._timeline, model_dir, scores) as self._site:
            self._say(f"page at {self._site.url}; its token is in {self._state}/token")
            yield
