"""How large something is: a volume in ml; in a 2D image an area, in pixels where their size is not known."""

from __future__ import annotations

from typing import Literal

import numpy as np

from medseg.types.geometry import Geometry
from medseg.types.scan import Source

Extent = Literal["volume_ml", "area_mm2", "area_px"]
UNITS: dict[Extent, str] = {"volume_ml": "ml", "area_mm2": "mm²", "area_px": "pixels"}


def extent_unit(geometry: Geometry, source: Source | None = None) -> Extent:
    """Say what is measured on a grid: an area where exactly one axis is one voxel long.

    >>> extent_unit(Geometry(np.eye(4), (64, 64, 1)))
    'area_mm2'
    """
    if geometry.shape.count(1) != 1:
        return "volume_ml"
    return "area_px" if source is not None and source.format == "image2d" else "area_mm2"


def extent_of(voxels: int, geometry: Geometry, unit: Extent) -> float:
    """Return the volume or area of so many voxels.

    >>> extent_of(500, Geometry(np.diag([2, 1, 1, 1]), (64, 64, 64)), "volume_ml")
    1.0
    """
    if unit == "volume_ml":
        return voxels * geometry.voxel_volume / 1000
    if unit == "area_px":
        return float(voxels)
    first, second = (geometry.affine[:3, axis] for axis in range(3) if geometry.shape[axis] > 1)
    return voxels * float(np.linalg.norm(np.cross(first, second)))
