"""Closed triangle surfaces around the classes of a label map, by marching cubes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medseg.io.dicom.plane import LPS
from medseg.types import AnyLabels, LabelClass, LabelMap, OverlappingLabels


@dataclass(frozen=True, eq=False)
class Surface:
    """The surface of one class."""

    entry: LabelClass
    vertices: npt.NDArray[np.float64]  # (V, 3), mm in DICOM's patient coordinates, LPS+
    faces: npt.NDArray[np.int64]  # (F, 3), vertices of each triangle, counter-clockwise seen from outside

    @property
    def volume(self) -> float:
        """Volume enclosed, mm³."""
        # Relative to the middle, so that large coordinates cost no digits.
        corners = self.vertices[self.faces] - self.vertices.mean(axis=0)
        return float(np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6)


def surfaces(labels: AnyLabels) -> list[Surface]:
    """Surface of each class that has voxels, half-way between the voxels inside and outside; nothing is smoothed.

    Marching cubes after Lewiner et al. (2003), as in scikit-image. The surface is closed also where a class touches the
    edge of the grid.
    """
    if isinstance(labels, OverlappingLabels):
        return [surface for entry in labels.table for surface in surfaces(labels.alone(entry))]
    places = ndimage.find_objects(labels.array, max_label=labels.table.largest)
    return [
        _surface(labels, entry, place)
        for entry in labels.table
        if (place := places[entry.value - 1] if entry.value <= len(places) else None) is not None
    ]


def _surface(labels: LabelMap, entry: LabelClass, place: tuple[slice, ...]) -> Surface:
    from skimage.measure import marching_cubes

    mask = np.pad(labels.array[place] == entry.value, 1).astype(np.float32)
    points, faces, _, _ = marching_cubes(mask, 0.5)
    corner = np.array([axis.start for axis in place]) - 1
    vertices = labels.geometry.to_world(points.astype(np.float64) + corner) @ LPS
    surface = Surface(entry, vertices, faces.astype(np.int64))
    return surface if surface.volume > 0 else Surface(entry, vertices, surface.faces[:, ::-1])
