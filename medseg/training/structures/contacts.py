"""The contact loss: where objects touch, the border between them weighs more, as in the weight map of the U-Net."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Voxels from a contact to the background at least: a border drawn 1.5 voxels wide and enlarged by half is within it.
REACH = 2
SMALLEST = 1e-6


def contact_loss(probabilities: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy of the voxels of contacts, summed, over the number of all voxels.

    A contact is border with no background within two voxels along any axis, diagonals included. With a weight w the
    cross-entropy of each counts 1 + w times in the mean over all voxels: the weights of Ronneberger et al. 2015
    (arXiv:1505.04597), with two values in place of a fall by distance.

    Parameters
    ----------
    probabilities, truth : Tensor, shape (N, K, X, Y) or (N, K, X, Y, Z)
        Of the foreground classes, the border last; 0 in both where voxels do not count.
    """
    with torch.no_grad():
        pool = F.max_pool2d if truth.dim() == 4 else F.max_pool3d
        background = 1 - truth.sum(1, keepdim=True)
        near = pool(background, 2 * REACH + 1, stride=1, padding=REACH)
        contacts = (truth[:, -1:] >= 0.5) & (near < 0.5)
    return -(probabilities[:, -1:].clamp(min=SMALLEST).log() * contacts).sum() / contacts.numel()
