"""What a person changed of a model's labels, in figures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medseg.review.results import CaseResult
from medseg.review.revisions import Revision
from medseg.types import LabelMap
from medseg.types.value_counts import N_VALUES, value_counts

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Difference:
    """How labels differ from others on the same grid."""

    changed_voxels: int
    dice: dict[str, float | None]  # class name to Dice; None where neither has the class
    volume_ml: dict[str, float]  # class name to volume of the new labels
    counts: Counts  # voxels of each value of the new labels


def difference(labels: LabelMap, model: LabelMap, model_counts: Counts | None = None) -> Difference:
    """Compare labels with the model's; both on one grid. The counts of the model's values may be given if known.

    Only what differs is counted, which in a correction is little.

    Raises
    ------
    GeometryMismatch
        When they are not on one grid.
    """
    labels.geometry.match(model.geometry, what="the labels and the model's labels")
    old = value_counts(model.array) if model_counts is None else model_counts
    gained, lost = np.zeros(N_VALUES, np.int64), np.zeros(N_VALUES, np.int64)
    changed = 0
    for k in range(labels.array.shape[2]):
        a, b = labels.array[..., k], model.array[..., k]
        differs = a != b
        if count := int(np.count_nonzero(differs)):
            changed += count
            gained += value_counts(a[differs])
            lost += value_counts(b[differs])
    new, both = old + gained - lost, old - lost
    ml = labels.geometry.voxel_volume / 1000
    sums = {entry.name: (int(both[entry.value]), int(new[entry.value] + old[entry.value])) for entry in labels.table}
    return Difference(
        changed,
        {name: 2 * shared / total if total else None for name, (shared, total) in sums.items()},
        {entry.name: float(new[entry.value] * ml) for entry in labels.table},
        new,
    )


def may_be_equal(revision: Revision, result: CaseResult) -> bool:
    """Whether labels could be those of a model, by the volumes that are on record of both; no file is read."""
    figures = (result.content["volumes"] or {}).items()
    of_model = {name: one["volume_ml"] for name, one in figures if "volume_ml" in one}
    return all(math.isclose(ml, revision.volume_ml.get(name, 0.0), rel_tol=1e-6) for name, ml in of_model.items())
