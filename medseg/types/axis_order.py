"""Brings array axes into the order and direction a network expects, and back, by exact permutation and flips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.types import Geometry

POSITIVE, NEGATIVE = "RAS", "LPI"


@dataclass(frozen=True)
class AxisOrder:
    """A permutation of the three spatial axes followed by flips: one of the 48 ways to store the same voxels."""

    permutation: tuple[int, int, int] = (0, 1, 2)  # axis ``i`` of the result is axis ``permutation[i]`` of the source
    # Whether axis ``i`` of the result runs against its source axis.
    flips: tuple[bool, bool, bool] = (False, False, False)

    def apply(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """View of an array of shape (..., X, Y, Z) in this order; no voxel is copied."""
        lead = array.ndim - 3
        return self._flip(array.transpose(*range(lead), *(lead + axis for axis in self.permutation)))

    def undo(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """View of an array in this order, of shape (..., X, Y, Z), with its source axes again."""
        lead = array.ndim - 3
        return self._flip(array).transpose(*range(lead), *(lead + self.permutation.index(axis) for axis in range(3)))

    def _flip(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        x, y, z = (slice(None, None, -1 if flip else 1) for flip in self.flips)
        return array[..., x, y, z]

    def select(self, values: Sequence[Any]) -> tuple[Any, Any, Any]:
        """Values given per source axis, such as a shape or a spacing, per result axis."""
        x, y, z = (values[axis] for axis in self.permutation)
        return x, y, z

    def then(self, permutation: tuple[int, int, int]) -> AxisOrder:
        """Return this order followed by another permutation of its result's axes."""
        a, b, c = permutation
        return AxisOrder(
            (self.permutation[a], self.permutation[b], self.permutation[c]),
            (self.flips[a], self.flips[b], self.flips[c]),
        )

    def geometry(self, source: Geometry) -> Geometry:
        """Return the grid of the result: the same voxel centers under their new indices."""
        to_source = np.zeros((4, 4))
        to_source[3, 3] = 1
        for axis, (origin, flip) in enumerate(zip(self.permutation, self.flips, strict=True)):
            to_source[origin, axis] = -1 if flip else 1
            to_source[origin, 3] = source.shape[origin] - 1 if flip else 0
        return Geometry(source.affine @ to_source, self.select(source.shape))


def nearest_ras(geometry: Geometry) -> AxisOrder:
    """Order that brings array axes nearest to right, anterior, superior.

    Of the six assignments of array axes to world axes, the one with the largest sum of direction cosines; of several
    equally good ones, the one whose axes, turned to the positive side, come first in order of their cosines. Unlike an
    axis-by-axis choice this does not depend on the order in which the file stores its axes, however oblique the scan. A
    rotation or shear within the grid stays.
    """
    # Rounding keeps header noise from choosing between two equally good assignments.
    cosines = np.round(geometry.affine[:3, :3] / np.asarray(geometry.spacing), 5)
    best = max(permutations(range(3)), key=lambda p: _closeness(cosines, p))
    x, y, z = best
    a, b, c = (_is_against(cosines[:, axis], world) for world, axis in enumerate(best))
    return AxisOrder((x, y, z), (a, b, c))


def _closeness(cosines: npt.NDArray[np.float64], order: tuple[int, ...]) -> tuple[float, ...]:
    """How near an assignment is to the world's axes, then what decides between two equally near ones."""
    near = [abs(float(cosines[world, axis])) for world, axis in enumerate(order)]
    turned = [-cosines[:, a] if _is_against(cosines[:, a], world) else cosines[:, a] for world, a in enumerate(order)]
    return (round(sum(near), 4), *near, *(float(value) for axis in turned for value in axis))


def _is_against(axis: npt.NDArray[np.float64], world: int) -> bool:
    """Whether an array axis runs toward left, posterior or inferior; across the world's axis, another one decides."""
    decides = next(value for value in (axis[world], *axis) if value)
    return bool(decides < 0)


def toward(geometry: Geometry, orientation: str) -> AxisOrder:
    """Order that brings array axes nearest to directions such as ``"LPS"``; ``"stored"`` changes nothing."""
    if orientation == "stored":
        return AxisOrder()
    x, y, z = ((POSITIVE if letter in POSITIVE else NEGATIVE).index(letter) for letter in orientation)
    ordered = nearest_ras(geometry).then((x, y, z))
    a, b, c = (flip != (letter in NEGATIVE) for flip, letter in zip(ordered.flips, orientation, strict=True))
    return AxisOrder(ordered.permutation, (a, b, c))
