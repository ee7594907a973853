"""Recognizes maps of object ids that are about to be measured as if each number were a class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from medseg.types import LabelMap

# Values without a name from which on a map is looked at, and how many of them are.
FEWEST, LOOKED_AT = 6, 60
# Ids run from 1 on with few gaps; class values of atlases are scattered.
DENSE = 0.5
# Fraction of the values that are one connected component each.
SINGLE = 0.9


def numbered_objects(labels: LabelMap) -> tuple[int, ...]:
    """Values that look like ids of objects: many without a name, nearly all of one connected component; or none."""
    values = [entry.value for entry in labels.table if entry.name == f"class-{entry.value}"]
    if len(values) < FEWEST or len(values) < DENSE * max(values):
        return ()
    boxes = ndimage.find_objects(labels.array)
    boxed = [(value, box) for value in sorted(values) if value <= len(boxes) and (box := boxes[value - 1]) is not None]
    chosen = boxed[:: max(1, -(-len(boxed) // LOOKED_AT))]
    around = np.ones((3,) * labels.array.ndim)
    single = sum(ndimage.label(labels.array[box] == value, around)[1] == 1 for value, box in chosen)
    return tuple(values) if len(chosen) >= FEWEST and single >= SINGLE * len(chosen) else ()


def look_like_objects(cases: Sequence[tuple[int, ...]]) -> bool:
    """Whether what `numbered_objects` gave of several cases is ids: classes would be the same in all of them."""
    found = [values for values in cases if values]
    return bool(found) and (len(cases) == 1 or len(set(cases)) > 1)
