"""Soft Dice and cross-entropy, over one resolution or several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from medseg.training.distributed import summed, world

__all__ = [
    "SMOOTH",
    "at_size",
    "cross_entropy",
    "deep_supervision_weights",
    "dice_of",
    "over_resolutions",
    "segmentation_loss",
    "soft_dice_loss",
]

# Keeps the Dice of a class that is neither there nor predicted defined; nnU-Net's value.
SMOOTH = 1e-5


def soft_dice_loss(
    scores: Tensor, labels: Tensor, *, over_batch: bool = True, ignore: int | None = None, smooth: float = SMOOTH
) -> Tensor:
    """One minus the mean soft Dice of the foreground classes.

    For each class, ``(2 sum(p t) + s) / (sum(p) + sum(t) + s)`` with p the softmax and t the one-hot labels
    (Milletari et al. 2016, arXiv:1606.04797, without the squares, as in Drozdzal et al. 2016, arXiv:1608.04117).

    Parameters
    ----------
    scores : Tensor, shape (N, classes, *spatial)
        Before softmax, background first.
    labels : Tensor of int64, shape (N, *spatial), or of float, shape (N, classes, *spatial)
        Class values, or the share of each class in each voxel; what shares lack to 1 counts for nothing.
    over_batch : bool
        Sum over the batch before dividing, or take one Dice for each patch.
    ignore : int, optional
        Voxels of this value count for nothing.
    smooth : float
        s.

    Returns
    -------
    Tensor
        A scalar.
    """
    probabilities = scores.float().softmax(1)
    hot, counted = _shares(labels, scores.shape[1], ignore)
    if counted is not None:
        probabilities = probabilities * counted
    return 1 - dice_of(probabilities, hot, over_batch=over_batch, smooth=smooth)[..., 1:].mean()


def cross_entropy(scores: Tensor, labels: Tensor, *, ignore: int | None = None) -> Tensor:
    """Mean cross-entropy over the voxels that count; 0 where none does. Shapes as in `soft_dice_loss`."""
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


def deep_supervision_weights(resolutions: int) -> tuple[float, ...]:
    """Weights of the resolutions, finest first: each half the one before, summing to 1 (nnU-Net's choice).

    nnU-Net leaves out the coarsest; here the decoder's stages never reach the bottleneck, so all are used.
    """
    weights = [0.5**k for k in range(resolutions)]
    return tuple(weight / sum(weights) for weight in weights)


def segmentation_loss(
    scores: Tensor | Sequence[Tensor],
    labels: Tensor,
    *,
    dice: float = 1.0,
    cross_entropy_weight: float = 1.0,
    over_batch: bool = True,
    ignore: int | None = None,
) -> Tensor:
    """Weighted sum of Dice loss and cross-entropy at every resolution.

    Parameters
    ----------
    scores : Tensor or sequence of Tensor
        ``(N, classes, *spatial)``, or one for each resolution, finest first; labels are brought to the coarser ones by
        nearest neighbor, shares by their mean.
    labels : Tensor of int64, shape (N, *spatial), or of float, shape (N, classes, *spatial)
        At full resolution: class values or shares, as in `soft_dice_loss`.
    dice, cross_entropy_weight : float
        Weights of the two terms.
    over_batch, ignore
        As in `soft_dice_loss`.

    Returns
    -------
    Tensor
        A scalar.
    """

    def of(part: Tensor, truth: Tensor) -> Iterator[Tensor]:
        if dice:
            yield dice * soft_dice_loss(part, truth, over_batch=over_batch, ignore=ignore)
        if cross_entropy_weight:
            yield cross_entropy_weight * cross_entropy(part, truth, ignore=ignore)

    return over_resolutions(scores, labels, of)


def over_resolutions(
    scores: Tensor | Sequence[Tensor], labels: Tensor, terms: Callable[[Tensor, Tensor], Iterable[Tensor]]
) -> Tensor:
    """Sum of the terms of a loss at every resolution, each weighted by `deep_supervision_weights`.

    Parameters
    ----------
    scores, labels
        As for `segmentation_loss`.
    terms : callable
        From the scores of a resolution, and the labels brought to it, to the terms there.
    """
    every = [scores] if isinstance(scores, Tensor) else list(scores)
    loss = torch.zeros((), device=labels.device)
    for weight, part in zip(deep_supervision_weights(len(every)), every, strict=True):
        for term in terms(part, at_size(labels, part.shape[2:])):
            loss = loss + weight * term
    return loss


def dice_of(probabilities: Tensor, shares: Tensor, *, over_batch: bool, smooth: float = SMOOTH) -> Tensor:
    """Soft Dice of each channel, shape (channels,) over the batch or (N, channels); over all processes' batches.

    Parameters
    ----------
    probabilities, shares : Tensor, shape (N, channels, *spatial)
        Predicted and true, voxels that do not count set to 0.
    over_batch, smooth
        As in `soft_dice_loss`.
    """
    dims = [0, *range(2, shares.dim())] if over_batch else list(range(2, shares.dim()))
    overlap, total = (probabilities * shares).sum(dims), probabilities.sum(dims) + shares.sum(dims)
    if over_batch:
        overlap, total = summed(overlap), summed(total)
    return (2 * overlap + smooth) / (total + smooth)


def _shares(labels: Tensor, classes: int, ignore: int | None) -> tuple[Tensor, Tensor | None]:
    """Share of each class (N, classes, *spatial), and of all of them (N, 1, *spatial) where some voxels are ignored."""
    if labels.is_floating_point():
        return labels, None if ignore is None else labels.sum(1, keepdim=True)
    counted = None if ignore is None else labels != ignore
    hot = F.one_hot(labels if counted is None else labels * counted, classes).movedim(-1, 1).float()
    return (hot, None) if counted is None else (hot * counted[:, None], counted[:, None])


def at_size(labels: Tensor, size: torch.Size) -> Tensor:
    """Labels brought to a coarser resolution by nearest neighbor, shares by their mean."""
    if labels.shape[-len(size) :] == size:
        return labels
    if labels.is_floating_point():
        return F.interpolate(labels, size=tuple(size), mode="area")
    return F.interpolate(labels[:, None].float(), size=tuple(size), mode="nearest-exact")[:, 0].long()
