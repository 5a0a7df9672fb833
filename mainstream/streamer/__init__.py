"""Plug-in: net plans, the deployer, and the runtime that executes them."""
