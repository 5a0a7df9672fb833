"""Reads a request's text in short steps, and makes an answer of one line.

JSON's decoder lets no other thread run until it is done, and 16 MB take it so long that frames are lost. So a request
is decoded net by net: each step is bounded, and the time for all is linear in the length of the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from mainstream.description import shown
from mainstream.errors import ProblemError
from mainstream.files import different_keys, naming

MOST_NETS: Final = 10_000
_LONGEST_NET: Final = 2**17
"""Most characters of one net: three names of the greatest length fit in with every character escaped."""
_USUAL_NET: Final = 2**12
"""Characters that are tried first: to copy the most for each net would be slow."""
_LONGEST_ANSWER: Final = 1_000
_SPACE: Final = re.compile(r"[ \t\n\r]+")
_DECODER: Final = json.JSONDecoder(object_pairs_hook=different_keys)


def nets(text: str) -> Iterator[Any]:
    """The elements of a JSON array, one after the other, whatever they are.

    Raises
    ------
    ProblemError
        The text is not a JSON array, an element is too long, or there are too many.
    """
    with naming("net plan"):
        at = _after_space(text, 0)
        if text[at : at + 1] != "[":
            raise ProblemError(f"got {_beginning(text, at)}; it has to be a list of sub-networks")
        at = _after_space(text, at + 1)
        count, ended = 0, text[at : at + 1] == "]"
        while not ended:
            if count == MOST_NETS:
                raise ProblemError(f"it has more than {MOST_NETS:,} nets; no more are allowed")
            value, at = _element(text, at)
            yield value
            count += 1
            at = _after_space(text, at)
            ended = text[at : at + 1] == "]"
            if not ended and text[at : at + 1] != ",":
                raise _no_json(json.JSONDecodeError("Expecting ',' delimiter", text, at))
            if not ended:
                at = _after_space(text, at + 1)
        at = _after_space(text, at + 1)
        if at < len(text):
            raise _no_json(json.JSONDecodeError("Extra data", text, at))


def one_line(text: str) -> str:
    """`text` made fit to be sent or logged: at most 1,000 characters, all of them printable."""
    cut = text if len(text) <= _LONGEST_ANSWER else text[: _LONGEST_ANSWER - 3] + "..."
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
    return safe if len(safe) <= _LONGEST_ANSWER else safe[: _LONGEST_ANSWER - 3] + "..."


def _after_space(text: str, at: int) -> int:
    # In bounded steps: a regular expression, too, lets no other thread run until it is done.
    while (found := _SPACE.match(text, at, at + _LONGEST_NET)) is not None:
        at = found.end()
    return at


def _element(text: str, at: int) -> tuple[Any, int]:
    """The value that begins at `at`, and where it ends."""
    for length in (_USUAL_NET, _LONGEST_NET):
        piece = text[at : at + length]
        whole = at + length >= len(text)
        try:
            value, used = _DECODER.raw_decode(piece)
        except json.JSONDecodeError as error:
            if whole:
                raise _no_json(json.JSONDecodeError(error.msg, text, at + error.pos)) from None
        except ProblemError:
            raise
        except RecursionError:
            raise ProblemError("no JSON: nested too deeply") from None
        except ValueError as error:  # an integer of more digits than Python reads
            raise ProblemError(f"no JSON: {error}") from None
        else:
            if whole or used < len(piece):  # a number at the end of the piece may go on behind it
                return value, at + used
    raise ProblemError(f"no JSON, or a net of more than {_LONGEST_NET:,} characters, from character {at} on")


def _beginning(text: str, at: int) -> str:
    """What there is in place of a list, for a message."""
    if not text[at:]:
        raise _no_json(json.JSONDecodeError("Expecting value", text, at))
    value, end = _element(text, at)
    if _after_space(text, end) < len(text):
        raise _no_json(json.JSONDecodeError("Extra data", text, end))
    return shown(value)


def _no_json(error: json.JSONDecodeError) -> ProblemError:
    return ProblemError(f"no JSON: line {error.lineno}, column {error.colno}: {error.msg}")
