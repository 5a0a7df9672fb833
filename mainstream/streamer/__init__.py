"""Plug-in: net plans, the deployer, and the runtime that executes them."""

from mainstream.streamer.plan import NetPlan, Subnet, net_plan

__all__ = ["NetPlan", "Subnet", "net_plan"]
