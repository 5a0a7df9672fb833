"""File formats: reading and writing them, with one module for each format."""
