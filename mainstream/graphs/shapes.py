"""Whether two shapes, which may be known only in part, can be the same."""

from __future__ import annotations

Shape = tuple[int | None, ...]


def fits(given: Shape | None, wanted: Shape | None) -> bool:
    """Whether a tensor of the given shape may be of the wanted one; None stands for any number, or any shape."""
    if given is None or wanted is None:
        return True
    return len(given) == len(wanted) and all(
        None in (one, other) or one == other for one, other in zip(given, wanted, strict=True)
    )
