"""The skeleton of a mask: lines one voxel wide along the middle of what it holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, distance_transform_edt, find_objects, generate_binary_structure, label
from skimage.morphology import skeletonize

Mask = npt.NDArray[np.bool_]


def skeleton(mask: Mask) -> Mask:
    """Thin a mask in 2D (Zhang & Suen 1984) or 3D (Lee et al. 1994), by scikit-image; an axis of one voxel is none.

    Every connected component keeps a skeleton. In 3D scikit-image's thinning removes some of even width altogether, a
    straight tube of 2 x 2 voxels for one; these are thinned again one voxel thicker.
    """
    flat = mask.squeeze()
    if flat.ndim < 2 or not flat.any():
        return mask.copy()
    thin: Mask = skeletonize(flat) > 0
    touching = generate_binary_structure(flat.ndim, flat.ndim)
    ids, count = label(flat, touching)
    lost = np.setdiff1d(np.arange(1, count + 1), ids[thin])
    boxes = find_objects(ids)
    for number in lost:
        box = boxes[number - 1]
        thin[box] |= _again(ids[box] == number)
    return thin.reshape(mask.shape)


def _again(component: Mask) -> Mask:
    """Skeleton of a component that thinning removed: made odd where it was even, or else its deepest voxel."""
    padded = np.pad(component, 1)
    inside = (slice(1, -1),) * component.ndim
    thicker = binary_dilation(padded, np.ones((2,) * component.ndim, bool))
    thin: Mask = (skeletonize(thicker) > 0)[inside] & component
    if not thin.any():
        depth: npt.NDArray[Any] = distance_transform_edt(padded)[inside]
        thin[np.unravel_index(int(depth.argmax()), depth.shape)] = True
    return thin
