"""Boundary IoU: overlap of the bands along two borders."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.evaluation.metrics.nearest import Canvas, Indices, Steps, ball
from medseg.evaluation.metrics.overlap import slabs
from medseg.evaluation.metrics.surface import ROUNDING

__all__ = ["boundary_iou"]


def boundary_iou(
    masks: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    members: npt.NDArray[np.bool_],
    borders: tuple[Indices, Indices],
    steps: Steps,
    width: float,
) -> float:
    """Intersection over union of the two bands inside two masks along their borders.

    The band of a mask is its border voxels and those of its voxels whose center lies within `width` of one (after
    Cheng et al., Boundary IoU, CVPR 2021, with the width in mm).

    Parameters
    ----------
    masks : pair of ndarray, shape (X, Y, Z)
        Reference and prediction label maps.
    members : ndarray of bool, shape (values,)
        Which values of the label maps belong to the mask.
    borders : pair of ndarray of int64
        Their border voxels: ascending indices into the flattened image.
    steps : Steps
        The voxel size.
    width : float
        mm.

    Returns
    -------
    float
        NaN where both are empty, 0 where one is.
    """
    if not len(borders[0]) or not len(borders[1]):
        return float("nan") if not len(borders[0]) and not len(borders[1]) else 0.0
    shape = masks[0].shape
    around = ball(steps, width * (1 + ROUNDING), (shape[0] == 1, shape[1] == 1, shape[2] == 1))
    canvas = Canvas(borders, (shape[0], shape[1], shape[2]), around.reach)
    for bit, border in enumerate(borders):
        places = canvas.place(border)
        for step in canvas.step(around.offsets):
            canvas.flat[places + step] |= 1 << bit
    both = either = 0
    band = canvas.bits[canvas.inside]
    reference, prediction = masks[0][canvas.box], masks[1][canvas.box]
    for slab in slabs(band):
        a = members[reference[slab]] & (band[slab] & 1).view(bool)
        b = members[prediction[slab]] & ((band[slab] >> 1) & 1).view(bool)
        both += int(np.count_nonzero(a & b))
        either += int(np.count_nonzero(a | b))
    return both / either
