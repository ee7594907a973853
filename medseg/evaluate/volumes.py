"""Volumes of the classes of a prediction."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict

from medseg.engine.stage import RunContext
from medseg.types import LabelMap, Prediction
from medseg.types.run import ClassVolume, Volumes

__all__ = ["Measure", "measure_volumes"]


def measure_volumes(labels: LabelMap) -> Volumes:
    """Count the voxels of every class in the table and give their volume.

    Parameters
    ----------
    labels : LabelMap
        On any grid; a sheared one counts with its true voxel volume.

    Returns
    -------
    Volumes
        One row a class, in the table's order; absent classes have zero.
    """
    counts = np.bincount(labels.array.ravel(), minlength=labels.table.largest + 1)
    millilitres = labels.geometry.voxel_volume / 1000.0
    return Volumes(
        tuple(ClassVolume(c.name, int(counts[c.value]), float(counts[c.value] * millilitres)) for c in labels.table)
    )


class Measure:
    """Stage that measures the volumes of a prediction."""

    class Options(BaseModel):
        """Nothing to choose."""

        model_config = ConfigDict(extra="forbid", frozen=True)

    def __init__(self, options: Options) -> None:
        self.options = options

    def run(self, item: Prediction, context: RunContext) -> Volumes:
        """Measure."""
        return measure_volumes(item.labels)
