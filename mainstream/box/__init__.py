"""The box that keeps running: solves, runs, watches, and solves again when something has changed."""
