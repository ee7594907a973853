"""Affine registration of a template head with a scan: many coarse starts, the best of them refined.

Mattes, Haynor, Vesselle, Lewellen & Eubank, PET-CT image registration in the chest using free-form deformations, IEEE
Transactions on Medical Imaging 22 (2003): mutual information, as SimpleITK computes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK

from medseg.locate.sampling import Image, coarse, foreground
from medseg.locate.template import Template
from medseg.types import Geometry

SPACING = 3.0  # mm
SEED = 1
PITCHES = (-20.0, 0.0, 20.0)  # degrees that heads are nodded by; turns to a side are smaller
REFINED = 3  # best starts that are refined
HEAD = 180.0  # mm from the top of the head that are looked at, so that a long neck does not count
HIGH = 80.0  # mm from its top to its middle

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Placement:
    """Where the template lies in a scan, and what tells whether it truly does.

    - `matrix`: template's world to scan's world, shape (4, 4), RAS+ mm.
    - `correlation`: of intensities inside the brain.
    - `spread_mm`: largest distance between the places of the regions as found from the best starts.
    - `inside`: fraction of the template's brain inside the scan.
    - `scales`: of the matrix, largest first.
    """

    matrix: npt.NDArray[np.float64]
    correlation: float
    spread_mm: float
    inside: float
    scales: tuple[float, ...]

    def to_scan(self, points: npt.ArrayLike) -> Points:
        """World points of the template in the world of the scan."""
        return _moved(self.matrix, points)

    def to_template(self, points: npt.ArrayLike) -> Points:
        """World points of the scan in the world of the template."""
        return _moved(np.linalg.inv(self.matrix).astype(np.float64), points)


def register(template: Template, image: Image, points: Points) -> Placement:
    """Find a template in an image whose axes lie nearest to RAS.

    With its skull and without: which of the two the image resembles is decided by how well the brain inside fits in the
    end, the one measure that is the same for both. On one thread, so that the result depends on nothing but the image.

    - `points`, shape (n, 3): places of the template by which the ends of different starts are compared.
    """
    small = coarse(image, SPACING)
    scaled, body = foreground(small.array)
    small = Image(scaled, small.geometry)
    moving = _as_itk(small)
    near, brain = (_mask(mask, template.image.geometry) for mask in (template.near, template.brain))
    starts = _starts(template, small, body)
    ended = []
    for variant in (template.image, template.stripped):
        fixed = _as_itk(variant)
        finals = _refined(fixed, moving, starts, near)
        last = _run(fixed, moving, finals[0][1], shrink=1, steps=30, rate=0.5, mask=brain, share=0.4)
        ended.append((*last, finals))
    _, best, finals = min(ended, key=lambda end: end[0])
    matrix = _as_matrix(best)
    ends = [_moved(_as_matrix(transform), points) for _, transform in finals]
    return Placement(
        matrix,
        _correlation(template, small, matrix),
        max(float(np.linalg.norm(end - ends[0], axis=-1).max()) for end in ends),
        _inside(template, small, matrix),
        tuple(float(value) for value in np.linalg.svd(matrix[:3, :3])[1]),
    )


def _refined(
    fixed: SimpleITK.Image, moving: SimpleITK.Image, starts: Sequence[SimpleITK.Transform], near: SimpleITK.Image
) -> list[tuple[float, SimpleITK.Transform]]:
    """Run every start at 9 mm and the best of them to the end, the best end first."""
    found = [_run(fixed, moving, start, shrink=3, steps=40, rate=8.0) for start in starts]
    finals = []
    for _, start in sorted(found, key=lambda end: end[0])[:REFINED]:
        _, similarity = _run(fixed, moving, start, shrink=2, steps=40, rate=2.0, mask=near, share=0.5)
        affine = _as_affine(similarity)
        finals.append(_run(fixed, moving, affine, shrink=1, steps=60, rate=1.0, mask=near, share=0.2))
    return sorted(finals, key=lambda end: end[0])


def _starts(template: Template, image: Image, body: npt.NDArray[np.bool_]) -> list[SimpleITK.Transform]:
    """Return similarities that put middles of the template on middles of the image, nodded or not."""
    theirs, ours = _middles(template.body, template.image.geometry), _middles(body, image.geometry)
    pairs = [*zip(theirs, ours, strict=True), (template.brain_center, ours[1])]
    starts = []
    for theirs_, ours_ in pairs:
        for pitch in PITCHES:
            transform = SimpleITK.Similarity3DTransform()
            transform.SetCenter(theirs_.tolist())
            transform.SetTranslation((ours_ - theirs_).tolist())
            transform.SetRotation((1.0, 0.0, 0.0), float(np.deg2rad(pitch)))
            starts.append(transform)
    return starts


def _middles(body: npt.NDArray[np.bool_], grid: Geometry) -> tuple[Points, Points, Points]:
    """Middle of mass and of the box of the head's upper part, and a point at a fixed depth below its top, world mm."""
    world = grid.to_world(np.argwhere(body)) if body.any() else grid.to_world([np.array(grid.shape) / 2])
    world = world[world[:, 2] > np.percentile(world[:, 2], 99.9) - HEAD]
    low, high = np.percentile(world, [0.5, 99.5], axis=0)
    middle = (low + high) / 2
    return world.mean(axis=0), middle, np.array([*middle[:2], high[2] - HIGH])


