"""Boundary IoU: overlap of the bands along two borders."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.evaluation.metrics.nearest import Canvas, Indices, Steps, ball
from medseg.evaluation.metrics.overlap import slabs
from medseg.evaluation.metrics.surface import ROUNDING


def boundary_iou(
    masks: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    chosen: npt.NDArray[np.bool_],
    borders: tuple[Indices, Indices],
    steps: Steps,
    width: float,
) -> float:
    """Intersection over union of the two bands inside two masks along their borders; NaN where both are empty.

    The band of a mask is its border voxels and those of its voxels whose center lies within `width` mm of one (after
    Cheng et al., Boundary IoU, CVPR 2021, with the width in mm). `masks` are label maps (X, Y, Z), `chosen` says by
    value which belong to the mask, `borders` are ascending indices into the flattened image.
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
        a = chosen[reference[slab]] & (band[slab] & 1).view(bool)
        b = chosen[prediction[slab]] & ((band[slab] >> 1) & 1).view(bool)
        both += int(np.count_nonzero(a & b))
        either += int(np.count_nonzero(a | b))
    return both / either
