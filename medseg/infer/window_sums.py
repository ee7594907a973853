"""Sums of the scores of overlapping windows, in float32, or rounded as nnU-Net's are.

nnU-Net keeps sums and weights in float16. Near the faces of a scan a single window counts, and by a millionth of its
middle: there float16 decides between classes whose scores hardly differ, and a model whose labels are to be those of
nnU-Net's own code has to round as it does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from medseg.infer.blend import SIGMA
from medseg.infer.output_layer import OutputLayer
from medseg.threads import CORES, side_by_side

Float32 = npt.NDArray[np.float32]
# Values weighted at a time: the product stays in the CPU's cache until it is added.
CACHED = 1 << 16
# Scores of a window from which on it pays to add them in several threads.
WORTH_SHARING = 1 << 20
# nnU-Net's weight in the middle of a window.
HALF_TOP = 10.0
# Below it float16 has multiples of 2^-24 only; as the integer that has its bits.
LEAST_NORMAL = np.float32(2.0**-14).view(np.int32)
# Added and taken away, it leaves multiples of 2^-24: that is the last digit of a float32 of its size.
GRID = np.float32(0.75)
# Multiplied by it, a number loses all but its first 11 binary digits in a subtraction (Veltkamp's splitting).
SPLIT = np.float32(2**13 + 1)


def add_window(
    held: Float32,
    scores: Float32,
    weights: Float32,
    x: int,
    y: int,
    *,
    half: bool = False,
    layer: OutputLayer | None = None,
    planes: slice = slice(None),
) -> None:
    """Add a window's weighted scores, shape (K, *patch), where it lies over the scores held, shape (K, X, Y, depth).

    With a `layer` what is given are features, shape (F, *patch), of which it makes the scores. `planes` of the window
    are added, those that weights are given for.
    """
    if layer is not None:
        for column in range(scores.shape[1]):
            made = layer.scores(scores[:, column])[:, None]
            add_window(held, made, weights[column : column + 1], x + column, y, half=half, planes=planes)
        return
    low, high = max(0, y), min(held.shape[2], y + scores.shape[2])
    target, given = held[:, x : x + scores.shape[1], low:high], scores[:, :, low - y : high - y, planes]
    weights = weights[:, low - y : high - y]
    count = min(len(scores), CORES) if given.size >= WORTH_SHARING else 1
    if count == 1:
        _add_classes(target, given, weights, half)
        return
    side_by_side(lambda n: _add_classes(target[n::count], given[n::count], weights, half), range(count))


def _add_classes(target: Float32, scores: Float32, weights: Float32, half: bool) -> None:
    """Add weighted scores, shape (K, x, y, z), in blocks that stay in the cache."""
    width = scores.shape[1]
    step = max(1, CACHED // (weights.shape[1] * weights.shape[2]))
    weighted = np.empty((step, *weights.shape[1:]), dtype=np.float32)
    rounding = HalfRounding(weighted.size if half else 0)
    for sums, score in zip(target, scores, strict=True):
        for begin in range(0, width, step):
            block = slice(begin, begin + step)
            product = weighted[: min(step, width - begin)]
            np.multiply(score[block], weights[block], out=product)
            if half:
                product += sums[block]
                sums[block] = rounding.round(product)
            else:
                sums[block] += product


class HalfWeights:
    """nnU-Net's weights of a window, and their sum over the voxels of a slab that moves along Z.

    - `shape`: of the planes held, (X, Y, planes), the first of which are done.
    - `planes`: of a window, those that are wanted.
    """

    def __init__(self, patch: Sequence[int], shape: tuple[int, int, int], planes: slice) -> None:
        self.of_window = half_weights(tuple(patch))[..., planes]
        self._held = np.zeros(shape, np.float32)

    def advance(self, planes: int) -> None:
        """Move on by so many planes."""
        self._held[..., :-planes] = self._held[..., planes:].copy()
        self._held[..., -planes:] = 0

    def add(self, x: int, y: int) -> None:
        """Count one more window."""
        add_window(self._held[None, ..., 1:], np.ones_like(self.of_window[None]), self.of_window, x, y, half=True)

    def divide(self, sums: Float32, planes: slice) -> None:
        """Make sums of scores, shape (K, X, Y, planes), averages; every plane once."""
        total = self._held[..., planes]

        step = max(1, CACHED // math.prod(total.shape[1:]))

        def finish(number: int) -> None:
            rounding = HalfRounding(step * math.prod(total.shape[1:]))
            for first in range(0, len(total), step):
                one = sums[number, first : first + step, :, planes]
                one[...] = rounding.round(one / total[first : first + step])

        side_by_side(finish, range(len(sums)))


@lru_cache(maxsize=4)
def half_weights(patch: tuple[int, ...]) -> Float32:
    """nnU-Net's weights of a window, which are those of `float16`, shape `patch`; none vanishes."""
    from scipy.ndimage import gaussian_filter

    point = np.zeros(patch)
    point[tuple(size // 2 for size in patch)] = 1
    weights = gaussian_filter(point, [SIGMA * size for size in patch], mode="constant")
    half = (weights / (weights.max() / HALF_TOP)).astype(np.float32).astype(np.float16)  # by way of float32, as PyTorch
    half[half == 0] = half[half > 0].min()
    result: Float32 = half.astype(np.float32)
    return result


class HalfRounding:
    """Rounds as a cast to `float16` and back does, only faster, in memory for so many numbers that it keeps."""

    def __init__(self, size: int) -> None:
        self._normal, self._small = np.empty((2, size), np.float32)

    def round(self, values: Float32) -> Float32:
        """Return numbers of any shape, each below 65,504, rounded, until the next call; they themselves are lost."""
        normal = self._normal[: values.size].reshape(values.shape)
        small = self._small[: values.size].reshape(values.shape)
        np.multiply(values, SPLIT, out=normal)
        np.subtract(normal, values, out=small)
        np.subtract(normal, small, out=normal)
        np.add(values, GRID, out=small)
        np.subtract(small, GRID, out=small)
        # Of two numbers the one that counts, by their bits: a mask of booleans takes twice as long as all above. All
        # bits of a negative difference become its sign.
        bits, chosen, other = (one.view(np.int32) for one in (np.abs(values, out=values), normal, small))
        np.right_shift(np.subtract(bits, LEAST_NORMAL, out=bits), 31, out=bits)
        np.bitwise_and(np.bitwise_xor(chosen, other, out=other), bits, out=other)
        np.bitwise_xor(chosen, other, out=chosen)
        return normal
