"""The ids of apps, as a column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import TypeAdapter, ValidationError

from mainstream.description import shown
from mainstream.errors import ProblemError
from mainstream.problem import AppId

IdArray = NDArray[Any]
"""App ids: whole numbers (int64), or, where one is text, objects."""
_NAMED = 5
_IDS: Final = TypeAdapter(list[AppId])


def check_unique(app_ids: IdArray) -> None:
    """Raise :class:`ProblemError` if an id is there twice."""
    different = len(set(app_ids.tolist())) if app_ids.dtype == object else len(np.unique(app_ids))
    if different < len(app_ids):
        app_id, count = Counter(app_ids.tolist()).most_common(1)[0]
        raise ProblemError(f"app_id {app_id} stands {count} times; each app needs its own")


def id_list(app_ids: Sequence[int | str]) -> str:
    """Ids for a message, the first few of many."""
    more = f" and {len(app_ids) - _NAMED} more" if len(app_ids) > _NAMED else ""
    return ", ".join(str(app_id) for app_id in app_ids[:_NAMED]) + more


def id_array(app_ids: Sequence[int | str]) -> IdArray:
    """Ids as a column: int64, or objects where one is text."""
    return np.array(app_ids, dtype=np.int64 if all(isinstance(one, int) for one in app_ids) else object)


def given_ids(app_ids: ArrayLike | None, n: int) -> IdArray:
    """The ids that a user gave, as an array; 0, 1, ... if the user gave none.

    Raises
    ------
    ProblemError
        There are not `n` of them, or one is no id.
    """
    if app_ids is None:
        return np.arange(n)
    ids = np.asarray(app_ids)
    if ids.shape == (n,) and ids.dtype.kind in "iu" and not (ids < 0).any():
        return ids.astype(np.int64)
    if ids.shape == (n,) and ids.dtype.kind in "UO":
        with suppress(ValidationError):
            return id_array(_IDS.validate_python(list(app_ids)))  # type: ignore[arg-type]  # its shape was looked at
    raise ProblemError(
        f"app_ids: got {shown(app_ids)}; it has to be ({n},) whole numbers, 0 or more, or names of printable characters"
    )
