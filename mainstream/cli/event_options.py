"""The flags of events, for the commands that run plans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mainstream.streamer.events.settings import EventSettings

Events = Annotated[
    Path | None,
    typer.Option("--events", metavar="DIR", help="Keep events and their pictures there.", show_default=False),
]
EventGap = Annotated[
    float, typer.Option("--event-gap-ms", metavar="MS", help="Two events of an app not further apart are one.")
]
Clips = Annotated[
    float | None,
    typer.Option(
        "--clips", metavar="SECONDS", help="Keep the video from so long before to so long after.", show_default=False
    ),
]
Mqtt = Annotated[
    str | None,
    typer.Option(
        "--mqtt",
        metavar="URL",
        envvar="MAINSTREAM_MQTT",
        help="Publish events: mqtt://USER:PASSWORD@HOST:PORT/PREFIX.",
        show_default=False,
    ),
]
Webhooks = Annotated[
    list[str] | None,
    typer.Option("--webhook", metavar="URL", help="POST events there; may be given often.", show_default=False),
]
KeepDays = Annotated[float, typer.Option("--keep-days", metavar="DAYS", help="Delete events that are older.")]
KeepGb = Annotated[
    float, typer.Option("--keep-gb", metavar="GB", help="Delete the oldest pictures and clips beyond so much.")
]

GAP_MS = 2000.0
KEEP_DAYS = 30.0
KEEP_GB = 10.0


def event_settings(
    folder: Path | None,
    gap_ms: float,
    clips_s: float | None,
    mqtt: str | None,
    webhooks: list[str] | None,
    keep_days: float,
    keep_gb: float,
) -> EventSettings | None:
    """What the flags say; None if they do not ask for events.

    Raises
    ------
    ProblemError
        A value is wrong, or a flag lacks another one that it needs.
    """
    from mainstream.streamer.events.settings import EventSettings

    settings = EventSettings(folder, gap_ms, clips_s, mqtt, tuple(webhooks or ()), keep_days, keep_gb)
    return settings if folder is not None or mqtt is not None or webhooks else None
