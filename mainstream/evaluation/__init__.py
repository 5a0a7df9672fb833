"""Measure what schedules do on a labelled clip: ``mainstream evaluate``."""
