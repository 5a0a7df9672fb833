"""Which images train, which stop the training, and which are measured on: stratified, seeded, sources kept together."""

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
    """Two parts of samples, the same share of each class in the second, no group in both.

    Groups come in random order; one goes to the second part when that brings the classes nearer to their share. With
    one sample a group that is an exact stratified split.

    Parameters
    ----------
    labels : (n,) array of int
    groups : (n,) sequence of str
        Samples of one group stay on one side.
    share : float
        Of the second part, in (0, 1); at least one sample of each class.
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
    wanted = np.maximum(np.round(share * counts.sum(axis=0)), 1)
    missing = wanted.copy()
    second = np.zeros(len(names), bool)
    for group in np.random.default_rng(seed).permutation(len(names)):
        left = missing - counts[group]
        if (np.abs(left) / wanted).sum() < (np.abs(missing) / wanted).sum():
            second[group] = True
            missing = left
    chosen = second[members]
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def read_groups(path: Path) -> dict[str, str]:
    """Image -> its group, from CSV without a header: the image's path below the image folder, and any name.

    Raises
    ------
    ProblemError
        The file cannot be read, a line has not two values, or an image stands twice.
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
                raise ProblemError(f"line {number}: image {shown(row[0])} stands twice")
            groups[row[0]] = row[1].strip()
    return groups
