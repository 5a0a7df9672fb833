"""Whether the shape of one tensor may be that of another."""

from __future__ import annotations

Shape = tuple[int | None, ...]


def fits(given: Shape | None, wanted: Shape | None) -> bool:
    """Whether a tensor of one shape may be one of another; None is any number, or any shape at all."""
    if given is None or wanted is None:
        return True
    return len(given) == len(wanted) and all(
        None in (one, other) or one == other for one, other in zip(given, wanted, strict=True)
    )
