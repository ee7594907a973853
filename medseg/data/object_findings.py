"""Finds labels whose values number objects where nobody named classes: trained on, each number would be a class."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from medseg.data.dataset import Dataset
from medseg.data.examine import Examined
from medseg.data.findings import Finding
from medseg.types import LabelTable

# Fewer labels, or fewer numbers in the fullest, may be anything.
LABELS, NUMBERS = 3, 6
# Nearly all labels hold 1..K, and nearly all values are one piece.
NEARLY = 0.8
# Part of the ellipse or ellipsoid with a value's own moments that one component fills; several fill less.
ONE_PIECE = 0.5
# Mean squared direction from one number's place to the next one's: 1 where places recur as in a body, 0 by chance.
# Where every label holds as many numbers, less of it counts as recurring.
RECURRING, RECURRING_IN_EQUAL = 0.5, 0.2


def numbered_as_classes(data: Dataset, examined: Sequence[Examined]) -> Iterator[Finding]:
    """Unnamed values 1..K, each one piece, in places that do not recur; K usually differs by case."""
    unnamed = all(c.name == LabelTable.unnamed([c.value]).classes[0].name for c in data.table)
    if data.references != "classes" or data.regions or data.masks or not unnamed or len(data.table) < NUMBERS:
        return
    read = [e for e in examined if e.trouble is None and e.moments]
    counts = [len(e.classes) for e in read]
    if len(read) < LABELS or max(counts) < NUMBERS:
        return
    first = [c.name for c in data.table if c.value <= len(data.table)]
    in_turn = np.mean([set(e.classes) == set(first[: len(e.classes)]) for e in read])
    limit = RECURRING if len(set(counts)) > 1 else RECURRING_IN_EQUAL
    if in_turn >= NEARLY and _in_one_piece(read) >= NEARLY and _recurrence(read, first) < limit:
        every = tuple(e.case.case_id for e in examined)
        message = (
            f"No class is named, and labels hold values from 1 up to {max(counts)}, each one piece in another place "
            "in every case: do they number objects, such as cells or lesions?"
        )
        yield Finding("numbered-objects", message, every[0], every[1:])


def _in_one_piece(read: Sequence[Examined]) -> float:
    """Fraction of values that fill the ellipse or ellipsoid of their moments."""
    filled = []
    for one in read:
        assert one.shape is not None
        assert one.spacing is not None
        axes = [axis for axis in range(3) if one.shape[axis] > 1]
        spacing = np.array(one.spacing)[axes]
        whole = 4 * math.pi if len(axes) == 2 else 4 / 3 * math.pi * 5**1.5
        for name, moments in (one.moments or {}).items():
            covariance = moments.covariance[np.ix_(axes, axes)] + np.diag(spacing**2 / 12)  # of a voxel itself
            size = (one.voxels or {})[name] * float(spacing.prod())
            filled.append(size > ONE_PIECE * whole * math.sqrt(max(float(np.linalg.det(covariance)), 0)))
    return float(np.mean(filled))


def _recurrence(read: Sequence[Examined], names: Sequence[str]) -> float:
    """How alike the directions from each number to the next are over cases, 0 to 1; their own number is allowed for."""
    directions: dict[str, list[npt.NDArray[np.float64]]] = defaultdict(list)
    for one in read:
        found = one.moments or {}
        for name, following in pairwise(names):
            if name in found and following in found:
                way = found[following].center - found[name].center
                directions[name].append(way / max(float(np.linalg.norm(way)), 1e-9))
    alike = [
        (len(ways) * float(np.square(np.mean(ways, axis=0)).sum()) - 1) / (len(ways) - 1)
        for ways in directions.values()
        if len(ways) > 1
    ]
    return float(np.mean(alike)) if alike else 1.0