def _run(
    fixed: SimpleITK.Image,
    moving: SimpleITK.Image,
    start: SimpleITK.Transform,
    *,
    shrink: int,
    steps: int,
    rate: float,
    mask: SimpleITK.Image | None = None,
    share: float = 1.0,
) -> tuple[float, SimpleITK.Transform]:
    """Run one registration; negative mutual information and transform. One that fails ends where it starts, at 0."""
    method = SimpleITK.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetNumberOfWorkUnits(1)
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(share, SEED)  # samples are jittered; without a seed, by the clock
    method.SetInterpolator(SimpleITK.sitkLinear)
    if mask is not None:
        method.SetMetricFixedMask(mask)
    method.SetShrinkFactorsPerLevel([shrink])
    method.SetSmoothingSigmasPerLevel([0.0])
    method.SetOptimizerAsRegularStepGradientDescent(rate, 0.01, steps, 0.6, 1e-5)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(start, inPlace=False)
    try:
        found = method.Execute(fixed, moving)
    except RuntimeError:  # ITK's only sign that the images no longer overlap
        return 0.0, start
    return float(method.GetMetricValue()), _inner(found)


def _inner(transform: Any) -> Any:
    """Return the transform that ITK wraps, in its own type."""
    while True:
        transform = transform.Downcast() if hasattr(transform, "Downcast") else transform
        if not isinstance(transform, SimpleITK.CompositeTransform):
            return transform
        transform = transform.GetNthTransform(0)


def _as_affine(similarity: Any) -> SimpleITK.AffineTransform:
    affine = SimpleITK.AffineTransform(3)
    affine.SetCenter(similarity.GetCenter())
    affine.SetMatrix(similarity.GetMatrix())
    affine.SetTranslation(similarity.GetTranslation())
    return affine


def _as_matrix(transform: SimpleITK.Transform) -> npt.NDArray[np.float64]:
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    matrix = np.eye(4)
    for axis in range(3):
        # 100 mm away, so that rounding counts less.
        matrix[:3, axis] = (np.array(transform.TransformPoint((np.eye(3)[axis] * 100).tolist())) - origin) / 100
    matrix[:3, 3] = origin
    return matrix


def _as_itk(image: Image) -> SimpleITK.Image:
    """Return it as an image of ITK's; RAS numbers are kept for both images, which is all that registration needs."""
    spacing = np.array(image.geometry.spacing)
    u, _, v = np.linalg.svd(image.geometry.affine[:3, :3] / spacing)
    made = SimpleITK.GetImageFromArray(np.ascontiguousarray(image.array.astype(np.float32).transpose(2, 1, 0)))
    made.SetSpacing(spacing.tolist())
    made.SetOrigin(image.geometry.affine[:3, 3].tolist())
    made.SetDirection((u @ v).ravel().tolist())
    return made


def _mask(mask: npt.NDArray[np.bool_], grid: Geometry) -> SimpleITK.Image:
    return SimpleITK.Cast(_as_itk(Image(mask.astype(np.float32), grid)), SimpleITK.sitkUInt8)


def _in_template(template: Template, matrix: npt.NDArray[np.float64]) -> Geometry:
    """Return the template's grid, carried into the world of the scan."""
    grid = template.image.geometry
    return Geometry(matrix @ grid.affine, grid.shape)


def _correlation(template: Template, image: Image, matrix: npt.NDArray[np.float64]) -> float:
    ours = image.on(_in_template(template, matrix), outside=0.0)[template.brain]
    return float(np.corrcoef(template.image.array[template.brain], ours)[0, 1]) if ours.std() > 0 else 0.0


def _inside(template: Template, image: Image, matrix: npt.NDArray[np.float64]) -> float:
    whole = Image(np.ones_like(image.array), image.geometry)
    return float(whole.on(_in_template(template, matrix), order=0, outside=0.0)[template.brain].mean())


def _moved(matrix: npt.NDArray[np.float64], points: npt.ArrayLike) -> Points:
    return np.asarray(points, dtype=np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
