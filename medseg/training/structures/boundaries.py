"""The boundary loss: a probability costs the more the further it lies outside its structure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from medseg.training.distributed import summed, world


def boundary_loss(probabilities: Tensor, truth: Tensor, counted: Tensor | None, spacing: Sequence[float]) -> Tensor:
    """Mean of probability times signed distance to the reference's boundary: Kervadec et al. 2019 (arXiv:1812.07032).

    Distances are in units of the finest spacing, positive outside and negative inside, so that a perfect result has a
    negative loss. A class that a patch does not hold has no boundary and costs nothing in it.

    Parameters
    ----------
    probabilities, truth : Tensor, shape (N, K, X, Y) or (N, K, X, Y, Z)
        Of the foreground classes; 0 in both where voxels do not count.
    counted : Tensor, optional
        ``(N, 1 or K, *spatial)``, how much of each voxel counts; all of it by default.
    spacing : sequence of float
        mm along the network's axes.
    """
    unit = [mm / min(spacing) for mm in spacing]
    with torch.no_grad():
        distances = torch.from_numpy(_signed((truth >= 0.5).cpu().numpy(), unit)).to(probabilities)
    costs = probabilities * distances
    if counted is None:
        return costs.mean()
    voxels = summed(counted.expand_as(costs).sum().to(costs)).clamp(min=1) / world()
    return (costs * counted).sum() / voxels


def _signed(masks: npt.NDArray[np.bool_], spacing: Sequence[float]) -> npt.NDArray[np.float32]:
    """Distance to each mask of (N, K, *spatial): 0 on its outermost voxels, negative further in, 1 just outside."""
    distances = np.zeros(masks.shape, np.float32)
    for place in np.ndindex(masks.shape[:2]):
        mask = masks[place]
        if mask.any():
            outside: npt.NDArray[Any] = distance_transform_edt(~mask, sampling=spacing)
            # A patch without any background has no boundary either, and no distance to one.
            inside: npt.NDArray[Any] = distance_transform_edt(mask, sampling=spacing) - 1 if not mask.all() else outside
            distances[place] = np.where(mask, -inside, outside)
    return distances
