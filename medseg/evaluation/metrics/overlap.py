"""Counts voxels once for all classes, and derives from the counts everything that overlap can say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

SLAB_VOXELS = 1 << 20  # a slab of this many voxels stays in the cache between the passes over it


@dataclass(frozen=True, eq=False)
class Confusion:
    """Joint histogram of a reference and a prediction."""

    values: tuple[int, ...]  # ascending; the first is 0, background
    counts: npt.NDArray[np.int64]  # by reference value (row) and predicted value (column)

    def for_values(self, values: Iterable[int]) -> tuple[int, int, int]:
        """Voxels of the union of some classes: in both, in the reference, in the prediction."""
        chosen = [self.values.index(value) for value in values if value in self.values]
        both = int(self.counts[np.ix_(chosen, chosen)].sum())
        return both, int(self.counts[chosen, :].sum()), int(self.counts[:, chosen].sum())


def confusion(reference: npt.NDArray[Any], prediction: npt.NDArray[Any]) -> Confusion:
    """Count every pair of reference and predicted value in one pass over two uint8 or uint16 label maps on one grid."""
    # The common case, 8 bits each, needs no look for which values occur: their pairs fit in 16 bits.
    if reference.dtype.itemsize == prediction.dtype.itemsize == 1:
        values, rank = np.arange(256), None
    else:
        values = _values_in(reference, prediction)
        rank = np.zeros(65536, np.uint16)
        rank[values] = np.arange(len(values), dtype=np.uint16)
    n = len(values)
    pairs = np.zeros(n * n, np.int64)
    for slab in slabs(reference):
        a, b = reference[slab].ravel(), prediction[slab].ravel()
        occupied = np.flatnonzero(a | b)  # background in both is most of a scan, and is known by subtraction
        if not len(occupied):
            continue
        a, b = a[occupied], b[occupied]
        if rank is not None:
            a, b = rank[a], rank[b]
        pairs += np.bincount(a.astype(np.intp) * n + b, minlength=n * n)
    pairs[0] = reference.size - pairs.sum()
    counts = pairs.reshape(n, n)
    present = (counts.any(axis=0) | counts.any(axis=1)) | (np.arange(n) == 0)
    return Confusion(tuple(int(v) for v in values[present]), counts[np.ix_(present, present)])


def overlap_measures(both: int, reference: int, prediction: int, voxel_volume: float) -> dict[str, float]:
    """Overlap and volume of one class from three counts of voxels; `voxel_volume` is in mm³.

    A quotient of nothing by nothing is NaN.
    """
    volume_ml = voxel_volume / 1000
    return {
        "dice": _quotient(2 * both, reference + prediction),
        "iou": _quotient(both, reference + prediction - both),
        "precision": _quotient(both, prediction),
        "recall": _quotient(both, reference),
        "volume_ml": prediction * volume_ml,
        "reference_volume_ml": reference * volume_ml,
        "volume_difference_ml": (prediction - reference) * volume_ml,
        "relative_volume_difference": _quotient(prediction - reference, reference),
    }


def slabs(array: npt.NDArray[Any]) -> Iterator[slice]:
    """Cut the first axis into slabs of about `SLAB_VOXELS` voxels."""
    step = max(1, SLAB_VOXELS * array.shape[0] // max(1, array.size))
    for start in range(0, array.shape[0], step):
        yield slice(start, min(start + step, array.shape[0]))


def _values_in(*arrays: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    present = np.zeros(65536, bool)
    present[0] = True
    for array in arrays:
        for slab in slabs(array):
            present[array[slab].ravel()] = True
    return np.flatnonzero(present)


def _quotient(above: float, below: float) -> float:
    if below == 0:
        return float("nan") if above == 0 else float(np.copysign(np.inf, above))
    return above / below
