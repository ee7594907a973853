"""Brings a prediction onto its reference's grid where that moves no voxel, and rejects it where it would."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import GeometryMismatch
from medseg.types import Geometry, LabelMap


@dataclass(frozen=True)
class AxisMove:
    """How the array axes of one grid become those of another with the same voxels."""

    axes: tuple[int, int, int]  # axis i of the result is this axis of the source
    flips: tuple[bool, bool, bool]  # which axes of the result run the other way

    @property
    def is_identity(self) -> bool:
        """Whether nothing moves."""
        return self.axes == (0, 1, 2) and not any(self.flips)


def axis_move(source: Geometry, target: Geometry) -> AxisMove | None:
    """Find the axis order and flips that turn one grid into the other; None where there are none.

    Two grids have the same voxels when permuting and reversing the axes of one puts every voxel center within a
    hundredth of the finest spacing of its twin, the tolerance of `Geometry.matches`.
    """
    if source.matches(target):
        return AxisMove((0, 1, 2), (False, False, False))
    directions = np.asarray(target.affine[:3, :3]) / np.asarray(target.spacing)
    along = directions.T @ (np.asarray(source.affine[:3, :3]) / np.asarray(source.spacing))
    nearest = np.abs(along).argmax(axis=1)
    if sorted(nearest) != [0, 1, 2]:
        return None
    x, y, z = (int(axis) for axis in nearest)
    signs = [bool(along[i, axis] < 0) for i, axis in enumerate((x, y, z))]
    move = AxisMove((x, y, z), (signs[0], signs[1], signs[2]))
    return move if _moved(source, move).matches(target) else None


def on_grid_of(prediction: LabelMap, reference: LabelMap, *, where: object = None) -> tuple[LabelMap, str | None]:
    """Return the prediction on the reference's grid, never resampled, and a note where its axes had to be turned."""
    move = axis_move(prediction.geometry, reference.geometry)
    if move is None:
        a, b = prediction.geometry, reference.geometry
        how = f"shapes {a.shape} and {b.shape}, " if a.shape != b.shape else ""
        raise GeometryMismatch(
            f"prediction and reference are not on one grid: {how}spacings {_short(a)} and {_short(b)} mm, "
            f"axes {a.orientation} and {b.orientation}, {_apart(a, b)}",
            where=where,
            fix="Measure the prediction `medseg predict` wrote, which is on the scan's own grid, against a reference "
            "drawn on that scan; or resample one onto the other yourself (nearest neighbor) and say so.",
        )
    if move.is_identity:
        return prediction, None
    array = turn(prediction.array, move)
    note = f"axes turned from {prediction.geometry.orientation} to {reference.geometry.orientation}, no voxel moved"
    return LabelMap(array, reference.geometry, prediction.table), note


def turn(array: npt.NDArray[Any], move: AxisMove) -> npt.NDArray[Any]:
    """Apply a move to the last three axes of an array; a view."""
    before = array.ndim - 3
    flips = [slice(None)] * before + [slice(None, None, -1 if flip else 1) for flip in move.flips]
    turned: npt.NDArray[Any] = array.transpose(*range(before), *(axis + before for axis in move.axes))[tuple(flips)]
    return turned


def _moved(source: Geometry, move: AxisMove) -> Geometry:
    columns = np.asarray(source.affine[:3, :3])[:, move.axes]
    origin = np.asarray(source.affine[:3, 3]).copy()
    a, b, c = move.axes
    shape = (source.shape[a], source.shape[b], source.shape[c])
    affine = np.eye(4)
    for axis, flip in enumerate(move.flips):
        affine[:3, axis] = -columns[:, axis] if flip else columns[:, axis]
        if flip:
            origin += columns[:, axis] * (shape[axis] - 1)
    affine[:3, 3] = origin
    return Geometry(affine, shape)


def _short(geometry: Geometry) -> str:
    return " x ".join(f"{n:.4g}" for n in geometry.spacing)


def _apart(a: Geometry, b: Geometry) -> str:
    middles = [g.to_world([(n - 1) / 2 for n in g.shape]) for g in (a, b)]
    return f"centers {np.linalg.norm(middles[0] - middles[1]):.3g} mm apart"
