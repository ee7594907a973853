"""One label map out of several readers': by majority, or by STAPLE, which weighs readers by how good they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from medseg.errors import UsageError
from medseg.types import LabelMap
from medseg.types.labels import smallest_label_dtype

if TYPE_CHECKING:
    import SimpleITK as sitk  # noqa: N813

Method = Literal["majority", "staple"]
# Rounds of expectation maximization; the filter's own default has no limit, and a large case may then take hours.
MOST_ROUNDS = 200


@dataclass(frozen=True, eq=False)
class Consensus:
    """What several readers have in common, and where no class won, which is background in the labels.

    `sensitivity` is by class name, a figure for each reader in their order: of the voxels that truly are of the class,
    the fraction the reader gave it, by STAPLE's estimate; empty for the majority.
    """

    labels: LabelMap
    tied: int  # voxels
    sensitivity: dict[str, tuple[float, ...]] = field(default_factory=dict)


def consensus(readings: Sequence[LabelMap], method: Method = "staple") -> Consensus:
    """Make one label map of several readers' of the same case.

    Parameters
    ----------
    readings : sequence of LabelMap, shape (X, Y, Z) each
        Two or more, on one grid, with one table.
    method : {"majority", "staple"}
        The class most readers gave a voxel (of two readers, what both agree on), or the most probable class where each
        reader has a rate of confusing each class with each other, estimated from the readings themselves.

    Returns
    -------
    Consensus
        On the readings' grid, with the first one's table.

    Raises
    ------
    UsageError
        For fewer than two readings.
    GeometryMismatch
        When they are not on one grid.

    References
    ----------
    Rohlfing, Russakoff and Maurer, Performance-based classifier combination in atlas-based image segmentation using
    expectation-maximization parameter estimation, IEEE Transactions on Medical Imaging 2004 (STAPLE for many classes).
    """
    if len(readings) < 2:
        raise UsageError("a consensus needs two readings or more", fix="Let a second reader segment the case.")
    first = readings[0]
    for reading in readings[1:]:
        reading.geometry.match(first.geometry, what="the readings")
    values = np.unique(np.concatenate([np.unique(reading.array) for reading in readings]).astype(np.int64))
    values = np.union1d(values, [0])
    array = np.zeros(first.geometry.shape, smallest_label_dtype(int(values[-1])))
    box = _box([reading.array for reading in readings])
    if box is None:
        return Consensus(LabelMap(array, first.geometry, first.table), 0)
    # Classes are numbered without gaps, since STAPLE keeps a square matrix as large as the largest value. Its estimate
    # depends on how much background there is, so both see only the box that holds everything drawn.
    images = [_image(np.searchsorted(values, reading.array[box])) for reading in readings]
    chosen, sensitivity = _majority(images, len(values)) if method == "majority" else _staple(images, len(values))
    tied = chosen >= len(values)
    chosen[tied] = 0
    array[box] = values[chosen]
    named = {first.table.name_of(int(value)): sensitivity[n] for n, value in enumerate(values) if n and sensitivity}
    return Consensus(LabelMap(array, first.geometry, first.table), int(tied.sum()), named)


def _majority(images: list[sitk.Image], classes: int) -> tuple[npt.NDArray[Any], list[tuple[float, ...]]]:
    import SimpleITK as sitk  # noqa: N813

    return sitk.GetArrayFromImage(sitk.LabelVoting(images, classes)), []


def _staple(images: list[sitk.Image], classes: int) -> tuple[npt.NDArray[Any], list[tuple[float, ...]]]:
    import SimpleITK as sitk  # noqa: N813

    estimate = sitk.MultiLabelSTAPLEImageFilter()
    estimate.SetLabelForUndecidedPixels(classes)
    estimate.SetMaximumNumberOfIterations(MOST_ROUNDS)
    chosen = sitk.GetArrayFromImage(estimate.Execute(images))
    # Rows are what the reader gave, columns the truth; a last row is for what no reader gave.
    matrices = [np.array(estimate.GetConfusionMatrix(n)).reshape(-1, classes) for n in range(len(images))]
    return chosen, [tuple(float(matrix[n, n]) for matrix in matrices) for n in range(classes)]


def _image(array: npt.NDArray[Any]) -> sitk.Image:
    import SimpleITK as sitk  # noqa: N813

    return sitk.GetImageFromArray(np.ascontiguousarray(array, dtype=np.uint16))


def _box(arrays: Sequence[npt.NDArray[Any]]) -> tuple[slice, ...] | None:
    """Smallest box that holds everything drawn; None where nothing is."""
    drawn = np.logical_or.reduce([array != 0 for array in arrays])
    if not drawn.any():
        return None
    box = []
    for axis in range(drawn.ndim):
        present = np.flatnonzero(drawn.any(axis=tuple(other for other in range(drawn.ndim) if other != axis)))
        box.append(slice(int(present[0]), int(present[-1]) + 1))
    return tuple(box)
