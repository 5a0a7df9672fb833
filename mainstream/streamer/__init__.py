"""Plug-in: net plans, the deployer, and the runtime that executes them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mainstream.streamer.client import StreamerClient
from mainstream.streamer.deployer import Deployer, Observed
from mainstream.streamer.plan import NetPlan, Subnet, net_plan, net_plans

if TYPE_CHECKING:
    from mainstream.streamer.runner import LocalRunner
    from mainstream.streamer.server import Server

__all__ = [
    "Deployer",
    "LocalRunner",
    "NetPlan",
    "Observed",
    "Server",
    "StreamerClient",
    "Subnet",
    "net_plan",
    "net_plans",
]

_RUNTIME = {"LocalRunner": "runner", "Server": "server"}


def __getattr__(name: str) -> Any:
    # On first use: whoever only makes plans, or is a client, need not wait for what a runtime imports.
    if name in _RUNTIME:
        return getattr(import_module(f"{__name__}.{_RUNTIME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
