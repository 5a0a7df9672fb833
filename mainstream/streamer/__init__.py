"""Plug-in: net plans, the deployer, and the runtime that executes them."""

from mainstream.streamer.client import Deployer, Observed, StreamerClient
from mainstream.streamer.plan import NetPlan, Subnet, net_plan

__all__ = ["Deployer", "NetPlan", "Observed", "StreamerClient", "Subnet", "net_plan"]
