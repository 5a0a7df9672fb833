"""The token for changing things: it is made at the first start, and only the owner can read it."""

from __future__ import annotations

import stat
from pathlib import Path
from secrets import token_urlsafe
from typing import Final

from mainstream.errors import ProblemError
from mainstream.files import read_text, reason, write_secret

_NAME: Final = "token"
_BYTES: Final = 32
_SHORTEST: Final = 20


def token_in(folder: Path) -> str:
    """The token in a folder; it is made if there is none.

    Parameters
    ----------
    folder : Path
        Has to exist.

    Raises
    ------
    ProblemError
        It cannot be read or written, others may read it, or it is too short.
    """
    path = folder / _NAME
    try:
        if not path.exists():
            write_secret(path, f"{token_urlsafe(_BYTES)}\n")
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ProblemError(f"{path}: others may read it; chmod 600 it, or remove it for a new one")
    except OSError as error:
        raise ProblemError(f"{path}: {reason(error)}") from None
    token = read_text(path).strip()
    if len(token) < _SHORTEST or not token.isascii() or not token.isprintable():
        raise ProblemError(f"{path}: a token has {_SHORTEST} or more characters; remove it for a new one")
    return token
