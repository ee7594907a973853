"""Affine registration of a template head with a scan: many coarse starts, the best of them refined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK

from medseg.locate.contrast import contrast
from medseg.locate.mutual_information import Points, as_itk, as_matrix, mask_image, moved, run
from medseg.locate.sampling import Image, coarse, foreground
from medseg.locate.template import Template
from medseg.locate.tissues import Tissues, tissues_near
from medseg.types import Geometry

SPACING = 3.0  # mm
PITCHES = (-20.0, 0.0, 20.0)  # degrees that heads are nodded by; turns to a side are smaller
REFINED = 3  # best starts that are refined
HEAD = 180.0  # mm from the top of the head that are looked at, so that a long neck does not count
HIGH = 80.0  # mm from its top to its middle
APART = 2.0  # mm that the ends of starts lie apart, from which on they are run further

_End = tuple[float, SimpleITK.Transform]  # negative mutual information, and where the template lies


@dataclass(frozen=True, eq=False)
class Placement:
    """Where the template lies in a scan, and what tells whether it truly does.

    - `matrix`: template's world to scan's world, shape (4, 4), RAS+ mm.
    - `correlation`, `gray`, `white`: of its brightness inside the brain (`Contrast`).
    - `tissues`: how bright they are in the scan.
    - `spread_mm`: how far from the best end, at the places of the regions, the second nearest of the other ends lies:
      so near do three of six starts end.
    - `inside`: fraction of the template's brain inside the scan.
    - `scales`: of the matrix, largest first.
    """

    matrix: npt.NDArray[np.float64]
    correlation: float
    gray: float
    white: float
    tissues: Tissues
    spread_mm: float
    inside: float
    scales: tuple[float, ...]

    def to_scan(self, points: npt.ArrayLike) -> Points:
        """World points of the template in the world of the scan."""
        return moved(self.matrix, points)

    def to_template(self, points: npt.ArrayLike) -> Points:
        """World points of the scan in the world of the template."""
        return moved(np.linalg.inv(self.matrix).astype(np.float64), points)


def register(template: Template, image: Image, points: Points) -> Placement:
    """Find a template in an image whose axes lie nearest to RAS.

    With its skull and without: which of the two the image resembles is decided by how well the brain inside fits in the
    end, the one measure that is the same for both. On one thread, so that the result depends on nothing but the image.

    - `points`, shape (n, 3): places of the template by which the ends of different starts are compared.
    """
    small = coarse(image, SPACING)
    scaled, body = foreground(small.array)
    small = Image(scaled, small.geometry)
    moving = as_itk(small)
    near, brain = (mask_image(mask, template.image.geometry) for mask in (template.near, template.brain))
    starts = _starts(template, small, body)
    ended = []
    for variant in (template.image, template.stripped):
        fixed = as_itk(variant)
        finals = _refined(fixed, moving, starts, near)
        ended.append((*_in_brain(fixed, moving, finals, brain), finals, fixed))
    ended.sort(key=lambda end: end[0])
    if spread_mm(_places(ended, points)) > APART:
        # A child's head, or a turned one, takes more steps.
        *_, finals, fixed = ended[0]
        again = [run(fixed, moving, end, shrink=1, steps=100, rate=1.0, mask=near, share=0.2) for _, end in finals]
        again.sort(key=lambda end: end[0])
        ended[0] = (*_in_brain(fixed, moving, again, brain), again, fixed)
    matrix = as_matrix(ended[0][1])
    grid = _in_template(template, matrix)
    found = contrast(template, small.on(grid, outside=0.0))
    return Placement(
        matrix,
        found.correlation,
        found.gray,
        found.white,
        tissues_near(template, image.on(grid, outside=0.0), points),
        spread_mm(_places(ended, points)),
        _inside(template, small, matrix),
        tuple(float(value) for value in np.linalg.svd(matrix[:3, :3])[1]),
    )


def _in_brain(fixed: SimpleITK.Image, moving: SimpleITK.Image, finals: Sequence[_End], brain: SimpleITK.Image) -> _End:
    """Run the best of several ends on, by what lies inside the brain alone."""
    return run(fixed, moving, finals[0][1], shrink=1, steps=30, rate=0.5, mask=brain, share=0.4)


def _places(ended: Sequence[tuple[float, SimpleITK.Transform, Sequence[_End], Any]], points: Points) -> list[Points]:
    """Return where every end of every variant puts the points."""
    return [moved(as_matrix(transform), points) for _, _, finals, _ in ended for _, transform in finals]


def _refined(
    fixed: SimpleITK.Image, moving: SimpleITK.Image, starts: Sequence[SimpleITK.Transform], near: SimpleITK.Image
) -> list[_End]:
    """Run every start at 9 mm and the best of them to the end, the best end first."""
    found = [run(fixed, moving, start, shrink=3, steps=40, rate=8.0, share=0.5) for start in starts]
    finals = []
    for _, start in sorted(found, key=lambda end: end[0])[:REFINED]:
        _, similarity = run(fixed, moving, start, shrink=2, steps=40, rate=2.0, mask=near, share=0.5)
        affine = _as_affine(similarity)
        finals.append(run(fixed, moving, affine, shrink=1, steps=60, rate=1.0, mask=near, share=0.2))
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


def _as_affine(similarity: Any) -> SimpleITK.AffineTransform:
    affine = SimpleITK.AffineTransform(3)
    affine.SetCenter(similarity.GetCenter())
    affine.SetMatrix(similarity.GetMatrix())
    affine.SetTranslation(similarity.GetTranslation())
    return affine


def _in_template(template: Template, matrix: npt.NDArray[np.float64]) -> Geometry:
    """Return the template's grid, carried into the world of the scan."""
    grid = template.image.geometry
    return Geometry(matrix @ grid.affine, grid.shape)


def spread_mm(ends: Sequence[Points]) -> float:
    """Return how far the first end and the second nearest of the others lie apart, at the point where it is most.

    - `ends`: of three starts or more, each of shape (n, 3).

    A start may end elsewhere, as may every start of the variant that a scan does not resemble.
    """
    distances = [float(np.linalg.norm(end - ends[0], axis=-1).max()) for end in ends[1:]]
    return sorted(distances)[1]


def _inside(template: Template, image: Image, matrix: npt.NDArray[np.float64]) -> float:
    whole = Image(np.ones_like(image.array), image.geometry)
    return float(whole.on(_in_template(template, matrix), order=0, outside=0.0)[template.brain].mean())
