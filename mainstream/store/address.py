"""The address of a store, the names of packages in it, and how both are shown in messages."""

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
"""Environment variable with the URL of the store to use when none is given."""
DEFAULT: Final = "~/.mainstream/packages"
PULLED: Final = "~/.mainstream/pulled"
"""Folder for packages that a problem file takes from a store."""

_REDIS: Final = ("redis", "rediss")
_LONGEST_NAME: Final = 100


@dataclass(frozen=True)
class Address:
    """Where a store keeps its records and its model files.

    Attributes
    ----------
    records : str
        URL of Redis, or of a folder.
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
        """The address that a URL stands for.

        Parameters
        ----------
        url : str, optional
            A folder, a URL of fsspec, or ``redis://HOST:PORT/DB?files=URL``; default: the environment variable
            MAINSTREAM_STORE, or ``~/.mainstream/packages`` if that is not set.

        Raises
        ------
        ProblemError
            It is none of these; the message has no passwords.
        """
        url = url if url is not None else os.environ.get(VARIABLE) or DEFAULT
        if not url.strip() or "\0" in url:
            raise ProblemError(f"store {shown(url)}: it has to be a folder or a URL")
        if url.startswith(STORE):
            raise ProblemError(f"store {shown(url)}: {STORE} names a package in a store; give the URL of the store")
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
        None means the newest.
    """

    name: str
    version: int | None = None

    @classmethod
    def of(cls, given: str) -> Reference:
        """Read ``store://NAME`` or ``store://NAME@VERSION``; ``store://`` may be left out.

        Raises
        ------
        ProblemError
            The text is something else.
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
    """Whether a text names a folder rather than a package in a store: a folder's name has a slash."""
    return "/" in given and not given.startswith(STORE)


def is_name(name: str) -> bool:
    """Whether a package in a store may have this name: any system allows it for a file, and it hides no path."""
    return bool(re.fullmatch(r"\w[\w.-]*", name)) and len(name.encode()) <= _LONGEST_NAME


def check_name(name: str) -> str:
    """Give the name back if it is allowed.

    Raises
    ------
    ProblemError
        It is not.
    """
    if not is_name(name):
        raise ProblemError(
            f"package name {shown(name)}: it has to be letters, digits, '_', '-' and '.', with neither of the last two "
            f"at the beginning, and have at most {_LONGEST_NAME} bytes"
        )
    return name


def without_passwords(text: str) -> str:
    """The text, with ``***`` in place of the user and password in each URL."""
    first, *others = text.split("://")
    return "://".join([first, *(f"***@{part.rpartition('@')[2]}" if "@" in part else part for part in others)])


def passwords(url: str) -> list[str]:
    """The passwords in a URL, as written there and with %-escapes decoded."""
    found = re.findall(r"://[^:/@\s]*:([^\s]*)@", url)
    return [word for password in found for word in (password, unquote(password)) if word]


def safe(said: str, url: str) -> str:
    """A library's message about a store, as one line without passwords."""
    for password in passwords(url):
        said = said.replace(password, "***")
    return printable(without_passwords(said))


def absolute(url: str) -> str:
    """A folder's name as an absolute path; a URL unchanged."""
    if "://" in url or "::" in url:
        return url
    try:
        return str(Path(url).expanduser().absolute())
    except RuntimeError:  # ~ cannot be expanded
        raise ProblemError(f"store {shown(url)}: there is no such home folder; give an absolute path") from None


def _redis(url: str) -> SplitResult:
    """The parts of Redis' URL, checked."""
    allowed = "it has to be redis://HOST:PORT/DB?files=URL"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ProblemError(f"store {without_passwords(url)}: its host or port is wrong; {allowed}") from None
    if not host or parts.fragment or not re.fullmatch("/?|/[0-9]{1,5}", parts.path):
        raise ProblemError(
            f"store {without_passwords(url)}: {allowed}; in a password, write '%23' for '#' and '%2F' for '/'"
        )
    return parts


def _files(parts: SplitResult) -> str:
    given = parse_qsl(parts.query, keep_blank_values=True)
    redis = without_passwords(parts._replace(query="").geturl())
    strange = [key for key, _ in given if key != "files"]
    if strange:
        raise ProblemError(f"store {redis}: unknown key {shown(strange[0])} behind the '?'; known: files")
    if len(given) != 1 or not given[0][1].strip():
        raise ProblemError(
            f"store {redis}: Redis does not hold model files; say where they go, as in {redis}?files=file:///srv/models"
        )
    files = given[0][1]
    if files.split(":")[0] in _REDIS or files.startswith(STORE):
        raise ProblemError(f"store {redis}: files has to be a folder or a URL of fsspec, not {shown(files[:8])}")
    return files
