"""Workloads, sweeps and event simulation."""
