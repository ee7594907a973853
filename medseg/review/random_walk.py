"""A class in a box from a few marks, by a random walker: what serves while there is no model that takes clicks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError
from medseg.review.marks import Marks

Array = npt.NDArray[Any]

INSIDE, OUTSIDE = 1, 2
# How much an edge holds the walker up, and the smoothing of noise before, in the smallest spacing. With scikit-image's
# own beta of 130 and no smoothing, one mark in a sphere finds little once its contrast is three times the noise.
BETA, SIGMA = 600.0, 0.7
TOLERANCE = 1e-4  # of the solver; with its usual 1e-3, such steep edges leave it far from the solution
PERCENTILES = (1.0, 99.0)


def random_walk(
    intensities: Array, marks: Marks, spacing: tuple[float, float, float], probability: Array | None = None
) -> npt.NDArray[np.bool_]:
    """Return the voxels from which a random walker reaches what is marked as inside before what is marked as outside.

    Steps across edges of the scan are unlikely, and so are steps across edges of the model's probability, which counts
    as a second channel. Where nothing is marked as outside, the faces of the box are. The walker is that of L. Grady,
    Random Walks for Image Segmentation (IEEE PAMI 2006), as scikit-image solves it.

    Parameters
    ----------
    intensities : ndarray, shape (X, Y, Z)
        The scan within the box.
    marks : Marks
        Voxels of the box.
    spacing : (float, float, float)
        Of the voxels, mm.
    probability : ndarray, shape (X, Y, Z), optional
        The model's probability of the class, 0 to 1.

    Raises
    ------
    InputError
        When the box holds one value only, so that there is no edge to find.
    """
    markers = np.zeros(intensities.shape, np.uint8)
    if not len(marks.outside):
        markers[_faces(intensities.shape)] = OUTSIDE
    markers[tuple(marks.outside.T)] = OUTSIDE
    markers[tuple(marks.inside.T)] = INSIDE
    return reached(intensities, markers, spacing, probability)


def reached(
    intensities: Array, markers: npt.NDArray[np.uint8], spacing: tuple[float, float, float], probability: Array | None
) -> npt.NDArray[np.bool_]:
    """Return the voxels from which a random walker reaches an `INSIDE` marker before an `OUTSIDE` one; 0 is neither.

    Where there are none of one kind, what is marked as inside is all that is found.

    Raises
    ------
    InputError
        When there is no edge to find.
    """
    from scipy.ndimage import gaussian_filter
    from skimage.segmentation import random_walker

    if markers.all() or not {INSIDE, OUTSIDE} <= {*np.unique(markers).tolist()}:
        return np.asarray(markers == INSIDE)
    steps = np.array(spacing) / min(spacing)
    channels = [gaussian_filter(_scaled(intensities, markers), SIGMA / steps)]
    if probability is not None:
        channels.append(np.clip(np.nan_to_num(probability.astype(np.float64)), 0, 1))
    data = np.stack(channels, axis=-1)
    if not np.ptp(data, axis=(0, 1, 2)).any():
        raise InputError("the scan has one and the same value around the marks", fix="Draw with the pen here.")
    # Of the two probabilities only the larger counts, so that a solver's small overshoot above 1 is no matter.
    found = random_walker(
        data, markers, beta=BETA, mode="cg_j", spacing=steps, channel_axis=-1, tol=TOLERANCE, prob_tol=1
    )
    return np.asarray(found == INSIDE)


def _faces(shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Voxels on the faces of a box, along axes that have an inside."""
    faces = np.ones(shape, bool)
    faces[tuple(slice(1, -1) if size > 2 else slice(None) for size in shape)] = False
    return faces


def _scaled(intensities: Array, markers: Array) -> Array:
    """Bring the scan to 0 to 1; a small bright object must not be clipped away, so what is marked widens the range."""
    values = intensities.astype(np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        raise InputError("the scan has no values around the marks", fix="Draw with the pen here.")
    ends = list(np.percentile(values[finite], PERCENTILES))
    for kind in (INSIDE, OUTSIDE):
        marked = values[finite & (markers == kind)]
        if marked.size:
            ends.append(float(np.median(marked)))
    low, high = min(ends), max(ends)
    if not high > low:
        low, high = float(values[finite].min()), float(values[finite].max())
    values[~finite] = low
    scaled: Array = np.clip((values - low) / max(high - low, np.finfo(np.float64).tiny), 0, 1)
    return scaled
