"""Connect to a Ray cluster, and say why if that fails."""

from __future__ import annotations

import logging
import os
import re
import socket
import warnings
from typing import Any, Final

from mainstream._optional import load_quietly, silence
from mainstream.description import shown
from mainstream.errors import MainstreamError, ProblemError

EXTRA: Final = "scale"
"""The extra that installs Ray."""
AUTO: Final = "auto"

_ADDRESS: Final = re.compile(r"ray://(\[[0-9a-fA-F:]+\]|[\w.-]+):(\d{1,5})")
_PATIENCE_S: Final = 5.0
_SETTINGS: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to Ray's makers
    "RAY_CLIENT_MAX_CONNECTION_TIMEOUT_S": "10",
    "RAY_gcs_rpc_server_connect_timeout_s": "5",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",  # tasks return errors as values
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
}
_log = logging.getLogger("mainstream")


def ray() -> Any:
    """Import the module ``ray``, with the settings above.

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    return load_quietly("ray", EXTRA)


def check_address(address: str | None) -> None:
    """Raise :class:`ProblemError` unless it is None, "auto" or ray://HOST:PORT."""
    if address not in (None, AUTO) and not _ADDRESS.fullmatch(address):
        raise ProblemError(f"address {shown(address)}: give auto or ray://HOST:PORT, such as ray://127.0.0.1:10001")


def connect(address: str | None, own: dict[str, Any]) -> tuple[Any, bool]:
    """Connect to a cluster.

    Parameters
    ----------
    address : str or None
        As :func:`check_address` allows; None starts a cluster that only this process uses.
    own : dict
        More arguments of ``ray.init`` for that cluster.

    Returns
    -------
    module, bool
        ``ray``, and whether this call connected it; False if it was connected before.

    Raises
    ------
    ProblemError
        The address is wrong, nothing answers there, or it is not a Ray cluster that accepts us.
    """
    check_address(address)
    if address is not None and address != AUTO:
        _knock(address)
    module = ray()
    if module.is_initialized():
        return module, False
    given: dict[str, Any] = {"address": address or "local", "log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        given |= {"include_dashboard": False, **own}
    # Ray prints the cluster's messages about dead workers to stdout, where results belong, and has no switch for it.
    module._private.worker.print_to_stdstream = _tell
    constants = module._private.ray_constants
    before = constants.ENABLE_RAY_CLUSTER
    try:
        with warnings.catch_warnings(), silence():
            warnings.simplefilter("ignore")
            if address is None:
                constants.ENABLE_RAY_CLUSTER = False  # meant for other systems; here it keeps Ray on loopback only
            module.init(**given)
    except Exception as error:  # many kinds, among them ValueError and gRPC's
        raise ProblemError(_why(address, error)) from None
    finally:
        constants.ENABLE_RAY_CLUSTER = before
    return module, True


def largest(module: Any) -> tuple[float, float]:
    """The most CPUs, and the most GPUs, that one machine has."""
    machines = [node["Resources"] for node in module.nodes() if node["Alive"]]
    if not machines:
        raise MainstreamError("the Ray cluster has no machine left")
    return max(one.get("CPU", 0.0) for one in machines), max(one.get("GPU", 0.0) for one in machines)


def _knock(address: str) -> None:
    """Check within seconds that something listens there; Ray would take half a minute."""
    found = _ADDRESS.fullmatch(address)
    assert found is not None
    try:
        with socket.create_connection((found[1].strip("[]"), int(found[2])), timeout=_PATIENCE_S):
            pass
    except (OSError, OverflowError) as error:
        raise ProblemError(f"{address}: nothing answers there: {str(error).lower()}; is the cluster up?") from None


def _why(address: str | None, error: Exception) -> str:
    said = " ".join(str(error).split())
    if address is None:
        return f"Ray does not start on this machine: {said[:200]}"
    if address == AUTO and "any running Ray" in said:
        return "address auto: no Ray cluster runs on this machine; `ray start` starts one, or joins one"
    if "version" in said.lower():
        return f"{address}: {said[:200]}"
    return (
        f"{address}: not a Ray cluster, or one with another token; RAY_AUTH_MODE and RAY_AUTH_TOKEN_PATH have to be "
        f"the same as there ({said[:100]})"
    )


def _tell(data: Any, ignore_prefix: bool = False) -> None:
    for line in data.get("lines", ()):
        _log.warning("Ray: %s", str(line).split(". ", 1)[0].strip())
