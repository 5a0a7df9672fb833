"""Where a store is, what a package in it is called, and how both may stand in a message."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from mainstream.description import printable, shown
from mainstream.errors import ProblemError
from mainstream.formats.problem_reader import STORE
from mainstream.store.records import as_number

VARIABLE: Final = "MAINSTREAM_STORE"
"""Environment variable with the URL of the store to use where none is given."""
DEFAULT: Final = "~/.mainstream/packages"
PULLED: Final = "~/.mainstream/pulled"
"""Where the packages go that problem files name in a store."""

_REDIS: Final = ("redis", "rediss")
_LONGEST_NAME: Final = 100


@dataclass(frozen=True)
class Address:
    """Where a store keeps what.

    Attributes
    ----------
    records : str
        URL of Redis, or that of a folder.
    files : str
        URL of the folder that holds the model files.
    """

    records: str
    files: str

    @property
    def in_redis(self) -> bool:
        """Whether the records are in Redis."""
        return self.records.split(":")[0] in _REDIS

    @classmethod
    def of(cls, url: str | None) -> Address:
        """The address in a URL.

        Parameters
        ----------
        url : str, optional
            A folder, a URL of fsspec, or ``redis://HOST:PORT/DB?files=URL``; default: what the environment variable
            MAINSTREAM_STORE says, else ``~/.mainstream/packages``.

        Raises
        ------
        ProblemError
            It is none of these; passwords are left out of what it says.
        """
        url = url if url is not None else os.environ.get(VARIABLE) or DEFAULT
        if not url.strip() or "\0" in url:
            raise ProblemError(f"store {shown(url)}: it has to be a folder or a URL")
        if url.startswith(STORE):
            raise ProblemError(f"store {shown(url)}: {STORE} names a package in a store; give the store's own URL")
        if url.split(":")[0] not in _REDIS or "://" not in url:
            return cls(absolute(url), absolute(url))
        parts = _redis(url)
        return cls(parts._replace(query="").geturl(), absolute(_files(parts)))

    def __str__(self) -> str:
        return without_passwords(self.records)


@dataclass(frozen=True)
class Reference:
    """A package in a store.

    Attributes
    ----------
    name : str
    version : int or None
        None is the newest.
    """

    name: str
    version: int | None = None

    @classmethod
    def of(cls, given: str) -> Reference:
        """The reference in ``store://NAME``, ``store://NAME@VERSION``, or the same without ``store://``.

        Raises
        ------
        ProblemError
            It is something else.
        """
        name, at, version = given.removeprefix(STORE).partition("@")
        if not at:
            return cls(check_name(name))
        number = as_number(version)
        if number is None:
            raise ProblemError(
                f"package {shown(given)}: the version has to be a whole number, 1 or more, as in {STORE}NAME@3"
            )
        return cls(check_name(name), number)

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}@{self.version}"


def is_folder(given: str) -> bool:
    """Whether a text that is the name of a folder or of a package in a store is that of a folder: it has a slash."""
    return "/" in given and not given.startswith(STORE)


def is_name(name: str) -> bool:
    """Whether a package in a store can be called so: a file can, too, on any system, and no path is hidden in it."""
    return bool(re.fullmatch(r"\w[\w.-]*", name)) and len(name.encode()) <= _LONGEST_NAME


def check_name(name: str) -> str:
    """The name, when it is one.

    Raises
    ------
    ProblemError
        It is none.
    """
    if not is_name(name):
        raise ProblemError(
            f"package name {shown(name)}: it has to be letters, digits, '_', '-' and '.', begin with neither of the "
            f"last two, and have at most {_LONGEST_NAME} bytes"
        )
    return name


def without_passwords(text: str) -> str:
    """The text, with ``***`` in place of user and password of each URL in it."""
    first, *others = text.split("://")
    return "://".join([first, *(f"***@{part.rpartition('@')[2]}" if "@" in part else part for part in others)])


def passwords(url: str) -> list[str]:
    """The passwords in a URL, as they are written and as they are meant."""
    found = re.findall(r"://[^:/@\s]*:([^\s]*)@", url)
    return [word for password in found for word in (password, unquote(password)) if word]


def safe(said: str, url: str) -> str:
    """What a library said of a store, as one line without passwords."""
    for password in passwords(url):
        said = said.replace(password, "***")
    return printable(without_passwords(said))


def absolute(url: str) -> str:
    """A folder's name as an absolute path; a URL as it is."""
    if "://" in url or "::" in url:
        return url
    try:
        return str(Path(url).expanduser().absolute())
    except RuntimeError:  # no home
        raise ProblemError(f"store {shown(url)}: there is no such home folder") from None


def _redis(url: str) -> SplitResult:
    """The parts of Redis' URL, each what it has to be."""
    allowed = "it has to be redis://HOST:PORT/DB?files=URL"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ProblemError(f"store {without_passwords(url)}: no host or no port; {allowed}") from None
    if not host or parts.fragment or not re.fullmatch("/?|/[0-9]{1,5}", parts.path):
        raise ProblemError(f"store {without_passwords(url)}: {allowed}, '%23' and '%2F' for '#' and '/' in a password")
    return parts


def _files(parts: SplitResult) -> str:
    given = parse_qsl(parts.query, keep_blank_values=True)
    redis = without_passwords(parts._replace(query="").geturl())
    strange = [key for key, _ in given if key != "files"]
    if strange:
        raise ProblemError(f"store {redis}: unknown key {shown(strange[0])} behind the '?'; known: files")
    if len(given) != 1 or not given[0][1].strip():
        raise ProblemError(
            f"store {redis}: Redis holds no model files; say where they go, as in {redis}?files=file:///srv/models"
        )
    files = given[0][1]
    if files.split(":")[0] in _REDIS or files.startswith(STORE):
        raise ProblemError(f"store {redis}: files has to be a folder or a URL of fsspec, not {shown(files[:8])}")
    return files
