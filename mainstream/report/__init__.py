"""Plots of schedules and frontiers, and reports of experiments."""
