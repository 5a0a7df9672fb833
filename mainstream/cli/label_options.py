"""``--region`` and ``--inside``: where the boxes of a clip's labels count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mainstream.errors import ProblemError

if TYPE_CHECKING:
    from mainstream.formats.boxes import Region


def box_regions(given: Sequence[str] | None, inside: float, labels: Sequence[str]) -> dict[str, Region]:
    """Label -> region, from ``[LABEL=]X,Y,W,H``. One without a label is for all labels that have none of their own.

    Raises
    ------
    ProblemError
        One is no region in the frame, or is for an unknown label, or `inside` is no share.
    """
    from mainstream.description import nearest, shown
    from mainstream.formats.boxes import Region
    from mainstream.ranges import SHARE

    SHARE.check("--inside", inside)
    found: dict[str, Region] = {}
    for text in given or []:
        name, equals, numbers = text.rpartition("=")
        if equals and name not in labels:
            raise ProblemError(f"--region {shown(text)}: no app has the event {shown(name)}; {nearest(name, labels)}")
        made = Region.parse(numbers, inside, f"--region {shown(text)}")
        for label in [name] if equals else labels:
            if equals or label not in found:
                found[label] = made
    return found
