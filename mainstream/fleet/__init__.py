"""Fleets: many boxes, each with its own streams and budget, that are planned, deployed and asked together."""
