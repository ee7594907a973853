"""Labels brought in line with the objects that were made of them."""

from __future__ import annotations

import numpy as np

from medseg.types import Instances, LabelMap
from medseg.types.labels import smallest_label_dtype


def labels_of_objects(labels: LabelMap, instances: Instances) -> LabelMap:
    """Give every voxel of an object its object's class; classes that the objects' table has not are gone.

    A class of that table which no objects were made of stays as it is.
    """
    class_of = np.zeros(max((row.id for row in instances.rows), default=0) + 1, dtype=np.uint16)
    for row in instances.rows:
        class_of[row.id] = row.class_value
    kept = [c.value for c in labels.table if any(c.value == known.value for known in instances.table)]
    made = {row.class_value for row in instances.rows}
    unmade = np.where(np.isin(labels.array, [v for v in kept if v not in made]), labels.array, 0)
    array = np.where(instances.ids > 0, class_of[instances.ids], unmade).astype(
        smallest_label_dtype(max(kept, default=0))
    )
    return LabelMap(array, labels.geometry, instances.table)
