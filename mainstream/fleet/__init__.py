"""Fleets: many boxes, each with its streams and its budget, planned, deployed and asked together."""
