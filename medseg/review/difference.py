"""What a person changed of a model's labels, in figures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medseg.types import LabelMap


@dataclass(frozen=True)
class Difference:
    """How labels differ from others on the same grid."""

    changed_voxels: int
    dice: dict[str, float | None]  # class name to Dice; None where neither has the class
    volume_ml: dict[str, float]  # class name to volume of the new labels


def difference(labels: LabelMap, model: LabelMap) -> Difference:
    """Compare labels with the model's; both on one grid.

    Raises
    ------
    GeometryMismatch
        When they are not on one grid.
    """
    labels.geometry.match(model.geometry, what="the labels and the model's labels")
    new, old, both = (np.zeros(65536, np.int64) for _ in range(3))
    changed = 0
    # A slice at a time, because counting takes eight bytes for each voxel.
    for k in range(labels.array.shape[2]):
        a, b = labels.array[..., k].ravel(), model.array[..., k].ravel()
        new += np.bincount(a, minlength=65536)
        old += np.bincount(b, minlength=65536)
        same = a == b
        both += np.bincount(a[same], minlength=65536)
        changed += int(same.size - np.count_nonzero(same))
    ml = labels.geometry.voxel_volume / 1000
    sums = {entry.name: (int(both[entry.value]), int(new[entry.value] + old[entry.value])) for entry in labels.table}
    return Difference(
        changed,
        {name: 2 * shared / total if total else None for name, (shared, total) in sums.items()},
        {entry.name: float(new[entry.value] * ml) for entry in labels.table},
    )
