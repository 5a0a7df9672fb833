"""The box that keeps running: it solves, runs, watches, and solves again when something has changed."""
