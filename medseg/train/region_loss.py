"""Soft Dice and binary cross-entropy of regions that may overlap: nnU-Net's region-based training.

Each region has a score of its own and is there or not, whatever the others are (Isensee et al. 2021,
doi:10.1038/s41592-020-01008-z, and its BraTS 2020 entry, arXiv:2011.00848).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from medseg.train.losses import SMOOTH, at_size, deep_supervision_weights
from medseg.train.processes import summed, world

__all__ = ["region_loss"]


def region_loss(
    scores: Tensor | Sequence[Tensor],
    labels: Tensor,
    members: Tensor,
    *,
    dice: float = 1.0,
    cross_entropy_weight: float = 1.0,
    over_batch: bool = True,
    ignore: int | None = None,
) -> Tensor:
    """Weighted sum of Dice loss and binary cross-entropy at every resolution.

    Parameters
    ----------
    scores : Tensor or sequence of Tensor
        ``(N, regions, *spatial)`` before the sigmoid, or one for each resolution, finest first.
    labels : Tensor of int64, shape (N, *spatial), or of float, shape (N, parts + 1, *spatial)
        Number of the part in each voxel, 0 for the background, or the share of each part.
    members : Tensor of float, shape (parts + 1, regions)
        1 where a part belongs to a region; the background belongs to none.
    dice, cross_entropy_weight, over_batch, ignore
        As in `medseg.train.losses.segmentation_loss`.

    Returns
    -------
    Tensor
        A scalar.
    """
    every = [scores] if isinstance(scores, Tensor) else list(scores)
    loss = torch.zeros((), device=labels.device)
    for weight, part in zip(deep_supervision_weights(len(every)), every, strict=True):
        truth, counted = _truth(at_size(labels, part.shape[2:]), members, ignore)
        if dice:
            loss = loss + weight * dice * _dice_loss(part, truth, counted, over_batch)
        if cross_entropy_weight:
            loss = loss + weight * cross_entropy_weight * _cross_entropy(part, truth, counted)
    return loss


def _truth(labels: Tensor, members: Tensor, ignore: int | None) -> tuple[Tensor, Tensor]:
    """How much of each voxel is in each region (N, regions, *spatial), and how much of it counts (N, 1, *spatial)."""
    if labels.is_floating_point():
        shares = torch.einsum("np...,pr->nr...", labels, members)
        return shares, torch.ones_like(labels[:, :1]) if ignore is None else labels.sum(1, keepdim=True)
    counted = torch.ones_like(labels, dtype=torch.bool) if ignore is None else labels != ignore
    truth = members[labels * counted].movedim(-1, 1)
    return truth, counted[:, None].to(truth.dtype)


def _dice_loss(scores: Tensor, truth: Tensor, counted: Tensor, over_batch: bool) -> Tensor:
    """One minus the mean soft Dice of all regions."""
    probabilities = scores.float().sigmoid() * counted
    truth = truth * counted
    dims = [0, *range(2, scores.dim())] if over_batch else list(range(2, scores.dim()))
    overlap, total = (probabilities * truth).sum(dims), probabilities.sum(dims) + truth.sum(dims)
    if over_batch:
        overlap, total = summed(overlap), summed(total)
    return 1 - ((2 * overlap + SMOOTH) / (total + SMOOTH)).mean()


def _cross_entropy(scores: Tensor, truth: Tensor, counted: Tensor) -> Tensor:
    """Mean over voxels that count and regions; 0 where no voxel counts."""
    each = F.binary_cross_entropy_with_logits(scores.float(), truth, reduction="none") * counted
    voxels = summed(counted.sum()).clamp(min=1) / world()
    return each.sum() / (voxels * scores.shape[1])
