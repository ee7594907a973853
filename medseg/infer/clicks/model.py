"""A model that takes clicks, loaded once, and what it makes of one patch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import ModelError
from medseg.infer.clicks.interaction import Interaction, network_input
from medseg.infer.engines.base import Engine
from medseg.infer.engines.select import select_engine
from medseg.infer.options import InferOptions
from medseg.models.interactive_card import InteractiveCard
from medseg.models.package import ModelPackage

Float32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Triple = tuple[int, int, int]

# A patch is taken of so much coarser voxels at most, where the class reaches beyond a finer one.
ZOOMS = (1, 2, 4)


class ClickModel:
    """A network that takes clicks, on the engine that prediction would choose.

    Raises
    ------
    ModelError
        When the model takes no clicks.
    """

    def __init__(
        self, package: ModelPackage, options: InferOptions | None = None, *, engine: Engine | None = None
    ) -> None:
        if package.card.interactive is None:
            raise ModelError(
                f"{package.identity.name} takes no clicks",
                where=package.folder,
                fix="Give a model that `medseg train --interactive` made.",
            )
        self.package = package
        self.card: InteractiveCard = package.card.interactive
        self.patch: Triple = package.card.input.patch
        self.engine = engine or select_engine(package, options or InferOptions())

    def probability(self, image: Float32, present: Mask, interactions: Sequence[Interaction]) -> Float32:
        """Return the probability of the class in hand in one patch.

        Parameters
        ----------
        image : ndarray, shape (C, *patch)
            Prepared intensities.
        present : ndarray of bool, shape patch
            The mask of the class as it is.
        interactions : sequence of Interaction
            In voxels of the patch, the oldest first; those that lie outside it are not seen.
        """
        shown = network_input(image, present, interactions, self.card)
        scores = self.engine.run(np.ascontiguousarray(shown[None]))[0]
        result: Float32 = 1 / (1 + np.exp(np.clip(scores[0] - scores[1], -60, 60)))
        return result


def patch_around(center: Sequence[int], patch: Triple, shape: Sequence[int], zoom: int) -> tuple[Triple, Triple]:
    """Return first voxel and step of a patch around a voxel, inside the scan where that is larger, as training does.

    Axes of which a patch has one voxel are never coarser.
    """
    step = [zoom if side > 1 else 1 for side in patch]
    first = []
    for at, side, every, size in zip(center, patch, step, shape, strict=True):
        reach = side * every
        first.append(-((reach - size) // 2) if size <= reach else min(max(int(at) - reach // 2, 0), size - reach))
    return (first[0], first[1], first[2]), (step[0], step[1], step[2])


def coarse_patch(image: npt.NDArray[Any], first: Triple, step: Triple, patch: Triple) -> Float32:
    """Cut a patch (C, *patch) out of an image (C, X, Y, Z), each voxel the mean of `step` voxels; outside lies 0."""
    size = [n * k for n, k in zip(patch, step, strict=True)]
    result = np.zeros((image.shape[0], *size), np.float32)
    source, target = [], []
    for low, length, end in zip(first, size, image.shape[1:], strict=True):
        a, b = max(low, 0), min(low + length, end)
        source.append(slice(a, max(a, b)))
        target.append(slice(a - low, max(a, b) - low))
    result[(slice(None), *target)] = image[(slice(None), *source)]
    if step == (1, 1, 1):
        return result
    x, y, z = patch
    i, j, k = step
    means: Float32 = result.reshape(-1, x, i, y, j, z, k).mean(axis=(2, 4, 6))
    return means


def reaches_beyond(changed: Mask, first: Triple, step: Triple, shape: Sequence[int]) -> bool:
    """Whether a change touches a face of a patch beyond which there is more of the scan."""
    for axis, (low, every, size) in enumerate(zip(first, step, shape, strict=True)):
        if low > 0 and np.take(changed, 0, axis).any():
            return True
        if low + every * changed.shape[axis] < size and np.take(changed, -1, axis).any():
            return True
    return False
