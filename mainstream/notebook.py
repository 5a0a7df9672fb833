"""What a notebook shows: results as small HTML tables, and as tables of pandas.

Names come from outside, so every cell is escaped, and long ones are cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Final

from mainstream._optional import require

if TYPE_CHECKING:
    from pandas import DataFrame

_LONGEST_CELL: Final = 60


def html_table(caption: str, rows: Sequence[Sequence[object]], below: Iterable[str] = ()) -> str:
    """A table as HTML.

    Parameters
    ----------
    caption : str
        The line above it.
    rows : sequence of sequence
        The headings, then the rows.
    below : iterable of str
        The lines below it.
    """
    headings, *others = rows
    head = "".join(f"<th>{_cell(one)}</th>" for one in headings)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(one)}</td>' for one in row)}</tr>" for row in others)
    table = f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return table + "".join(f"<div>{escape(line)}</div>" for line in below)


def frame(columns: Mapping[str, Any]) -> DataFrame:
    """A table of pandas, from columns of one length.

    Raises
    ------
    MissingExtraError
        pandas is not installed.
    """
    require("pandas", "notebook")
    from pandas import DataFrame

    return DataFrame(dict(columns))


def _cell(value: object) -> str:
    text = str(value)
    return escape(text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 3] + "...")
