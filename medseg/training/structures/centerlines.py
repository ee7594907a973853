"""Losses of thin structures: soft clDice, and the recall of skeletons."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy.ndimage import binary_dilation
from torch import Tensor

from medseg.post.skeleton import skeleton
from medseg.training.distributed import summed

# Keeps fractions of empty skeletons defined; the authors' values.
SMOOTH_CLDICE = 1.0
SMOOTH_RECALL = 1e-5
# A skeleton is made so many voxels thicker on each side, so that a voxel beside it counts too; the authors' value.
TUBE = 2


def cldice_loss(probabilities: Tensor, truth: Tensor, *, iterations: int) -> Tensor:
    """One minus soft clDice, mean over patches and classes: Shit et al. 2021 (arXiv:2003.07311).

    Parameters
    ----------
    probabilities, truth : Tensor, shape (N, K, X, Y) or (N, K, X, Y, Z)
        Of the foreground classes; 0 in both where voxels do not count.
    iterations : int
        Erosions of the soft skeleton, at least half the width of the thickest structure, voxels.
    """
    across = list(range(2, truth.dim()))
    with torch.no_grad():
        skeleton = soft_skeleton(truth, iterations)
    of_prediction = soft_skeleton(probabilities, iterations)
    precision = _fraction((of_prediction * truth).sum(across), of_prediction.sum(across), SMOOTH_CLDICE)
    recall = _fraction((skeleton * probabilities).sum(across), skeleton.sum(across), SMOOTH_CLDICE)
    return (1 - 2 * precision * recall / (precision + recall)).mean()


def soft_skeleton(image: Tensor, iterations: int) -> Tensor:
    """What erosions leave of (N, K, *spatial) where opening would remove it: the skeleton of a map of probabilities."""
    smaller = _eroded(image)
    skeleton = F.relu(image - _dilated(smaller))
    for _ in range(iterations):
        image, smaller = smaller, _eroded(smaller)
        more = F.relu(image - _dilated(smaller))
        skeleton = skeleton + F.relu(more - skeleton * more)
    return skeleton


def skeleton_recall_loss(probabilities: Tensor, truth: Tensor, *, over_batch: bool) -> Tensor:
    """One minus the fraction found of each class's thickened skeleton: Kirchhoff et al. 2024 (arXiv:2404.03010).

    `probabilities` and `truth` are those of the foreground classes, (N, K, *spatial), 0 where voxels do not count. A
    class has a skeleton of its own, where the authors thin all foreground as one and divide the result among classes.
    """
    with torch.no_grad():
        tubes = torch.from_numpy(_tubes((truth >= 0.5).cpu().numpy())).to(probabilities)
    across = [0, *range(2, truth.dim())] if over_batch else list(range(2, truth.dim()))
    found, whole = (probabilities * tubes).sum(across), tubes.sum(across)
    if over_batch:
        found, whole = summed(found), summed(whole)
    return (1 - _fraction(found, whole, SMOOTH_RECALL)).mean()


def _tubes(masks: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Skeleton of each mask of (N, K, *spatial), thickened inside the mask."""
    tubes = np.zeros_like(masks)
    for place in np.ndindex(masks.shape[:2]):
        if masks[place].any():
            tubes[place] = binary_dilation(skeleton(masks[place]), iterations=TUBE) & masks[place]
    return tubes


def _fraction(part: Tensor, whole: Tensor, smooth: float) -> Tensor:
    return (part + smooth) / (whole + smooth)


def _eroded(image: Tensor) -> Tensor:
    """Least value of each voxel and its face neighbors."""
    least, *others = (-_largest(-image, axis) for axis in range(image.dim() - 2))
    for other in others:
        least = torch.minimum(least, other)
    return least


def _dilated(image: Tensor) -> Tensor:
    """Largest value of each voxel and all its neighbors, one axis after another, which is a third of the work."""
    for axis in range(image.dim() - 2):
        image = _largest(image, axis)
    return image


def _largest(image: Tensor, axis: int) -> Tensor:
    """Largest value of each voxel and its two neighbors along an axis."""
    window = [3 if own == axis else 1 for own in range(image.dim() - 2)]
    pool = F.max_pool2d if len(window) == 2 else F.max_pool3d
    return pool(image, window, 1, [n // 2 for n in window])
