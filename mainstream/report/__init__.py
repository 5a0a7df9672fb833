"""Plots of schedules and frontiers."""
