"""Where the page is served, and by which names a browser may ask for it."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from mainstream.description import shown
from mainstream.errors import ProblemError
from mainstream.files import reason


@dataclass(frozen=True)
class Address:
    """Where to listen.

    Attributes
    ----------
    host : str
        A name or a number.
    port : int
        0 for any free one.
    cert, key : Path or None
        Files of the TLS certificate and its key.
    """

    host: str
    port: int
    cert: Path | None = None
    key: Path | None = None

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return _is_loopback(self.host)

    def allows(self, asked: str) -> bool:
        """Whether a request may name `asked` as its host.

        Another web site can make its own name point to this machine's number (DNS rebinding); its pages then ask here
        as if they were ours. But such a request carries that name. So only numbers, this machine's own names, and the
        one in `host` are allowed.
        """
        try:
            name = (urlsplit(f"//{asked}").hostname or "").rstrip(".").lower()
        except ValueError:
            return False
        if self.loopback:
            return _is_loopback(name)
        own = socket.gethostname().lower()
        return _is_number(name) or name in {"localhost", own, f"{own}.local", self.host.lower()}

    def url(self, port: int) -> str:
        """What to open in a browser."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'' if self.cert is None else 's'}://{host}:{port}/"


def page_address(given: str, cert: Path | None, key: Path | None) -> Address:
    """The address that ``--page`` gives, as ``PORT`` (of 127.0.0.1) or ``HOST:PORT``.

    Raises
    ------
    ProblemError
        It has another form, other machines would reach it without TLS, or the files of TLS are not valid.
    """
    try:
        parts = urlsplit(f"//127.0.0.1:{given}" if given.isdecimal() else f"//{given}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or port is None or parts.netloc.count("@") or parts.path:
        raise ProblemError(f"page: got {shown(given)}; it has to be PORT or HOST:PORT")
    address = Address(host, port, cert, key)
    if (cert is None) != (key is None):
        raise ProblemError("page: --tls-cert and --tls-key go together; give both or neither")
    if cert is not None and key is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=lambda: "")
        except (OSError, ValueError) as error:
            raise ProblemError(f"page: {cert} and {key} are not a certificate and its key: {reason(error)}") from None
    elif not address.loopback:
        raise ProblemError(
            f"page: other machines can reach {host}, which needs TLS: give --tls-cert and --tls-key, or listen at "
            "127.0.0.1"
        )
    return address


def listen(address: Address) -> socket.socket:
    """A socket that listens there.

    Raises
    ------
    ProblemError
        The port is in use, or the address is not this machine's.
    """
    try:
        family, _, _, _, where = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(where)
            listening.listen(128)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise ProblemError(f"page: cannot listen at {address.host}:{address.port}: {reason(error)}") from None
    return listening


def _is_number(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    return name == "localhost" or (_is_number(name) and ip_address(name).is_loopback)
