"""How bright tissues are in a scan, and crops of it in the brightness that a network was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medseg.locate.template import Template

# Percentiles of the template's brightness in the brain between which its tissues lie.
CSF, GRAY, WHITE = (0.0, 7.0), (25.0, 62.0), (75.0, 100.0)
# mm around the regions in which tissues are looked at: a coil is not equally sensitive all over a head.
NEAR = 50.0


@dataclass(frozen=True)
class Tissues:
    """Median brightness of fluid (CSF), gray and white matter near the regions, in the unit of the image."""

    csf: float
    gray: float
    white: float

    @property
    def rise(self) -> bool:
        """Whether they follow each other as in T1."""
        return self.csf < self.gray < self.white

    @property
    def darkest(self) -> float:
        """Brightness a quarter of the way from fluid to gray matter: what is darker is fluid."""
        return self.csf + (self.gray - self.csf) / 4


def tissues_near(template: Template, array: npt.NDArray[np.float32], points: npt.ArrayLike) -> Tissues:
    """Measure tissues where the template has them; NaN, which is no T1, where no brain lies near the regions.

    - `array`, shape (X, Y, Z): the image on the template's grid.
    - `points`, shape (n, 3): middles of the regions in the template's world, mm.
    """
    world = template.image.geometry.to_world(np.argwhere(template.brain))
    far = np.min([np.linalg.norm(world - point, axis=-1) for point in np.asarray(points)], axis=0)
    known = template.image.array[template.brain]
    return Tissues(
        *(float(np.median(array[template.brain][between(known, p) & (far < NEAR)])) for p in (CSF, GRAY, WHITE))
    )


def by_tissues(array: npt.NDArray[np.float32], own: Tissues, training: Sequence[float]) -> npt.NDArray[np.float32]:
    """Bring the tissues of a crop to those of the training data's crops, linear between them and beyond.

    Scanners differ in how far apart tissues lie in brightness. What fraction of a crop each tissue fills does not
    matter here, as it differs between patients: fluid around a shrunken hippocampus stays as dark as fluid.

    - `array`: of any shape, in the unit of `own`.
    - `training`: brightness of CSF, gray and white matter, rising.

    The crop stays as it is where the tissues do not follow each other as in T1.
    """
    if not own.rise:
        return array
    csf, gray, white = training
    dark, bright = (gray - csf) / (own.gray - own.csf), (white - gray) / (own.white - own.gray)
    from_gray = array - np.float32(own.gray)
    return (gray + from_gray * np.where(from_gray < 0, dark, bright)).astype(np.float32)


def between(values: npt.NDArray[np.float32], percentiles: tuple[float, float]) -> npt.NDArray[np.bool_]:
    """Which of the values lie between two of their percentiles."""
    low, high = np.percentile(values, percentiles)
    inside: npt.NDArray[np.bool_] = (values >= low) & (values <= high)
    return inside
