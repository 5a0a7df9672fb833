"""Plug-in, extra ``train``: M-Packages from labelled images, profiles of networks, frozen graphs."""

from mainstream.trainer.training import Training, train

__all__ = ["Training", "train"]
