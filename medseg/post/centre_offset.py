"""Objects from a centre heatmap and offsets to centres, as in Panoptic-DeepLab: what to train on, and how to decode."""

from __future__ import annotations

import logging
from collections import Counter

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from scipy.ndimage import center_of_mass, label, maximum_filter
from scipy.spatial import KDTree

from medseg.engine.stage import RunContext
from medseg.post.components import class_values
from medseg.post.measure import located
from medseg.post.numbering import number_objects
from medseg.post.runs import slabs
from medseg.types import Instances
from medseg.types.instances import CentreFields, InstanceMeasures

__all__ = ["CentreOffset", "centre_fields", "objects_from_centres"]

logger = logging.getLogger("medseg.post")

# Beyond three standard deviations the heatmap is 0.
REACH = 3.0


def centre_fields(instances: Instances, sigma_mm: float) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Make the two regression targets of a network with a centre head and an offset head.

    Parameters
    ----------
    instances : Instances
        Reference objects; stuff has no centre.
    sigma_mm : float
        Standard deviation of the Gaussian around each centre.

    Returns
    -------
    heatmap : ndarray of float32, shape (X, Y, Z)
        1 at the voxel nearest to the centroid of each object, falling to 0; the largest where several overlap.
    offsets : ndarray of float32, shape (3, X, Y, Z)
        From each voxel of an object to its centroid, in mm along the array axes; 0 elsewhere.

    References
    ----------
    Cheng et al., "Panoptic-DeepLab", CVPR 2020, sections 3.2 and 3.4.
    """
    shape, spacing = instances.ids.shape, np.array(instances.geometry.spacing)
    heatmap, offsets = np.zeros(shape, np.float32), np.zeros((3, *shape), np.float32)
    reach = np.ceil(REACH * sigma_mm / spacing).astype(int)
    for row in located(instances).rows:
        if not row.is_thing:
            continue
        assert row.measures is not None
        centre = instances.geometry.to_voxel(row.measures.centroid_mm)
        nearest = np.rint(centre).astype(int)
        ends = zip(nearest, reach, shape, strict=True)
        around = tuple(slice(max(0, int(at - more)), min(size, int(at + more + 1))) for at, more, size in ends)
        squared = sum(step**2 for step in _steps(around, nearest, spacing))
        blob = np.where(squared <= (REACH * sigma_mm) ** 2, np.exp(-squared / (2 * sigma_mm**2)), 0)
        heatmap[around] = np.maximum(heatmap[around], blob)
        _draw_offsets(offsets, instances.ids, row.id, row.measures, centre, spacing)
    return heatmap, offsets


def objects_from_centres(
    fields: CentreFields,
    *,
    threshold: float = 0.1,
    window_mm: float = 7.0,
    classes: tuple[int, ...] | None = None,
) -> Instances:
    """Give each voxel of a thing to the centre its offset points to.

    Parameters
    ----------
    fields : CentreFields
        What the network says.
    threshold : float
        A centre needs a heatmap value above this.
    window_mm : float
        A centre is the highest value within a box of this size around it: two centres nearer than half of it are one.
    classes : tuple of int, optional
        Values of the thing classes; by default those the label table calls things.

    Returns
    -------
    Instances
        An object has the class most of its voxels have. Where nothing passes for a centre there are no objects, and a
        warning says how many voxels were left.
    """
    labels = fields.labels
    if classes is None:
        classes = tuple(item.value for item in labels.table if item.is_thing)
    spacing = np.array(labels.geometry.spacing)
    things = np.isin(labels.array, classes)
    centres = _centres(fields.heatmap, threshold, window_mm, labels.geometry.spacing)
    ids = np.zeros(labels.geometry.shape, np.int32)
    if len(centres) == 0:
        if things.any():
            logger.warning("%d voxels of thing classes belong to no object: no centre was found", things.sum())
        return number_objects(ids, labels.geometry, {}, labels.table)
    tree = KDTree(centres * spacing)
    votes: Counter[tuple[int, int]] = Counter()
    for first, last in slabs(ids.shape):
        places = np.argwhere(things[..., first:last])
        if len(places) == 0:
            continue
        places[:, 2] += first
        x, y, z = places.T
        pointed = places * spacing + fields.offsets[:, x, y, z].T
        owners = tree.query(pointed)[1] + 1
        ids[x, y, z] = owners
        pairs, counts = np.unique(np.stack([owners, labels.array[x, y, z]]), axis=1, return_counts=True)
        for owner, value, count in zip(*pairs.tolist(), counts.tolist(), strict=True):
            votes[owner, value] += count
    of_class: dict[int, int] = {}
    for (owner, value), _ in sorted(votes.items(), key=lambda item: (item[1], -item[0][1])):
        of_class[owner] = value
    return number_objects(ids, labels.geometry, of_class, labels.table)


def _steps(
    box: tuple[slice, ...], centre: npt.NDArray[np.generic], spacing: npt.NDArray[np.float64]
) -> list[npt.NDArray[np.float64]]:
    """Distance in mm of each voxel of a box from a centre along each axis, ready to broadcast."""
    grid = np.ogrid[box]
    return [(axis - at) * step for axis, at, step in zip(grid, centre, spacing, strict=True)]


def _draw_offsets(
    offsets: npt.NDArray[np.float32],
    ids: npt.NDArray[np.int32],
    number: int,
    measures: InstanceMeasures,
    centre: npt.NDArray[np.float64],
    spacing: npt.NDArray[np.float64],
) -> None:
    inside = ids[measures.box] == number
    for axis, step in enumerate(_steps(measures.box, centre, spacing)):
        offsets[(axis, *measures.box)][inside] = np.broadcast_to(-step, inside.shape)[inside]


def _centres(
    heatmap: npt.NDArray[np.float32], threshold: float, window_mm: float, spacing: tuple[float, float, float]
) -> npt.NDArray[np.float64]:
    """Voxel indices of the centres, shape (centres, 3): one for each connected set of highest voxels."""
    window = [1 + 2 * int(window_mm / 2 / step) for step in spacing]
    highest = (heatmap == maximum_filter(heatmap, size=window)) & (heatmap > threshold)
    numbered, count = label(highest, structure=np.ones((3, 3, 3)))
    if count == 0:
        return np.empty((0, 3))
    return np.array(center_of_mass(highest, numbered, np.arange(1, count + 1)))


class CentreOffset:
    """Makes objects of the centres and offsets a network has found."""

    class Options(BaseModel):
        """What passes for a centre."""

        model_config = ConfigDict(extra="forbid", frozen=True)

        threshold: float = Field(default=0.1, ge=0, lt=1, description="lowest heatmap value of a centre")
        window_mm: float = Field(default=7.0, gt=0, description="size of the box a centre is the highest value in")
        classes: tuple[str, ...] | None = Field(default=None, description="names; null takes the table's things")

    def __init__(self, options: Options) -> None:
        self.options = options

    def run(self, item: CentreFields, context: RunContext) -> Instances:
        """Number the objects."""
        names = self.options.classes
        return objects_from_centres(
            item,
            threshold=self.options.threshold,
            window_mm=self.options.window_mm,
            classes=None if names is None else class_values(names, item.labels.table),
        )
