"""A prediction and its reference in values that mean the same, and the values of each class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medseg.data.dataset import Dataset
from medseg.errors import InputError
from medseg.types import LabelMap, LabelTable, Prediction


@dataclass(frozen=True, eq=False)
class Comparable:
    """Two label maps on one grid.

    - `values_of`: by a class's value in the dataset's table, the values of both maps of voxels that have it.
    - `ignore`: value of voxels of the reference that do not count.
    """

    prediction: LabelMap
    reference: LabelMap
    values_of: Mapping[int, tuple[int, ...]]
    ignore: int | None


def comparable(data: Dataset, prediction: Prediction, reference: LabelMap) -> Comparable:
    """Bring classes that overlap into bits on both sides: bit ``k`` is the region ``k``; all else stays as it is."""
    if data.overlapping != (prediction.overlapping is not None):
        kinds = ("exclude each other", "may overlap")
        raise InputError(
            f"classes of the model {kinds[not data.overlapping]}, and those of the dataset {kinds[data.overlapping]}",
            where=data.folder,
            fix="State `overlapping` of the dataset as the model's card does.",
        )
    if prediction.overlapping is None:
        values = {entry.value: data.reference_values(entry.value) for entry in data.table}
        return Comparable(prediction.labels, reference, values, data.ignore_label)
    regions = list(data.regions)
    ignored = 1 << len(regions)
    bits = np.zeros(int(max(reference.array.max(), *data.parts, data.ignore_label or 0)) + 1, np.uint16)
    for part in data.parts:
        bits[part] = sum(1 << k for k, value in enumerate(regions) if part in data.regions[value])
    if data.ignore_label is not None:
        bits[data.ignore_label] = ignored
    values = {value: tuple(n for n in range(1, ignored) if n >> k & 1) for k, value in enumerate(regions)}
    found = prediction.overlapping
    return Comparable(
        LabelMap(found.combinations, found.geometry, LabelTable(())),
        LabelMap(bits[reference.array], reference.geometry, LabelTable(())),
        values,
        None if data.ignore_label is None else ignored,
    )
