"""Clean-up that fills cavities."""

from __future__ import annotations

from collections.abc import Collection

import cc3d
import numpy as np
import numpy.typing as npt

from medseg.post.connectivity import flat_axis
from medseg.post.regions import count_regions
from medseg.types import LabelMap


def fill_holes(labels: LabelMap, *, max_mm3: float | None = None, classes: Collection[int] | None = None) -> LabelMap:
    """Fill the background a class encloses.

    A hole is a part of what is not the class, connected by voxel faces (edges of pixels in a 2D image), that does not
    reach the edge of the grid. Only its background voxels are filled: other classes inside, such as a tumor in an
    organ, stay as they are.

    - `classes`: values of the classes to fill, in ascending order; all by default.
    """
    array = labels.array.copy()
    values, regions = count_regions(labels.array)
    most = None if max_mm3 is None else max_mm3 / labels.geometry.voxel_volume * (1 + 1e-9)
    flat = flat_axis(labels.geometry.shape)
    for value, start, stop in zip(values.tolist(), regions.starts.tolist(), regions.stops.tolist(), strict=True):
        if classes is not None and value not in classes:
            continue
        crop = array[tuple(slice(first, last) for first, last in zip(start, stop, strict=True))]
        crop[_holes(crop == value, flat, most) & (crop == 0)] = value
    return LabelMap(array, labels.geometry, labels.table)


def _holes(mask: npt.NDArray[np.bool_], flat: int | None, most: float | None) -> npt.NDArray[np.bool_]:
    """Parts of the complement of a mask that do not reach the edge of its bounding box.

    What leaves the bounding box is connected to the edge of the grid, so that looking at the box is enough.
    """
    margins = [(0, 0) if axis == flat else (1, 1) for axis in range(3)]
    outside = cc3d.connected_components(np.pad(~mask, margins, constant_values=True), connectivity=6, binary_image=True)
    inner = tuple(slice(low, -high if high else None) for low, high in margins)
    parts = outside[inner]
    hole = (parts > 0) & (parts != outside[0, 0, 0])
    if most is not None and hole.any():
        sizes = np.bincount(parts[hole])
        hole[hole] = sizes[parts[hole]] <= most
    return np.asarray(hole)
