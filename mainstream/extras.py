"""Optional packages: found without importing them; a missing one names the extra to install."""

from __future__ import annotations

from importlib.util import find_spec

from mainstream.errors import MissingExtraError


def require(package: str, extra: str) -> None:
    """Raise :class:`MissingExtraError` unless `package` is installed.

    Parameters
    ----------
    package : str
        Name to import, for example "tensorflow".
    extra : str
        Extra of this package that brings it, for example "train".
    """
    if find_spec(package) is None:
        raise MissingExtraError(f"{package} is not installed; pip install 'mainstream[{extra}]'")
