"""What a random walker answers to marks: it corrects what is drawn around the newest one, or draws from nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

from medseg.errors import InputError
from medseg.infer.clicks.interaction import Interaction
from medseg.infer.clicks.session import Present, corrected, cut
from medseg.review import random_walk
from medseg.review.marks import Box, Marks, box_around
from medseg.types.box import Box as Region

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Triple = tuple[int, int, int]

REACH = 5.0  # times the smallest spacing, around the newest mark: what is farther away in the class or not stays so
MOST_REMOVED = 0.5  # of the class around the mark; no reader can have meant to give up more by one mark


def walker_answer(
    scan: Array,
    present: Present,
    interactions: Sequence[Interaction],
    spacing: tuple[float, float, float],
    probability: Array | None = None,
) -> tuple[Box, Mask]:
    """Return the box that was looked at, and what becomes of the class in it.

    Where something of the class is drawn around the newest mark, that is corrected: a mark that belongs to the class
    only adds voxels, one that does not only takes them away, near by and hanging together with the mark. Elsewhere the
    class is drawn from nothing, by all marks; what is drawn of it stays.

    Parameters
    ----------
    scan : ndarray, shape (X, Y, Z)
        All of it.
    present : Present
        What is drawn of the class.
    interactions : sequence of Interaction
        The marks, the oldest first.
    spacing : (float, float, float)
        Of the voxels, mm.
    probability : ndarray of uint8, shape (X, Y, Z), optional
        The model's probability of the class, in 255ths.

    Raises
    ------
    InputError
        When a mark lies outside the scan, nothing of the class is drawn or marked as belonging to it, the scan shows no
        edge, or more would be taken away than can have been meant.
    """
    shape = (scan.shape[0], scan.shape[1], scan.shape[2])
    steps = np.array(spacing) / min(spacing)
    newest = interactions[-1]
    box = box_around(newest.voxels, shape, np.ceil(REACH / steps).astype(int) + 1)
    before = cut(present, _region(box))
    marked = np.ones(box.size, bool)
    marked[tuple((newest.voxels - np.array(box.low)).T)] = False
    is_near = distance_transform_edt(marked, sampling=steps) <= REACH
    if not (before & is_near).any():
        return _from_nothing(scan, present, interactions, spacing, probability)
    markers = np.where(is_near, 0, np.where(before, random_walk.INSIDE, random_walk.OUTSIDE)).astype(np.uint8)
    for one in interactions:
        voxels = one.voxels - np.array(box.low)
        voxels = voxels[((voxels >= 0) & (voxels < box.size)).all(axis=1)]
        markers[tuple(voxels.T)] = random_walk.OUTSIDE if one.is_outside else random_walk.INSIDE
    if (markers == random_walk.OUTSIDE).any():
        found = random_walk.reached(scan[box.slices], markers, spacing, _part(probability, box))
    else:
        found = np.ones(box.size, bool)
    after = corrected(before, found, interactions, box.low)
    around = int(np.count_nonzero(cut(present, _region(box_around(newest.voxels, shape)))))
    removed = int(np.count_nonzero(before & ~after))
    if removed > MOST_REMOVED * around:
        raise InputError(
            f"the random walker would take away {removed:,} of the {around:,} voxels of the class around the mark",
            fix="Erase what is wrong, or mark what belongs first.",
        )
    return box, after


def _from_nothing(
    scan: Array,
    present: Present,
    interactions: Sequence[Interaction],
    spacing: tuple[float, float, float],
    probability: Array | None,
) -> tuple[Box, Mask]:
    kinds = {tuple(voxel): one.is_outside for one in interactions for voxel in one.voxels.tolist()}  # the newest counts
    voxels, is_outside = np.array([*kinds], np.int64), np.array([*kinds.values()])
    box = box_around(voxels, (scan.shape[0], scan.shape[1], scan.shape[2]))
    voxels = voxels - np.array(box.low)
    marks = Marks(voxels[~is_outside], voxels[is_outside])  # raises where nothing is marked as belonging to the class
    before = cut(present, _region(box))
    if interactions[-1].is_outside and before.any():
        raise InputError(
            "nothing of the class is drawn near the mark that does not belong to it",
            fix="Mark a part that is drawn, or what does belong.",
        )
    found = random_walk.random_walk(scan[box.slices], marks, spacing, _part(probability, box))
    return box, corrected(before, found, interactions, box.low)


def _part(probability: Array | None, box: Box) -> Array | None:
    """A probability within a box, 0 to 1."""
    return None if probability is None else probability[box.slices] / 255


def _region(box: Box) -> Region:
    i, j, k = (low + size for low, size in zip(box.low, box.size, strict=True))
    return Region(box.low, (i, j, k))
