"""Windows that need not be computed: those of one value, and in a cascade those far from all that was found.

The first reuse the scores of one of their kind, which are the same to the last bit. The second are skipped only where
the user or the model's card asks for it; labels are then those of the other windows, and background where none ran.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from medseg.types.how_computed import WindowCount

Float32 = npt.NDArray[np.float32]
# Whether the window that begins at x, y, z is skipped.
Skip = Callable[[int, int, int], bool]
Scores = TypeVar("Scores")
# Blending weights of the windows over a voxel add up to 1, rounding apart.
WHOLE = 1 - 1e-4
# Seconds between two messages about windows done.
EVERY = 0.5


@dataclass
class WindowCounter:
    """Counts windows: shown to the network, given the scores of another, or skipped; `watch` hears the sum of them."""

    computed: int = 0
    reused: int = 0
    skipped: int = 0
    watch: Callable[[int], None] | None = None

    def add(self, *, computed: int = 0, reused: int = 0, skipped: int = 0) -> None:
        """Count some more."""
        self.computed += computed
        self.reused += reused
        self.skipped += skipped
        if self.watch is not None:
            self.watch(self.computed + self.reused + self.skipped)

    def reset(self) -> None:
        """Begin again."""
        self.computed = self.reused = self.skipped = 0

    def count(self) -> WindowCount:
        """What was counted so far."""
        return WindowCount(self.computed, self.reused, self.skipped)


def now_and_then(hear: Callable[[int, int], None], total: int) -> Callable[[int], None]:
    """Return what `WindowCounter.watch` may be: it lets through the first window, the last, and two a second between.

    A scan cut into strips has some of its windows done twice; no more than `total` are named.
    """
    last = -math.inf

    def watch(done: int) -> None:
        nonlocal last
        if time.monotonic() - last >= EVERY or done == total:
            last = time.monotonic()
            hear(min(done, total), total)

    return watch


class ReuseUniform(Generic[Scores]):
    """Computes windows, except one of a single value a channel that equals the last of that kind."""

    def __init__(self, counter: WindowCounter) -> None:
        self._counter = counter
        self._value: bytes | None = None
        self._scores: Scores | None = None

    def __call__(self, windows: Sequence[Float32] | Float32, compute: Callable[[], Scores]) -> Scores:
        """Scores of windows of shape (C, X, Y, Z) each; of several at once all are computed."""
        value = _uniform_value(windows)
        if value is not None and self._scores is not None and value == self._value:
            self._counter.add(reused=1)
            return self._scores
        scores = compute()
        self._counter.add(computed=len(windows))
        if value is not None:
            # A copy: an engine may hand out memory that it writes again.
            self._value, self._scores = value, deepcopy(scores)
        return scores


def _uniform_value(windows: Sequence[Float32] | Float32) -> bytes | None:
    """The one value of each channel of a single window, None where there is not just one."""
    if len(windows) > 1:
        return None
    window = windows[0]
    first = window[:, :1, :1, :1]
    # Nearly every window of a scan is ruled out by its two ends.
    if (first != window[:, -1:, -1:, -1:]).any() or (window != first).any():
        return None
    return first.tobytes()


class FarFromLowResolution:
    """Finds which windows of a cascade's second stage lie far from anything the low-resolution stage found.

    `found`, shape (K, X, Y, Z), is 1 where the low-resolution stage has a class, on the network's grid. A window is
    skipped where it, grown by `margin` mm on every side, holds none of them.
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
    """Fraction of each voxel's blending weight that was computed, for a slab of planes that moves along Z.

    - `shape`: of the planes held, (X, Y, planes).
    - `background`, shape (K,): scores of a voxel of which nothing was computed.
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
        covered = self.held[..., planes]
        partly = covered < WHOLE
        if not partly.any():
            return
        computed = partly & (covered > 0)
        weights = covered[computed]
        nothing = covered <= 0
        for sums, outside in zip(scores[..., planes], self._background, strict=True):
            sums[computed] /= weights
            sums[nothing] = outside
