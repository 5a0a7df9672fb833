"""Split images for training, validation and test: stratified, seeded, groups kept together."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mainstream.description import shown
from mainstream.errors import ProblemError
from mainstream.files import naming, read_text

Rows = NDArray[np.int64]
Labels = NDArray[np.int64]


def split(labels: Labels, groups: Sequence[str], share: float, seed: int) -> tuple[Rows, Rows]:
    """Split samples into two parts, with the same share of each class in the second part and no group in both.

    Groups are taken in random order. A group goes to the second part if that brings the classes nearer to their share.
    With one sample a group this is an exact stratified split.

    Parameters
    ----------
    labels : (n,) array of int
    groups : (n,) sequence of str
        Samples of one group stay on one side.
    share : float
        Share of the second part, in (0, 1); it gets at least one sample of each class if groups allow.
    seed : int

    Returns
    -------
    (first,) array, (second,) array
        Indices, increasing.
    """
    classes, numbers = np.unique(labels, return_inverse=True)
    names, members = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), len(classes)), np.int64)
    np.add.at(counts, (members, numbers), 1)
    goal = np.maximum(np.round(share * counts.sum(axis=0)), 1)
    missing = goal.copy()
    second = np.zeros(len(names), bool)
    for group in np.random.default_rng(seed).permutation(len(names)):
        left = missing - counts[group]
        if (np.abs(left) / goal).sum() < (np.abs(missing) / goal).sum():
            second[group] = True
            missing = left
    chosen = second[members]
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def read_groups(path: Path) -> dict[str, str]:
    """Read the group of each image from CSV without a header: the image's path below the image folder, any name.

    Raises
    ------
    ProblemError
        The file cannot be read, a line does not have two values, or an image is listed twice.
    """
    groups: dict[str, str] = {}
    lines = read_text(path).splitlines()
    with naming(path):
        for number, row in enumerate(csv.reader(lines, skipinitialspace=True), start=1):
            if not row:
                continue
            if len(row) != 2:
                raise ProblemError(f"line {number}: {len(row)} values; it has to have 2: image, group")
            if row[0] in groups:
                raise ProblemError(f"line {number}: image {shown(row[0])} is listed twice")
            groups[row[0]] = row[1].strip()
    return groups
