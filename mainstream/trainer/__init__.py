"""Plug-in, extra ``train``: from labelled images to M-Packages; profiles of networks; frozen graphs."""

from mainstream.trainer.training import Training, train

__all__ = ["Training", "train"]
