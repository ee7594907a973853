"""Windows that need not be computed: those of one value, and in a cascade those far from all that was found.

The first take the scores of one of their kind, which are the same to the last bit. The second are skipped only where
the user or the model's card says so: labels are then those the other windows give, and background where there is none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from medseg.types.how_computed import WindowCount

__all__ = ["WHOLE", "Coverage", "FarFromFirstPass", "OnceForUniform", "Skip", "WindowTally"]

Float32 = npt.NDArray[np.float32]
# Whether the window that begins at x, y, z is skipped.
Skip = Callable[[int, int, int], bool]
Scores = TypeVar("Scores")
# Blending weights of the windows over a voxel add up to 1, rounding apart.
WHOLE = 1 - 1e-4


@dataclass
class WindowTally:
    """Counts windows as they are dealt with: shown to the network, given the scores of another, or skipped."""

    computed: int = 0
    repeated: int = 0
    skipped: int = 0

    def reset(self) -> None:
        """Begin again."""
        self.computed = self.repeated = self.skipped = 0

    def count(self) -> WindowCount:
        """What was counted so far."""
        return WindowCount(self.computed, self.repeated, self.skipped)


class OnceForUniform(Generic[Scores]):
    """Computes windows, but for one of one value a channel that is the same as the last of that kind.

    Parameters
    ----------
    tally : WindowTally
        Is told what was done.
    """

    def __init__(self, tally: WindowTally) -> None:
        self._tally = tally
        self._value: bytes | None = None
        self._scores: Scores | None = None

    def __call__(self, shown: Sequence[Float32] | Float32, compute: Callable[[], Scores]) -> Scores:
        """Scores of some windows.

        Parameters
        ----------
        shown : sequence of ndarray of float32, shape (C, X, Y, Z) each
            The windows; of several at once all are computed.
        compute : callable
            Gives their scores.
        """
        value = _uniform_value(shown)
        if value is not None and self._scores is not None and value == self._value:
            self._tally.repeated += 1
            return self._scores
        self._tally.computed += len(shown)
        scores = compute()
        if value is not None:
            # A copy: an engine may hand out memory that it writes again.
            self._value, self._scores = value, deepcopy(scores)
        return scores


def _uniform_value(windows: Sequence[Float32] | Float32) -> bytes | None:
    """The one value of each channel of a single window, None where there is not just one."""
    if len(windows) > 1:
        return None
    shown = windows[0]
    first = shown[:, :1, :1, :1]
    # Nearly every window of a scan is ruled out by its two ends.
    if (first != shown[:, -1:, -1:, -1:]).any() or (shown != first).any():
        return None
    return first.tobytes()


class FarFromFirstPass:
    """Says which windows of a cascade's second stage lie far from anything the low-resolution stage found.

    Parameters
    ----------
    found : ndarray of float32, shape (K, X, Y, Z)
        The low-resolution stage's classes on the network's grid, 1 where it has them.
    patch : tuple of int
        Window size.
    spacing : tuple of float
        mm between the grid's voxels.
    margin : float
        A window is skipped where it, grown by so many mm on every side, holds nothing the low-resolution stage found.
    """

    def __init__(self, found: Float32, patch: Sequence[int], spacing: Sequence[float], margin: float) -> None:
        self._found, self._patch = found, patch
        self._margin = [math.ceil(margin / mm) for mm in spacing]

    def __call__(self, x: int, y: int, z: int) -> bool:
        """Whether the window that begins there is skipped."""
        around = tuple(
            slice(max(0, start - more), start + length + more)
            for start, length, more in zip((x, y, z), self._patch, self._margin, strict=True)
        )
        return not self._found[(slice(None), *around)].any()


class Coverage:
    """What share of each voxel's blending weight was computed, for a slab of planes that moves along Z.

    Parameters
    ----------
    shape : tuple of int
        Of the planes held: (X, Y, planes).
    background : ndarray of float32, shape (K,)
        Scores of a voxel of which nothing was computed.
    """

    def __init__(self, shape: tuple[int, int, int], background: Float32) -> None:
        self.held = np.zeros(shape, dtype=np.float32)
        self._background = background

    def advance(self, planes: int) -> None:
        """Move on by so many planes."""
        self.held[..., :-planes] = self.held[..., planes:].copy()
        self.held[..., -planes:] = 0

    def complete(self, scores: Float32, planes: slice) -> None:
        """Make weighted sums of scores, shape (K, X, Y, planes), averages over what was computed, where it was not all.

        Every plane may be completed once.
        """
        share, some = self.held[..., planes], scores[..., planes]
        partly = share < WHOLE
        if not partly.any():
            return
        computed = partly & (share > 0)
        weights = share[computed]
        nothing = share <= 0
        for sums, outside in zip(some, self._background, strict=True):
            sums[computed] /= weights
            sums[nothing] = outside
