"""Rotates, scales, shifts and mirrors patches about their center, in mm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Triple = tuple[int, int, int]

# Up to so many classes labels are interpolated linearly, each class's fraction by itself, which keeps outlines smooth;
# beyond it by nearest neighbor, which needs no channel for each class.
SMOOTH_CLASSES = 8


@dataclass(frozen=True)
class Spatial:
    """What happens to one patch.

    Angles are degrees about the x, y and z axis, shift is in voxels along them, flips say which are mirrored; above a
    zoom of 1 the object grows. ``elastic`` (3, i, j, k) is a displacement in mm along x, y, z at control points spread
    evenly over the patch, corner to corner, linear in between.
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


@dataclass(frozen=True)
class PatchGrid:
    """Size of the patches cut out, classes in their labels (background included), and spacing in mm along x, y, z.

    With `soft` labels become the fraction of each class in a voxel rather than the class of the largest; an ignored
    voxel has no fraction of any class. Only up to `SMOOTH_CLASSES` classes.
    """

    patch: tuple[int, int, int]
    classes: int
    spacing: tuple[float, float, float]
    soft: bool = False


def apply_spatial(
    images: Tensor, labels: Tensor, spatial: Sequence[Spatial], target: PatchGrid
) -> tuple[Tensor, Tensor]:
    """Cut a patch out of the middle of each region (at least as large), transformed about its center.

    Parameters
    ----------
    images : Tensor, shape (N, C, X, Y, Z)
        At least of the size `region_of` gives; beyond lies 0.
    labels : Tensor of int64, shape (N, X, Y, Z)
        Beyond the regions lies the background. Values of `target.classes` and more are ignored voxels.
    spatial : sequence of Spatial
        One for each region.
    target : PatchGrid
        What to cut.

    Returns
    -------
    tuple of Tensor
        Images (N, C, *patch), and labels (N, *patch) of int64 or fractions (N, classes, *patch) of float32.
    """
    patch, classes, spacing = target.patch, target.classes, target.spacing
    soft = target.soft and classes <= SMOOTH_CLASSES
    new_images = images.new_empty(*images.shape[:2], *patch)
    shape = (len(labels), classes, *patch) if soft else (len(labels), *patch)
    new_labels = images.new_empty(shape) if soft else labels.new_empty(shape)
    moved = [k for k, s in enumerate(spatial) if s.interpolates]
    if moved:
        matrices = torch.stack([_matrix(spatial[k], images.shape[2:], patch, spacing) for k in moved])
        grid = F.affine_grid(matrices.to(images.device), [len(moved), 1, *patch], align_corners=False)
        for place, k in enumerate(moved):
            if (control := spatial[k].elastic) is not None:
                grid[place] += _displacement(control.to(grid), images.shape[2:], patch, spacing)
        chosen = torch.tensor(moved, device=images.device)
        new_images[chosen], new_labels[chosen] = _sample(images[chosen], labels[chosen], grid, classes, soft=soft)
    for k, s in enumerate(spatial):
        if not s.interpolates:
            inner = tuple(slice((n - p) // 2, (n - p) // 2 + p) for n, p in zip(images.shape[2:], patch, strict=True))
            cut = labels[k][inner]
            new_images[k] = images[k][(slice(None), *inner)]
            new_labels[k] = _one_hot(cut, classes)[:classes] if soft else cut
        axes = [axis for axis in range(3) if s.flips[axis]]
        if axes:
            new_images[k] = new_images[k].flip([1 + axis for axis in axes])
            new_labels[k] = new_labels[k].flip([int(soft) + axis for axis in axes])
    return new_images, new_labels


def region_of(spatial: Spatial, patch: Triple, spacing: tuple[float, float, float]) -> Triple:
    """Size of the region that a transformed patch draws on: no voxel of the patch comes from beyond it.

    Larger than the patch by an even number of voxels, so that both have one center.
    """
    if not spatial.interpolates:
        return patch
    # Of the corners' voxel centers, turned, the farthest from the center along each axis.
    reach = _voxel_matrix(spatial, spacing).abs() @ torch.tensor([(n - 1) / 2 for n in patch], dtype=torch.float64)
    reach += torch.tensor(spatial.shift, dtype=torch.float64).abs()
    if spatial.elastic is not None:
        bent = spatial.elastic.abs().amax((1, 2, 3)).double()
        reach += bent / torch.tensor(spacing, dtype=torch.float64)
    more = [max(0, math.ceil(far - (n - 1) / 2 - 1e-6)) for n, far in zip(patch, reach.tolist(), strict=True)]
    return patch[0] + 2 * more[0], patch[1] + 2 * more[1], patch[2] + 2 * more[2]


def _voxel_matrix(spatial: Spatial, spacing: tuple[float, float, float]) -> Tensor:
    """3x3 matrix from voxels of the patch, counted from its center, to those of the region they come from."""
    mm = torch.tensor(spacing, dtype=torch.float64)
    return torch.diag(1 / mm) @ (_rotation(spatial.angles) / spatial.zoom) @ torch.diag(mm)


def _matrix(
    spatial: Spatial, region: Sequence[int], patch: tuple[int, int, int], spacing: tuple[float, float, float]
) -> Tensor:
    """3x4 matrix from the patch's normalized coordinates to the region's, both in the order `affine_grid` wants.

    A place of the patch, in mm from its center, is turned and shrunk back to where it comes from in the region.
    `affine_grid` runs from -1 to 1 from edge to edge and names axes last first.
    """
    voxels = _voxel_matrix(spatial, spacing)
    half_patch = torch.tensor(patch, dtype=torch.float64) / 2
    half_region = torch.tensor(list(region), dtype=torch.float64) / 2
    linear = torch.diag(1 / half_region) @ voxels @ torch.diag(half_patch)
    shift = torch.tensor(spatial.shift, dtype=torch.float64) / half_region
    # A patch whose size has another parity than its region's has its center half a voxel off.
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


def _sample(images: Tensor, labels: Tensor, grid: Tensor, classes: int, *, soft: bool) -> tuple[Tensor, Tensor]:
    """Images and labels, or fractions, at the places of a grid; both in one pass, which costs little more than one."""
    ignores = int(labels.max()) >= classes
    if classes > SMOOTH_CLASSES or (ignores and not soft):
        nearest = F.grid_sample(labels[:, None].float(), grid, mode="nearest", align_corners=False)
        return F.grid_sample(images, grid, align_corners=False), nearest[:, 0].long()
    channels = images.shape[1]
    one_hot = torch.stack([_one_hot(part, classes)[1 : None if ignores else -1] for part in labels])
    sampled = F.grid_sample(torch.cat([images, one_hot.to(images)], 1), grid, align_corners=False)
    # Beyond the region lies the background, so that its fraction is what the others leave.
    background = 1 - sampled[:, channels:].sum(1, keepdim=True)
    fractions = torch.cat([background, sampled[:, channels : channels + classes - 1]], 1)
    return sampled[:, :channels], fractions if soft else fractions.argmax(1)


def _one_hot(labels: Tensor, classes: int) -> Tensor:
    """Fractions (classes + 1, X, Y, Z) of labels (X, Y, Z); the last is that of ignored voxels."""
    return F.one_hot(labels.clamp(max=classes), classes + 1).movedim(-1, 0).float()
