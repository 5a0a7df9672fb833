"""The report of an evaluation: one HTML file with a table for each version, and pictures of events and false alarms."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Final, NamedTuple

from mainstream.evaluation.evaluate import METRICS, Evaluated
from mainstream.evaluation.footage import Footage
from mainstream.evaluation.live import LiveCheck
from mainstream.report.page import html_table, report_page

_WIDTH: Final = 160
"""Width of a picture in pixels."""
_MOST: Final = 40
"""The most pictures of a kind for each app."""
_HEADINGS: Final = (
    "app", "metric", "predicted", "measured", "95 % interval", "", "layers shared", "fps", "votes", "caught",
    "false alarms",
)  # fmt: skip


class _Kind(NamedTuple):
    """Pictures of one app under a heading; each is a frame and its caption."""

    heading: str
    pictures: list[tuple[int, str]]


def evaluation_page(
    title: str, found: Mapping[str, Sequence[Evaluated]], clip: Footage, live: LiveCheck | None = None
) -> str:
    """Make the page, as HTML.

    Parameters
    ----------
    title : str
    found : mapping of str to sequence of Evaluated
        Version -> its apps; there are pictures of the first version.
    clip : Footage
        The clip that the pictures are taken from.
    live : LiveCheck, optional
        How the first version ran at the clip's own pace.
    """
    lead = [
        "Predicted: what the schedule says. Measured: what the apps did on the labelled clip, with 95 % intervals.",
        f"Pictures show the first schedule, {next(iter(found))}, with at most {_MOST} of a kind for each app.",
        *([] if live is None else [f"{next(iter(found))}, {live}."]),
    ]
    tables = [
        html_table(version, _HEADINGS, [row for one in apps for row in _rows(one)]) for version, apps in found.items()
    ]
    kinds = [kind for one in next(iter(found.values())) for kind in _kinds(one, clip.fps)]
    jpegs = clip.thumbnails({frame for kind in kinds for frame, _ in kind.pictures}, _WIDTH)
    return report_page(title, lead, [*tables, *(_pictures(kind, jpegs) for kind in kinds)], [])


def _rows(one: Evaluated) -> Iterator[list[str]]:
    """A row for each metric; the first row also has what holds for the app as a whole."""
    choice, counts = one.choice, one.score
    first = [
        str(choice.num_frozen),
        f"{choice.target_fps:g}",
        str(choice.x_vote or "-"),
        f"{counts.hits} of {len(counts.events)}",
        str(len(counts.alarms)),
    ]
    for metric in METRICS:
        own = metric == METRICS[0]
        yield [one.watched.called if own else "", metric, *one.cells(metric), *(first if own else [""] * len(first))]


def _kinds(one: Evaluated, fps: float) -> list[_Kind]:
    """Pictures of missed events (their middle frame), caught events and false alarms (the frame of the detection)."""
    missed, caught = [], []
    for (start, end), frame in zip(one.score.events.tolist(), one.score.caught, strict=True):
        span = f"frames {start} to {end - 1}, from {start / fps:.1f} s"
        if frame is None:
            missed.append(((start + end) // 2, span))
        else:
            caught.append((frame, f"{span}; detected on frame {frame}"))
    alarms = [(frame, f"frame {frame}, {frame / fps:.1f} s") for frame in one.score.alarms]
    named = (("missed", missed), ("caught", caught), ("false alarms", alarms))
    return [_Kind(f"{one.watched.called}: {name}, {len(some)}", some[:_MOST]) for name, some in named if some]


def _pictures(kind: _Kind, jpegs: Mapping[int, bytes]) -> str:
    figures = "".join(
        f'<figure><img width="{_WIDTH}" alt="{escape(words)}" '
        f'src="data:image/jpeg;base64,{b64encode(jpegs[frame]).decode()}"><p>{escape(words)}</p></figure>'
        for frame, words in kind.pictures
    )
    return f'<h2>{escape(kind.heading)}</h2><div class="charts pictures">{figures}</div>'
