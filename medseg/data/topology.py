"""The depth of a U-Net for a patch, where it pools, and how much memory it then needs: nnU-Net's rules.

Isensee et al. 2021 (doi:10.1038/s41592-020-01008-z), and nnU-Net 2's `get_pool_and_conv_props`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# The coarsest feature map has at least so many voxels along each axis that was pooled.
SMALLEST_MAP = 4


@dataclass(frozen=True)
class Topology:
    """Stages of a U-Net on one patch.

    - `patch`: the patch, made larger where needed so that every pooling halves it evenly.
    """

    patch: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]
    kernels: tuple[tuple[int, ...], ...]

    @property
    def multiple(self) -> tuple[int, ...]:
        """What the patch must be a multiple of along each axis."""
        return tuple(math.prod(stride[axis] for stride in self.strides) for axis in range(len(self.patch)))


def topology_of(spacing: Sequence[float], patch: Sequence[int], *, most_stages: int | None = None) -> Topology:
    """Pool each axis while its map stays large enough and its spacing is less than twice the finest.

    Kernels are 1 along an axis until poolings of the others bring its spacing within a factor of 2 of the finest, and 3
    from then on.
    """
    axes = range(len(patch))
    now, size = list(spacing), list(patch)
    strides: list[tuple[int, ...]] = [(1,) * len(patch)]
    kernels: list[tuple[int, ...]] = []
    kernel = [1] * len(patch)
    while most_stages is None or len(strides) < most_stages:
        possible = [axis for axis in axes if size[axis] >= 2 * SMALLEST_MAP]
        if not possible:
            break
        finest = min(now[axis] for axis in possible)
        pooled = [axis for axis in possible if now[axis] / finest < 2]
        if len(pooled) == 1 and size[pooled[0]] < 3 * SMALLEST_MAP:
            break
        kernel = [3 if k == 3 or now[axis] / min(now) < 2 else 1 for axis, k in enumerate(kernel)]
        kernels.append(tuple(kernel))
        strides.append(tuple(2 if axis in pooled else 1 for axis in axes))
        for axis in pooled:
            now[axis] *= 2
            size[axis] = math.ceil(size[axis] / 2)
    kernels.append((3,) * len(patch))
    multiple = [math.prod(stride[axis] for stride in strides) for axis in axes]
    fitting = tuple(math.ceil(n / m) * m for n, m in zip(patch, multiple, strict=True))
    return Topology(fitting, tuple(strides), tuple(kernels))


def feature_voxels(topology: Topology, features: Sequence[int], classes: int) -> int:
    """Numbers a plain U-Net of two convolutions a stage keeps for the backward pass of one patch.

    nnU-Net's measure of memory: outputs of all convolutions, upsamplings and heads.
    """
    size = list(topology.patch)
    sizes: list[int] = []
    for stride in topology.strides:
        size = [n // s for n, s in zip(size, stride, strict=True)]
        sizes.append(math.prod(size))
    encoder = sum(2 * n * f for n, f in zip(sizes, features, strict=True))
    decoder = sum((3 * f + classes) * n for n, f in zip(sizes[:-1], features[:-1], strict=True))
    return encoder + decoder
