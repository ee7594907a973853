"""Rigid registration of two scans of one patient, and what tells whether it can be believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import SimpleITK

from medseg.locate.mutual_information import Points, as_itk, as_matrix, mask_image, moved, run
from medseg.locate.sampling import Image, coarse, foreground
from medseg.types import Geometry

ALONG = 96  # voxels along the longest side of the copies that are registered
SAMPLES = 60_000  # voxels that the last step compares; more change the end by hundredths of a mm
NODS = (-15.0, 15.0)  # degrees, of further starts
REFINED = 2  # best starts that are refined


@dataclass(frozen=True, eq=False)
class RigidPlacement:
    """Where a scan lies in the world of another, and what tells whether it truly does.

    - `matrix`: world of the moving scan to world of the fixed one, shape (4, 4), RAS+ mm.
    - `inconsistency_mm`: how far a point of the body ends from where it began, there by one registration and back by
      another that was made the other way round.
    - `correlation`: of intensities where both show the body.
    - `overlap`: fraction of the smaller body that both show.
    """

    matrix: npt.NDArray[np.float64]
    inconsistency_mm: float
    correlation: float
    overlap: float

    def to_fixed(self, points: npt.ArrayLike) -> Points:
        """World points of the moving scan in the world of the fixed one."""
        return moved(self.matrix, points)

    @property
    def rotation_degrees(self) -> float:
        """Angle by which it is turned about its own axis."""
        return float(np.rad2deg(np.arccos(np.clip((np.trace(self.matrix[:3, :3]) - 1) / 2, -1, 1))))


@dataclass(frozen=True, eq=False)
class _Body:
    """A coarse copy of a scan, scaled to 0 to 1, and what in it is not air."""

    image: Image
    mask: npt.NDArray[np.bool_]

    @property
    def corners(self) -> Points:
        """Corners of the box around the body, world mm."""
        index = np.argwhere(self.mask) if self.mask.any() else np.array([[0, 0, 0], self.mask.shape])
        ends = np.percentile(index, [1, 99], axis=0)
        return self.image.geometry.to_world(
            [[ends[i][a] for a, i in enumerate(at)] for at in product((0, 1), repeat=3)]
        )

    @property
    def middle(self) -> Points:
        """Its center of mass, world mm."""
        index = np.argwhere(self.mask) if self.mask.any() else np.array([self.mask.shape]) / 2
        middle: Points = self.image.geometry.to_world(index).mean(axis=0)
        return middle


def register_rigid(fixed: Image, moving: Image) -> RigidPlacement:
    """Find where a scan lies in the world of another one of the same kind; the axes of both lie nearest to RAS.

    From where their headers put them, and from their centers of mass, straight and nodded. On one thread, so that the
    result depends on nothing but the images.
    """
    spacing = _spacing(fixed.geometry, moving.geometry)
    ours, theirs = _body(fixed, spacing), _body(moving, spacing)
    forward = min((_refined(ours, theirs, start) for start in _best(ours, theirs)), key=lambda end: end[0])[1]
    # There, back, and there again: each way round leads the other out of where its gradient ended too early.
    backward = _refined(theirs, ours, _inverse(forward, theirs.middle))[1]
    forward = _refined(ours, theirs, _inverse(backward, ours.middle))[1]
    to_moving = as_matrix(forward)  # ITK's transforms lead from the fixed image's points to the moving image's
    there_and_back = moved(as_matrix(backward), moved(to_moving, ours.corners)) - ours.corners
    overlap, correlation = _agreement(ours, theirs, to_moving)
    return RigidPlacement(
        _inverted(to_moving),
        float(np.linalg.norm(there_and_back, axis=1).max()),
        correlation,
        overlap,
    )


def _spacing(*grids: Geometry) -> float:
    """Spacing of the copies that are registered: as fine as the finer scan, no finer than the larger one allows."""
    longest = max(n * mm for grid in grids for n, mm in zip(grid.shape, grid.spacing, strict=True))
    return max(longest / ALONG, min(mm for grid in grids for mm in grid.spacing))


def _body(image: Image, spacing: float) -> _Body:
    small = coarse(image, spacing)
    scaled, mask = foreground(small.array)
    return _Body(Image(scaled, small.geometry), mask)


def _best(fixed: _Body, moving: _Body) -> list[SimpleITK.Transform]:
    """Run every start coarsely; return the ends of the best."""
    images = as_itk(fixed.image), as_itk(moving.image)
    ends = [run(*images, start, shrink=3, steps=40, rate=6.0) for start in _starts(fixed, moving)]
    return [end for _, end in sorted(ends, key=lambda end: end[0])[:REFINED]]


def _starts(fixed: _Body, moving: _Body) -> Sequence[SimpleITK.Transform]:
    still = np.zeros(3)
    return [
        _rigid(fixed.middle, still, 0.0),
        *(_rigid(fixed.middle, moving.middle - fixed.middle, nod) for nod in (0.0, *NODS)),
    ]


def _rigid(center: Points, shift: Points, nod: float) -> SimpleITK.Euler3DTransform:
    transform = SimpleITK.Euler3DTransform()
    transform.SetCenter(center.tolist())
    transform.SetTranslation(shift.tolist())
    transform.SetRotation(float(np.deg2rad(nod)), 0.0, 0.0)
    return transform


def _inverse(transform: SimpleITK.Transform, center: Points) -> SimpleITK.Euler3DTransform:
    """Return the inverse, as a rigid transform about a center, so that it can be a start."""
    matrix = _inverted(as_matrix(transform))
    u, _, v = np.linalg.svd(matrix[:3, :3])
    found = SimpleITK.Euler3DTransform()
    found.SetCenter(center.tolist())
    found.SetMatrix((u @ v).ravel().tolist(), 1e-6)
    found.SetTranslation((moved(matrix, center) - center).tolist())
    return found


def _inverted(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.linalg.inv(matrix).astype(np.float64)


def _refined(fixed: _Body, moving: _Body, start: SimpleITK.Transform) -> tuple[float, SimpleITK.Transform]:
    """Run a start to the end, in and just around the body."""
    images = as_itk(fixed.image), as_itk(moving.image)
    mask = mask_image(fixed.mask, fixed.image.geometry) if fixed.mask.any() else None
    sampled = min(1.0, SAMPLES / max(int(fixed.mask.sum()), 1))
    _, near = run(*images, start, shrink=2, steps=40, rate=2.0, mask=mask, share=min(1.0, 4 * sampled))
    return run(*images, near, shrink=1, steps=60, rate=0.5, mask=mask, share=sampled)


def _agreement(fixed: _Body, moving: _Body, to_moving: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Fraction of the smaller body that both show, and the correlation there."""
    grid = fixed.image.geometry
    target = Geometry(to_moving @ grid.affine, grid.shape)
    theirs = moving.image.on(target, outside=0.0)
    body = Image(moving.mask.astype(np.float32), moving.image.geometry).on(target, outside=0.0) > 0.5
    both = fixed.mask & body
    smaller = min(int(fixed.mask.sum()), int(moving.mask.sum()))
    a, b = fixed.image.array[both], theirs[both]
    if len(a) < 2 or not a.std() or not b.std():
        return 0.0, 0.0
    return min(1.0, float(both.sum() / smaller)), float(np.corrcoef(a, b)[0, 1])
