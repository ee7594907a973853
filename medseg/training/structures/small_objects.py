"""The blob loss: every object of a class counts the same, however small it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import generate_binary_structure, label
from torch import Tensor

from medseg.training.distributed import summed, world

SMOOTH = 1e-5


def blob_loss(probabilities: Tensor, truth: Tensor) -> Tensor:
    """Mean over connected components of one minus soft Dice: the blob part of Kofler et al. 2022 (arXiv:2205.08209).

    For each component the others of its class in the patch are masked out of the prediction, so that with b the
    component, n its voxels and p the probabilities its Dice is ``2 sum_b(p) / (sum_b(p) + sum_outside(p) + n)``, where
    outside are the voxels of no component. It is 0 where there is no component.

    Parameters
    ----------
    probabilities, truth : Tensor, shape (N, K, X, Y) or (N, K, X, Y, Z)
        Of the foreground classes; 0 in both where voxels do not count.
    """
    with torch.no_grad():
        ids, owners = _components((truth >= 0.5).cpu().numpy())
        of_voxels = torch.from_numpy(ids).to(probabilities.device)
        owner = torch.from_numpy(owners).to(probabilities.device)
        sizes = torch.bincount(of_voxels.flatten(), minlength=len(owners) + 1)[1:]
    inside = probabilities.new_zeros(len(owners) + 1).index_add(0, of_voxels.flatten(), probabilities.flatten())[1:]
    outside = (probabilities * (of_voxels == 0)).flatten(0, 1).flatten(1).sum(1)[owner]
    dice = (2 * inside + SMOOTH) / (inside + outside + sizes + SMOOTH)
    count = summed(probabilities.new_tensor(float(len(owners)))).clamp(min=1) / world()
    return (1 - dice).sum() / count


def _components(masks: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Ids 1, 2, ... of the components of all masks (N, K, *spatial), and for each which mask it lies in."""
    touching = generate_binary_structure(masks.ndim - 2, masks.ndim - 2)
    ids = np.zeros(masks.shape, np.int64)
    owners: list[int] = []
    for number, place in enumerate(np.ndindex(masks.shape[:2])):
        found: tuple[npt.NDArray[Any], int] = label(masks[place], touching)
        ids[place] = np.where(found[0] > 0, found[0] + len(owners), 0)
        owners += [number] * found[1]
    return ids, np.array(owners, np.int64)
