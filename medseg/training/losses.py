"""Soft Dice and cross-entropy of exclusive classes or of overlapping regions, at one resolution or several.

Targets are class values (int64) or, after interpolation, the fraction of each class in each voxel (float); fractions
that sum to less than 1 mark voxels that are partly ignored. Over several processes the sums are those of all batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from medseg.training.config import LossConfig
from medseg.training.distributed import summed, world

# Keeps the Dice of a class that is neither present nor predicted defined; nnU-Net's value.
SMOOTH = 1e-5
# A score whose probability is 0 in float32, and whose logarithm is finite, so that 0 times it is 0.
NEVER = -1e4


@dataclass(frozen=True, eq=False)
class Counted:
    """What of the labels of regions counts.

    - `ignore`: a value whose voxels do not.
    - `annotated`, shape (N, regions) of bool: regions that a sample's labels annotate; others do not count in it.
    """

    ignore: int | None = None
    annotated: Tensor | None = None


def segmentation_loss(
    scores: Tensor | Sequence[Tensor],
    labels: Tensor,
    config: LossConfig | None = None,
    *,
    ignore: int | None = None,
    annotated: Tensor | None = None,
) -> Tensor:
    """Weighted sum of Dice loss and cross-entropy at every resolution, for classes that exclude each other.

    Parameters
    ----------
    scores : Tensor or sequence of Tensor
        ``(N, classes, *spatial)`` before softmax, background first; or one for each resolution, finest first.
    labels : Tensor of int64, shape (N, *spatial), or of float, shape (N, classes, *spatial)
        At full resolution: class values or fractions.
    config : LossConfig, optional
        Weights of the two terms.
    ignore : int, optional
        Voxels of this value do not count.
    annotated : Tensor of bool, shape (N, classes), optional
        Classes that a sample's labels annotate, the background always; others may be anywhere in its background.
    """
    config = config or LossConfig()

    def terms(part: Tensor, truth: Tensor) -> Iterator[Tensor]:
        if annotated is not None:
            part = in_background(part, annotated)
        if config.dice:
            yield config.dice * soft_dice_loss(part, truth, over_batch=config.batch_dice, ignore=ignore)
        if config.cross_entropy:
            yield config.cross_entropy * cross_entropy(part, truth, ignore=ignore)

    return _over_resolutions(scores, labels, terms)


def region_loss(
    scores: Tensor | Sequence[Tensor],
    labels: Tensor,
    regions: Tensor,
    config: LossConfig | None = None,
    *,
    counted: Counted | None = None,
) -> Tensor:
    """Weighted sum of Dice loss and binary cross-entropy of regions that may overlap: nnU-Net's region-based training.

    Each region has a score of its own, whatever the others are (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z,
    and its BraTS 2020 entry, arXiv:2011.00848).

    Parameters
    ----------
    scores : Tensor or sequence of Tensor
        ``(N, regions, *spatial)`` before the sigmoid; or one for each resolution, finest first.
    labels : Tensor of int64, shape (N, *spatial), or of float, shape (N, parts + 1, *spatial)
        Number of the part in each voxel, 0 for the background, or the fraction of each part.
    regions : Tensor of float, shape (parts + 1, regions)
        1 where a part belongs to a region; the background belongs to none.
    config : LossConfig, optional
        As for `segmentation_loss`.
    counted : Counted, optional
        What of the labels counts; everything by default.
    """
    config, counted = config or LossConfig(), counted or Counted()

    def terms(part: Tensor, target: Tensor) -> Iterator[Tensor]:
        truth, voxels = region_truth(target, regions, counted.ignore)
        if counted.annotated is not None:
            voxels = voxels * counted.annotated[(...,) + (None,) * (voxels.dim() - 2)]
        if config.dice:
            # One minus the mean over all regions; there is no background among them.
            dice = _dice(part.float().sigmoid() * voxels, truth * voxels, over_batch=config.batch_dice)
            yield config.dice * (1 - dice.mean())
        if config.cross_entropy:
            yield config.cross_entropy * _binary_cross_entropy(part, truth, voxels)

    return _over_resolutions(scores, labels, terms)


def soft_dice_loss(
    scores: Tensor, labels: Tensor, *, over_batch: bool = True, ignore: int | None = None, smooth: float = SMOOTH
) -> Tensor:
    """One minus the mean soft Dice of the foreground classes, over the batch or for each patch.

    For each class, ``(2 sum(p t) + s) / (sum(p) + sum(t) + s)`` with p the softmax and t the one-hot labels
    (Milletari et al. 2016, arXiv:1606.04797, without the squares, as in Drozdzal et al. 2016, arXiv:1608.04117).
    """
    probabilities = scores.float().softmax(1)
    truth, counted = class_truth(labels, scores.shape[1], ignore)
    if counted is not None:
        probabilities = probabilities * counted
    return 1 - _dice(probabilities, truth, over_batch=over_batch, smooth=smooth)[..., 1:].mean()


def cross_entropy(scores: Tensor, labels: Tensor, *, ignore: int | None = None) -> Tensor:
    """Mean cross-entropy over the voxels that count; 0 where none does."""
    if labels.is_floating_point():
        if ignore is None:
            counted = labels.new_tensor(labels.shape[0] * labels[0, 0].numel())
        else:
            counted = summed(labels.sum()).clamp(min=1) / world()
        return -(scores.float().log_softmax(1) * labels).sum() / counted
    if ignore is None:
        return F.cross_entropy(scores.float(), labels)
    total = F.cross_entropy(scores.float(), labels, ignore_index=ignore, reduction="sum")
    return total * world() / summed((labels != ignore).sum()).clamp(min=1)


def in_background(scores: Tensor, annotated: Tensor) -> Tensor:
    """Scores in which the classes that a sample does not annotate are part of its background.

    The background's probability becomes the sum of its own and theirs, and theirs 0, so that a voxel labeled background
    may be any of them: the marginal loss of Shi et al. 2021 (doi:10.1016/j.media.2021.101979).

    Parameters
    ----------
    scores : Tensor, shape (N, classes, *spatial)
        Before softmax, background first.
    annotated : Tensor of bool, shape (N, classes)
        The background is taken as annotated.
    """
    known = annotated[(...,) + (None,) * (scores.dim() - 2)]
    joined = ~known
    joined[:, :1] = True
    background = scores.float().masked_fill(~joined, -torch.inf).logsumexp(1, keepdim=True)
    return torch.cat([background, scores.float().masked_fill(~known, NEVER)[:, 1:]], 1)


def deep_supervision_weights(resolutions: int) -> tuple[float, ...]:
    """Weights of the resolutions, finest first: each half the one before, summing to 1 (nnU-Net's choice).

    nnU-Net omits the coarsest; here the decoder's stages never reach the bottleneck, so all are used.
    """
    weights = [0.5**k for k in range(resolutions)]
    return tuple(weight / sum(weights) for weight in weights)


def _over_resolutions(
    scores: Tensor | Sequence[Tensor], labels: Tensor, terms: Callable[[Tensor, Tensor], Iterable[Tensor]]
) -> Tensor:
    """Sum of the terms at every resolution, given its scores and labels, weighted by `deep_supervision_weights`."""
    every = [scores] if isinstance(scores, Tensor) else list(scores)
    loss = torch.zeros((), device=labels.device)
    for weight, part in zip(deep_supervision_weights(len(every)), every, strict=True):
        for term in terms(part, _at_size(labels, part.shape[2:])):
            loss = loss + weight * term
    return loss


def _at_size(labels: Tensor, size: torch.Size) -> Tensor:
    """Labels at a coarser resolution by nearest neighbor, fractions by their mean."""
    if labels.shape[-len(size) :] == size:
        return labels
    if labels.is_floating_point():
        return F.interpolate(labels, size=tuple(size), mode="area")
    return F.interpolate(labels[:, None].float(), size=tuple(size), mode="nearest-exact")[:, 0].long()


def _dice(probabilities: Tensor, truth: Tensor, *, over_batch: bool, smooth: float = SMOOTH) -> Tensor:
    """Soft Dice of each channel, shape (channels,) over the batch or (N, channels); uncounted voxels are 0 in both."""
    dims = [0, *range(2, truth.dim())] if over_batch else list(range(2, truth.dim()))
    overlap, total = (probabilities * truth).sum(dims), probabilities.sum(dims) + truth.sum(dims)
    if over_batch:
        overlap, total = summed(overlap), summed(total)
    return (2 * overlap + smooth) / (total + smooth)


def class_truth(labels: Tensor, classes: int, ignore: int | None) -> tuple[Tensor, Tensor | None]:
    """Fraction of each class (N, classes, *spatial), and how much of each voxel counts (N, 1, *spatial) or None."""
    if labels.is_floating_point():
        return labels, None if ignore is None else labels.sum(1, keepdim=True)
    counted = None if ignore is None else labels != ignore
    one_hot = F.one_hot(labels if counted is None else labels * counted, classes).movedim(-1, 1).float()
    return (one_hot, None) if counted is None else (one_hot * counted[:, None], counted[:, None])


def region_truth(labels: Tensor, regions: Tensor, ignore: int | None) -> tuple[Tensor, Tensor]:
    """Fraction of each region (N, regions, *spatial), and how much of each voxel counts (N, 1, *spatial)."""
    if labels.is_floating_point():
        fractions = torch.einsum("np...,pr->nr...", labels, regions)
        return fractions, torch.ones_like(labels[:, :1]) if ignore is None else labels.sum(1, keepdim=True)
    counted = torch.ones_like(labels, dtype=torch.bool) if ignore is None else labels != ignore
    truth = regions[labels * counted].movedim(-1, 1)
    return truth, counted[:, None].to(truth.dtype)


def _binary_cross_entropy(scores: Tensor, truth: Tensor, counted: Tensor) -> Tensor:
    """Mean over voxels that count and regions; 0 where no voxel counts."""
    each = F.binary_cross_entropy_with_logits(scores.float(), truth, reduction="none") * counted
    return each.sum() / (summed(counted.expand_as(each).sum()).clamp(min=1) / world())
