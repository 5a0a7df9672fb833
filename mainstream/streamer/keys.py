"""ZeroMQ CURVE keys: they decide who may talk to a server, and nobody else can read along.

A folder of keys holds ``server.key`` and ``client.key``, which are public, and ``server.key_secret`` and
``client.key_secret``, which are not. A server needs its secret and lets in the owner of each ``*.key`` beside it; a
client needs its own secret and the server's ``server.key``.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Final

from mainstream._optional import require
from mainstream.errors import ProblemError
from mainstream.files import reason

if TYPE_CHECKING:
    import zmq

SERVER: Final = "server"
CLIENT: Final = "client"
_PUBLIC: Final = ".key"
_SECRET: Final = ".key_secret"
_OTHERS: Final = 0o077
_OTHERS_WRITE: Final = 0o022
_LENGTH: Final = 32
"""Bytes of a key."""


def write_keys(folder: str | Path) -> list[Path]:
    """Make a pair of keys for a server and one for a client.

    Parameters
    ----------
    folder : str or Path
        Created for its owner alone; if it exists, it has to be empty.

    Returns
    -------
    list of Path
        The four files.

    Raises
    ------
    MissingExtraError
        ZeroMQ is not installed.
    ProblemError
        The folder cannot be written or holds something, or ZeroMQ was built without CURVE.
    """
    _check_curve()
    from zmq.auth import create_certificates

    folder = Path(folder)
    beside: Path | None = None
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ProblemError(f"{folder}: exists and is not empty; keys are not overwritten, name another folder")
        # Written beside it and renamed: others can never read a secret, not even while it is written.
        beside = Path(mkdtemp(prefix=f".{folder.name}.", dir=folder.resolve().parent))
        for name in (SERVER, CLIENT):
            create_certificates(beside, name)
            (beside / (name + _SECRET)).chmod(0o600)
        beside.rename(folder.resolve())
    except (OSError, ValueError) as error:
        if isinstance(error, ProblemError):
            raise
        if beside is not None:
            shutil.rmtree(beside, ignore_errors=True)
        raise ProblemError(f"{folder}: cannot be written: {reason(error)}") from None
    return sorted(folder.iterdir())


@contextmanager
def server_security(socket: zmq.Socket[bytes], folder: str | Path) -> Iterator[None]:
    """Let only known clients talk to a server, encrypted, as long as the block lasts.

    Parameters
    ----------
    socket : zmq.Socket
        The server's, not bound yet.
    folder : str or Path
        Holds ``server.key_secret``, and ``*.key`` of each client that is let in.

    Raises
    ------
    ProblemError
        A key is missing, damaged or readable by others, others may add keys, or ZeroMQ was built without CURVE.
    """
    _check_curve()
    import zmq
    from zmq.auth.thread import ThreadAuthenticator

    folder = _existing(folder)
    if folder.stat().st_mode & _OTHERS_WRITE:
        raise ProblemError(f"{folder}: others may put keys there; run: chmod go-w {folder}")
    secret = _secret(folder, SERVER)
    others = (file for file in folder.glob(f"*{_PUBLIC}") if file.stem != SERVER)
    known = _Known(frozenset(_public(file) for file in others))
    guard = ThreadAuthenticator(socket.context)
    guard.configure_curve_callback(credentials_provider=known)
    guard.start()
    try:
        socket.curve_publickey, socket.curve_secretkey = zmq.curve_public(secret), secret
        socket.curve_server = True
        yield
    finally:
        guard.stop()


class _Known:
    """Says whether a key is known."""

    def __init__(self, keys: frozenset[bytes]) -> None:
        self._keys = keys

    def callback(self, domain: str, key: bytes) -> bool:
        return key in self._keys


def client_security(folder: str | Path) -> dict[str, bytes]:
    """The settings of a client's socket.

    Parameters
    ----------
    folder : str or Path
        Holds ``client.key_secret`` and ``server.key``.

    Returns
    -------
    dict
        Name of a socket's attribute -> its value.

    Raises
    ------
    ProblemError
        A key is missing, damaged or readable by others, or ZeroMQ was built without CURVE.
    """
    _check_curve()
    import zmq

    folder = _existing(folder)
    secret = _secret(folder, CLIENT)
    return {
        "curve_secretkey": secret,
        "curve_publickey": zmq.curve_public(secret),
        "curve_serverkey": _public(folder / (SERVER + _PUBLIC)),
    }


def _check_curve() -> None:
    require("zmq", "run")
    import zmq

    if not zmq.has("curve"):
        raise ProblemError("this ZeroMQ was built without CURVE; install pyzmq from its wheel")


def _existing(folder: str | Path) -> Path:
    folder = Path(folder)
    if not folder.is_dir():
        raise ProblemError(f"{folder}: there is no such folder; make keys with: mainstream streamer-keys {folder}")
    return folder


def _secret(folder: Path, name: str) -> bytes:
    file = folder / (name + _SECRET)
    _, secret = _load(file)
    if secret is None:
        raise ProblemError(f"{file}: holds no secret key; copy the right one there")
    if file.stat().st_mode & _OTHERS:
        raise ProblemError(f"{file}: others may read this secret; run: chmod 600 {file}")
    return secret


def _public(file: Path) -> bytes:
    public, _ = _load(file)
    return public


def _load(file: Path) -> tuple[bytes, bytes | None]:
    """The public and the secret key in a file, checked: ZeroMQ itself accepts anything as a key."""
    from zmq.auth import load_certificate
    from zmq.utils import z85

    if not file.exists():
        raise ProblemError(f"{file}: is missing; copy it there, or make keys with: mainstream streamer-keys DIR")
    try:
        public, secret = load_certificate(file)
        if all(len(z85.decode(key)) == _LENGTH for key in (public, secret) if key is not None):
            return public, secret
    except OSError as error:
        raise ProblemError(f"{file}: {reason(error)}") from None
    except (ValueError, KeyError, struct.error):  # what load_certificate and decode raise for other text
        pass
    raise ProblemError(f"{file}: holds no key, or a damaged one; copy it there again")
