"""How the brightness of tissues in a scan follows a template's: whatever its unit, and however uneven it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medseg.locate.template import Template
from medseg.locate.tissues import CSF, GRAY, WHITE, between

NEIGHBORHOOD = 6.0  # voxels of the template, standard deviation of the mean that a voxel is compared with
LEAST = 0.02  # of the scan's range, which a neighborhood is at least taken to have
BEYOND = (-1.0, 2.0)  # what gray matter is at most said to be


@dataclass(frozen=True)
class Contrast:
    """What the brightness inside the template's brain comes to.

    - `correlation`: of scan and template, each voxel of both by the mean of its neighborhood, which a coil's
      sensitivity changes alike.
    - `gray`: where the median of gray matter lies between those of CSF (0) and white matter (1): about 0.6 in T1, near
      1 in FLAIR and proton density, near 0 where white matter alone is bright.
    - `white`: by how much the median of white matter is above that of gray matter, in standard deviations of the brain.
    """

    correlation: float
    gray: float
    white: float


def contrast(template: Template, array: npt.NDArray[np.float32]) -> Contrast:
    """Compare a scan with the template.

    - `array`: the scan on the template's grid, its values from 0.
    """
    ours, theirs = (_even(image, template.brain) for image in (array, template.image.array))
    if not ours.std():
        return Contrast(0.0, BEYOND[1], 0.0)
    known = template.image.array[template.brain]
    csf, gray, white = (float(np.median(ours[between(known, limits)])) for limits in (CSF, GRAY, WHITE))
    place = (gray - csf) / (white - csf) if white != csf else BEYOND[1]
    return Contrast(
        float(np.corrcoef(theirs, ours)[0, 1]), float(np.clip(place, *BEYOND)), (white - gray) / float(ours.std())
    )


def _even(array: npt.NDArray[np.float32], brain: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Values of the brain's voxels, each by the mean of the brain around it."""
    sums, weights = (
        ndimage.gaussian_filter(np.where(brain, one, 0).astype(np.float64), NEIGHBORHOOD, truncate=3)[brain]
        for one in (array, np.ones_like(array))
    )
    even: npt.NDArray[np.float64] = array[brain] / np.maximum(sums / weights, LEAST)
    return even
