"""Experiments: workloads, sweeps and event simulation."""
