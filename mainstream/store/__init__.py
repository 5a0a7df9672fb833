"""The package store: M-Packages by name and version, in a folder, behind any fsspec URL, or with Redis."""

from mainstream.store.store import Store, open_store

__all__ = ["Store", "open_store"]
