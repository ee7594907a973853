"""Volumes with what may be off by, and their differences."""

from __future__ import annotations

import math

from medseg.types import Geometry
from medseg.types.follow_up import SizeChange

# How far the boundary of an object may lie further in or out where no card says how well a model repeats itself.
BOUNDARY_VOXELS = 0.5


def boundary_shift_mm(grid: Geometry) -> float:
    """Half the edge of a cube of a voxel's volume."""
    return float(BOUNDARY_VOXELS * grid.voxel_volume ** (1 / 3))


def half_width_ml(surface_mm2: float, grid: Geometry) -> float:
    """By how much a volume changes where its whole boundary moves by `boundary_shift_mm`, to first order."""
    return surface_mm2 * boundary_shift_mm(grid) / 1000


def size_change(before: tuple[float, float], after: tuple[float, float]) -> SizeChange:
    """Compare two volumes, each with the half-width of its interval, ml: errors at both times are independent."""
    (a, wide_a), (b, wide_b) = before, after
    both = math.hypot(wide_a, wide_b)
    return SizeChange(
        a, b, (max(a - wide_a, 0.0), a + wide_a), (max(b - wide_b, 0.0), b + wide_b), (b - a - both, b - a + both)
    )


def default_repeatability(before: Geometry, after: Geometry) -> str:
    """Say what the intervals are where no card has any."""
    shifts = sorted({f"{boundary_shift_mm(grid):.2g}" for grid in (before, after)})
    return (
        "How well the model repeats a measurement was not measured. By default, the boundary of each object may lie "
        f"half a voxel ({' and '.join(shifts)} mm) further in or out at each time; a change within both together, the "
        "root of the sum of their squares, counts as none."
    )
