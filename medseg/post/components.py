"""Objects as connected components: every class in one pass."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError
from medseg.post.connectivity import Connectivity, neighborhood
from medseg.post.slab_labeling import label_in_slabs
from medseg.types import Instances, LabelMap, LabelTable


def components(
    labels: LabelMap,
    *,
    connectivity: Connectivity = 26,
    classes: Collection[int] | None = None,
    planes: int | None = None,
    out: npt.NDArray[np.int32] | None = None,
) -> Instances:
    """Make an object of every connected component of every class.

    Ids run from 1, class by class, the largest object of a class first; they do not depend on the orientation or the
    memory layout of the array. Touching voxels of different classes are different objects.

    - `connectivity`: voxels that share a face, also an edge, also a corner; 4 and 8 are their like in a 2D image.
    - `classes`: values of the classes to make objects of; all by default.
    - `planes`: thickness of the slabs the map is worked through in; the result does not depend on it.
    - `out`, shape (X, Y, Z): receives the ids, for instance a memory-mapped file.
    - returns: with size and place of every object; `medseg.post.measure.measure` adds their shape.
    """
    if out is not None and (out.shape != labels.array.shape or out.dtype != np.int32):
        raise InputError(
            f"ids need int32 of shape {labels.array.shape}, not {out.dtype} {out.shape}",
            fix="Give such an array, or none.",
        )
    ids, regions = label_in_slabs(
        labels.array,
        labels.geometry,
        connectivity=neighborhood(connectivity, labels.geometry.shape),
        classes=classes,
        planes=planes,
        out=out,
    )
    rows = regions.rows(labels.geometry, np.ones(len(regions), bool))
    return Instances(ids, labels.geometry, rows, labels.table)


def class_values(names: Collection[str] | None, table: LabelTable) -> tuple[int, ...]:
    """Return the values of classes given by name; of every class for None."""
    known = {item.name: item.value for item in table}
    if names is None:
        return tuple(known.values())
    if unknown := [name for name in names if name not in known]:
        raise InputError(
            f"there is no class called '{unknown[0]}'", fix=f"The label map has: {', '.join(known) or 'no classes'}."
        )
    return tuple(known[name] for name in names)
