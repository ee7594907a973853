"""Rotates, scales, shifts and mirrors patches about their centre, in mm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Spatial", "apply_spatial", "identity_spatial"]

# Up to so many classes labels are interpolated linearly and the largest share wins, which keeps outlines smooth; beyond
# it by nearest neighbour, which needs no channel for each class.
SMOOTH_CLASSES = 8


@dataclass(frozen=True)
class Spatial:
    """What happens to one patch.

    Parameters
    ----------
    angles : tuple of float
        Degrees about the x, y and z axis.
    zoom : float
        Above 1 the object grows.
    shift : tuple of float
        Voxels along x, y, z.
    flips : tuple of bool
        Which axes are mirrored.
    elastic : Tensor of shape (3, i, j, k), optional
        Displacement in mm along x, y, z at control points spread evenly over the patch, corner to corner; linear in
        between.
    """

    angles: tuple[float, float, float] = (0.0, 0.0, 0.0)
    zoom: float = 1.0
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)
    flips: tuple[bool, ...] = (False, False, False)
    elastic: Tensor | None = None

    @property
    def interpolates(self) -> bool:
        """Whether voxels fall between voxels."""
        return any(self.angles) or self.zoom != 1.0 or any(self.shift) or self.elastic is not None


def identity_spatial() -> Spatial:
    """Nothing happens."""
    return Spatial()


def apply_spatial(
    images: Tensor,
    labels: Tensor,
    spatial: Sequence[Spatial],
    patch: tuple[int, int, int],
    classes: int,
    spacing: tuple[float, float, float],
) -> tuple[Tensor, Tensor]:
    """Take a patch out of the middle of each region, transformed.

    Parameters
    ----------
    images : Tensor of float32, shape (N, C, X, Y, Z)
        Regions; beyond them lies 0.
    labels : Tensor of int64, shape (N, X, Y, Z)
        Beyond them lies background.
    spatial : sequence of Spatial
        One for each region.
    patch : tuple of int
        Size of the result.
    classes : int
        Background included.
    spacing : tuple of float
        mm along x, y, z.

    Returns
    -------
    tuple of Tensor
        Images (N, C, *patch) and labels (N, *patch).
    """
    new_images = torch.empty(*images.shape[:2], *patch, dtype=images.dtype, device=images.device)
    new_labels = torch.empty(len(labels), *patch, dtype=labels.dtype, device=labels.device)
    moved = [k for k, s in enumerate(spatial) if s.interpolates]
    if moved:
        matrices = torch.stack([_matrix(spatial[k], images.shape[2:], patch, spacing) for k in moved])
        chosen = torch.tensor(moved, device=images.device)
        grid = F.affine_grid(matrices.to(images.device), [len(moved), 1, *patch], align_corners=False)
        for place, k in enumerate(moved):
            if (control := spatial[k].elastic) is not None:
                grid[place] += _displacement(control.to(grid), images.shape[2:], patch, spacing)
        new_images[chosen] = F.grid_sample(images[chosen], grid, padding_mode="zeros", align_corners=False)
        new_labels[chosen] = _sample_labels(labels[chosen], grid, classes)
    for k, s in enumerate(spatial):
        if not s.interpolates:
            inner = tuple(slice((n - p) // 2, (n - p) // 2 + p) for n, p in zip(images.shape[2:], patch, strict=True))
            new_images[k], new_labels[k] = images[k][(slice(None), *inner)], labels[k][inner]
        axes = [axis for axis in range(3) if s.flips[axis]]
        if axes:
            new_images[k] = new_images[k].flip([1 + axis for axis in axes])
            new_labels[k] = new_labels[k].flip(axes)
    return new_images, new_labels


def _matrix(
    spatial: Spatial, region: Sequence[int], patch: tuple[int, int, int], spacing: tuple[float, float, float]
) -> Tensor:
    """3x4 matrix from the patch's normalised coordinates to the region's, both in the order `affine_grid` wants.

    A place of the patch, in mm from its centre, is turned and shrunk back to where it comes from in the region.
    `affine_grid` runs from -1 to 1 from edge to edge and names axes last first.
    """
    mm = torch.tensor(spacing, dtype=torch.float64)
    turn = _rotation(spatial.angles) / spatial.zoom
    voxels = torch.diag(1 / mm) @ turn @ torch.diag(mm)
    half_patch = torch.tensor(patch, dtype=torch.float64) / 2
    half_region = torch.tensor(list(region), dtype=torch.float64) / 2
    linear = torch.diag(1 / half_region) @ voxels @ torch.diag(half_patch)
    shift = torch.tensor(spatial.shift, dtype=torch.float64) / half_region
    # A patch whose size has another parity than its region's has its centre half a voxel off.
    parity = torch.tensor([((n - p) // 2 + p / 2) - n / 2 for n, p in zip(region, patch, strict=True)])
    shift = shift + parity.double() / half_region
    return torch.cat([linear, shift[:, None]], 1).flip(0)[:, [2, 1, 0, 3]].float()


def _displacement(
    control: Tensor, region: Sequence[int], patch: tuple[int, int, int], spacing: tuple[float, float, float]
) -> Tensor:
    """Displacement of every voxel of a patch in the region's coordinates, shape (*patch, 3), axes last first."""
    dense = F.interpolate(control[None], size=patch, mode="trilinear", align_corners=True)[0]
    scale = torch.tensor([2 / (mm * n) for mm, n in zip(spacing, region, strict=True)]).to(dense)
    return (dense * scale[:, None, None, None]).flip(0).movedim(0, -1)


def _rotation(angles: tuple[float, float, float]) -> Tensor:
    x, y, z = (math.radians(a) for a in angles)
    about_x = [[1, 0, 0], [0, math.cos(x), -math.sin(x)], [0, math.sin(x), math.cos(x)]]
    about_y = [[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]]
    about_z = [[math.cos(z), -math.sin(z), 0], [math.sin(z), math.cos(z), 0], [0, 0, 1]]
    first, second, third = (torch.tensor(m, dtype=torch.float64) for m in (about_x, about_y, about_z))
    return first @ second @ third


def _sample_labels(labels: Tensor, grid: Tensor, classes: int) -> Tensor:
    if classes > SMOOTH_CLASSES or int(labels.max()) >= classes:
        sampled = F.grid_sample(labels[:, None].float(), grid, mode="nearest", align_corners=False)
        return sampled[:, 0].long()
    shares = F.one_hot(labels, classes).movedim(-1, 1)[:, 1:].float()
    sampled = F.grid_sample(shares, grid, padding_mode="zeros", align_corners=False)
    background = 1 - sampled.sum(1, keepdim=True)
    return torch.cat([background, sampled], 1).argmax(1)
