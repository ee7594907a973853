"""Soft Dice and binary cross-entropy of regions that may overlap: nnU-Net's region-based training.

Each region has a score of its own and is there or not, whatever the others are (Isensee et al. 2021,
doi:10.1038/s41592-020-01008-z, and its BraTS 2020 entry, arXiv:2011.00848).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from medseg.training.distributed import summed, world
from medseg.training.losses import dice_of, over_resolutions

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
        As in `medseg.training.losses.segmentation_loss`.

    Returns
    -------
    Tensor
        A scalar.
    """

    def of(part: Tensor, there: Tensor) -> Iterator[Tensor]:
        truth, counted = _truth(there, members, ignore)
        if dice:
            # One minus the mean over all regions; there is no background among them.
            probabilities = part.float().sigmoid() * counted
            yield dice * (1 - dice_of(probabilities, truth * counted, over_batch=over_batch).mean())
        if cross_entropy_weight:
            yield cross_entropy_weight * _cross_entropy(part, truth, counted)

    return over_resolutions(scores, labels, of)


def _truth(labels: Tensor, members: Tensor, ignore: int | None) -> tuple[Tensor, Tensor]:
    """How much of each voxel is in each region (N, regions, *spatial), and how much of it counts (N, 1, *spatial)."""
    if labels.is_floating_point():
        shares = torch.einsum("np...,pr->nr...", labels, members)
        return shares, torch.ones_like(labels[:, :1]) if ignore is None else labels.sum(1, keepdim=True)
    counted = torch.ones_like(labels, dtype=torch.bool) if ignore is None else labels != ignore
    truth = members[labels * counted].movedim(-1, 1)
    return truth, counted[:, None].to(truth.dtype)


def _cross_entropy(scores: Tensor, truth: Tensor, counted: Tensor) -> Tensor:
    """Mean over voxels that count and regions; 0 where no voxel counts."""
    each = F.binary_cross_entropy_with_logits(scores.float(), truth, reduction="none") * counted
    voxels = summed(counted.sum()).clamp(min=1) / world()
    return each.sum() / (voxels * scores.shape[1])
