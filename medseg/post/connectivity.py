"""Which neighbors count as touching."""

from __future__ import annotations

from typing import Literal

from medseg.errors import ConfigError

Connectivity = Literal[4, 6, 8, 18, 26]

# On a flat grid 18 and 26 neighbors come down to the same 8 of the plane.
_ON_FLAT: dict[int, int] = {4: 6, 6: 6, 8: 26, 18: 26, 26: 26}


def flat_axis(shape: tuple[int, ...]) -> int | None:
    """The axis a 2D image has no depth along: the one axis of its grid with a single voxel; None for a volume."""
    flat = [axis for axis, size in enumerate(shape) if size == 1]
    return flat[0] if len(flat) == 1 else None


def neighborhood(connectivity: Connectivity, shape: tuple[int, ...]) -> int:
    """Return the 3D connectivity 6, 18 or 26 that means the same on a grid of this shape.

    - `connectivity`: 6 voxels that share a face, 18 also an edge, 26 also a corner; 4 and 8 are their like in a 2D
      image.
    """
    if flat_axis(shape) is not None:
        return _ON_FLAT[connectivity]
    if connectivity in (4, 8):
        raise ConfigError(
            f"connectivity {connectivity} is for 2D images, and the grid has shape {tuple(shape)}",
            fix="Use 6 (faces), 18 (and edges) or 26 (and corners).",
        )
    return connectivity


def seam_offsets(connectivity: int) -> tuple[tuple[int, int], ...]:
    """Return where a voxel's neighbors lie in the next plane, relative to the voxel, for connectivity 6, 18 or 26."""
    reach = {6: 0, 18: 1, 26: 2}[connectivity]
    return tuple((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if abs(i) + abs(j) <= reach)


def neighbor_pairs(shape: tuple[int, ...], step: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return slices of an array that lay each voxel on its neighbor at a step of -1, 0 or 1 along each axis."""
    both = tuple(zip(step, shape, strict=True))
    own = tuple(slice(max(0, -move), size - max(0, move)) for move, size in both)
    neighbor = tuple(slice(max(0, move), size - max(0, -move)) for move, size in both)
    return own, neighbor
