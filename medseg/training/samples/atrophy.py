"""Thins objects on one side, with fluid in the place of what they lose, as a shrunken organ lies in a patient.

Training data of the healthy hold few thin objects beside wide fluid, and a network of them draws the usual shape
over the fluid.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

FLUID = 0.02  # quantile of a patch's intensities that fluid is taken to have, as in T1 and CT
TEXTURE = 0.08  # of the patch's standard deviation, the noise of fluid


@dataclass(frozen=True)
class Atrophy:
    """How the objects of one patch are thinned.

    - `lost`: voxels along x, y, z by which an object's surface moves, away from the side that the fluid is on.
    - `wide`: voxels along x, y, z by which the fluid reaches beyond where the surface was.
    """

    lost: tuple[int, int, int]
    wide: tuple[int, int, int]


def thin(image: Tensor, labels: Tensor, atrophy: Atrophy, texture: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Replace a rim of all objects, and what lies beyond it, by fluid.

    Parameters
    ----------
    image : Tensor, shape (C, X, Y, Z)
        Normalized intensities, in which fluid is dark.
    labels : Tensor, shape (X, Y, Z) of int64, or (classes, X, Y, Z) of fractions
        0, or the first of the fractions, is background; voxels of values of `classes` and more, or of no fraction, are
        ignored.
    atrophy : Atrophy
        How far.
    texture : Tensor, shape (C, X, Y, Z)
        Standard normal noise.
    classes : int
        Background included.

    Returns
    -------
    tuple of Tensor
        Image and labels, thinned.
    """
    fractions = labels.ndim == 4
    inside = labels[1:].sum(0) > 0.5 if fractions else (labels > 0) & (labels < classes)
    toward = tuple(-step for step in atrophy.lost)
    fluid = (inside | _moved(inside, atrophy.wide)) & ~(inside & _moved(inside, toward))
    # Edges half a voxel wide are what a scanner makes of them.
    weight = F.avg_pool3d(F.pad(fluid[None, None].to(image), [1] * 6, mode="replicate"), 3, stride=1)[0]
    weight = (weight + fluid) / 2
    values = image.flatten(1)
    # Tensor.quantile takes no more than 16 million voxels.
    dark = values.kthvalue(max(1, round(FLUID * values.shape[1])), dim=1).values[:, None, None, None]
    noise = texture.to(image) * TEXTURE * values.std(1)[:, None, None, None]
    thinned = image * (1 - weight) + (dark + noise) * weight
    gone = fluid & inside
    if fractions:
        background = F.one_hot(torch.zeros_like(gone, dtype=torch.long), classes).movedim(-1, 0).to(labels)
        return thinned, torch.where(gone, background, labels)
    return thinned, labels.masked_fill(gone, 0)


def _moved(mask: Tensor, steps: tuple[int, ...]) -> Tensor:
    """Mask moved by whole voxels; what comes in from outside is empty."""
    for axis, step in enumerate(steps):
        if not step:
            continue
        mask = mask.roll(step, axis)
        empty = slice(0, step) if step > 0 else slice(step, None)
        mask[(slice(None),) * axis + (empty,)] = False
    return mask
