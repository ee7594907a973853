"""Interactions of a reader, and the channels that a network is shown of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation

from medseg.models.interactive_card import InteractiveCard

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Interaction:
    """One click or scribble.

    Parameters
    ----------
    voxels : ndarray of int, shape (N, 3)
        Where, as indices of some grid; one voxel is a click.
    is_outside : bool
        Whether they do not belong to the class in hand.
    """

    voxels: npt.NDArray[np.int64]
    is_outside: bool = False

    @property
    def is_scribble(self) -> bool:
        """Whether it is more than a click."""
        return len(self.voxels) > 1

    @property
    def center(self) -> npt.NDArray[np.int64]:
        """The voxel of it that is nearest to its middle."""
        away = ((self.voxels - self.voxels.mean(axis=0)) ** 2).sum(axis=1)
        voxel: npt.NDArray[np.int64] = self.voxels[int(away.argmin())]
        return voxel

    def moved(self, shift: Sequence[int] | npt.NDArray[Any], step: Sequence[int] = (1, 1, 1)) -> Interaction:
        """Return it on a grid that begins at `shift` of this one and has every `step`-th of its voxels."""
        voxels = (self.voxels - np.asarray(shift)) // np.asarray(step)
        return replace(self, voxels=np.unique(voxels, axis=0) if len(voxels) > 1 else voxels)


def interaction_maps(interactions: Sequence[Interaction], shape: Sequence[int], card: InteractiveCard) -> Float32:
    """Return the channels of interactions, the oldest first, each older one weaker by the card's decay.

    - returns, shape (4, X, Y, Z): clicks inside and outside, scribbles inside and outside. What lies outside the grid
      is cut off.
    """
    maps = np.zeros((4, *shape), np.float32)
    ball = _ball(card.radius)
    for age, one in enumerate(reversed(interactions)):
        strength = card.decay**age
        target = maps[2 * one.is_scribble + one.is_outside]
        if one.is_scribble:
            kept = one.voxels[((one.voxels >= 0) & (one.voxels < shape)).all(axis=1)]
            marked = np.zeros(tuple(shape), bool)
            marked[tuple(kept.T)] = True
            np.maximum(target, np.float32(strength) * binary_dilation(marked), out=target)
        else:
            _stamp(target, one.voxels[0], np.float32(strength) * ball)
    return maps


def network_input(
    image: Float32, present: npt.NDArray[Any], interactions: Sequence[Interaction], card: InteractiveCard
) -> Float32:
    """Return what a network is shown: an image (C, X, Y, Z), the mask of the class in hand, and the interactions."""
    maps = interaction_maps(interactions, image.shape[1:], card)
    return np.concatenate([image, present[None].astype(np.float32), maps])


@lru_cache(maxsize=8)
def _ball(radius: float) -> Float32:
    """A ball that is 1 in the middle and falls to 0 just beyond its radius."""
    reach = math.ceil(radius)
    axis = np.arange(-reach, reach + 1)
    away = np.sqrt(sum(part.astype(np.float64) ** 2 for part in np.meshgrid(axis, axis, axis, indexing="ij")))
    ball: Float32 = np.clip(1 - away / (radius + 1), 0, 1).astype(np.float32)
    ball[away > radius] = 0
    return ball


def _stamp(target: Float32, center: npt.NDArray[np.int64], ball: Float32) -> None:
    """Write a ball around a voxel where it is larger than what is there."""
    reach = ball.shape[0] // 2
    into, source = [], []
    for at, size in zip(center.tolist(), target.shape, strict=True):
        low, high = max(at - reach, 0), min(at + reach + 1, size)
        if low >= high:
            return
        into.append(slice(low, high))
        source.append(slice(low - at + reach, high - at + reach))
    part = target[tuple(into)]
    np.maximum(part, ball[tuple(source)], out=part)
