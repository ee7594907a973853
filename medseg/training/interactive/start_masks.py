"""Masks with errors like those of an automatic model: where a boundary is too far out or in, and what is made up."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, zoom

Mask = npt.NDArray[np.bool_]

# Voxels between the control points of a boundary's displacement.
COARSE = 8
# How likely a ball of something else is taken for the class, or a ball of it is lost.
BALLS = 0.3


def with_errors(truth: Mask, random: np.random.Generator, voxels: float) -> Mask:
    """Return a mask whose boundary is displaced by a smooth random field, with a ball added or lost now and then.

    - `voxels`: standard deviation of the displacement, itself drawn between 0 and this.
    """
    result = truth
    if truth.any() and not truth.all():
        depth = distance_transform_edt(truth) - distance_transform_edt(~truth)
        result = depth + _smooth(truth.shape, random) * random.uniform(0, voxels) + random.normal(0, voxels / 4) > 0.0
    if random.random() < BALLS or not truth.any():
        near = np.argwhere(truth if truth.any() else ~truth)
        center = near[random.integers(len(near))]
        ball = _ball(truth.shape, center, float(random.uniform(1, 2 * voxels)))
        result = result & ~ball if truth.any() and random.random() < 0.5 else result | ball
    return np.asarray(result, bool)


def _smooth(shape: tuple[int, ...], random: np.random.Generator) -> npt.NDArray[Any]:
    """A smooth field, mean 0 and standard deviation about 1."""
    control = random.normal(size=[max(2, n // COARSE + 1) if n > 1 else 1 for n in shape])
    field = zoom(control, [n / c for n, c in zip(shape, control.shape, strict=True)], order=1, grid_mode=False)
    return np.asarray(1.5 * field)


def _ball(shape: tuple[int, ...], center: npt.NDArray[Any], radius: float) -> Mask:
    away = sum((axis - c) ** 2 for axis, c in zip(np.ogrid[tuple(slice(n) for n in shape)], center, strict=True))
    return np.asarray(away <= radius**2)
