"""Runs a network over a scan window by window and hands out blended scores as soon as they are final.

Windows advance along the last axis. Only a slab one window thick is held: what no later window reaches is handed out
and forgotten, so memory does not grow with the length of the scan.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.infer.blend import AxisWindows, windows_along
from medseg.infer.windows_saved import Coverage, OnceForUniform, Skip, WindowTally
from medseg.threads import CORES, side_by_side

__all__ = ["Slab", "mirror_combinations", "stream_scores", "window_count"]

# Values weighted at a time: the product stays in the CPU's cache until it is added.
CACHED = 1 << 16
# Scores of a window from which on it pays to add them in several threads.
WORTH_SHARING = 1 << 20
Float32 = npt.NDArray[np.float32]
Run = Callable[[Float32], Float32]
Patch = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Slab:
    """Final scores of some planes of the network's grid.

    Parameters
    ----------
    scores : ndarray of float32, shape (K, X, Y, n)
        A view that is valid until the next slab is asked for.
    first : int
        Index along the grid's last axis of its first plane. From the second slab on that is the last plane of the slab
        before, so that whoever interpolates needs to keep nothing.
    """

    scores: Float32
    first: int

    @property
    def stop(self) -> int:
        """Index of the plane after its last."""
        return self.first + int(self.scores.shape[3])


def mirror_combinations(axes: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Every set of the given axes, the empty one first."""
    return tuple(c for n in range(len(axes) + 1) for c in itertools.combinations(axes, n))


def window_count(shape: Sequence[int], patch: Patch, overlap: float) -> int:
    """Number of windows over a grid."""
    return math.prod(
        len(windows_along(size, length, overlap).starts) for size, length in zip(shape, patch, strict=True)
    )


def stream_scores(
    array: Float32,
    run: Run,
    *,
    classes: int,
    patch: Patch,
    overlap: float = 0.5,
    mirror: Sequence[int] = (),
    batch: int = 1,
    rows: slice | None = None,
    skip: Skip | None = None,
    background: Float32 | None = None,
    tally: WindowTally | None = None,
) -> Iterator[Slab]:
    """Yield blended scores along the last axis.

    Of windows that hold one value throughout, such as padding or air that normalization has clipped, one is computed
    and the others take its scores: the same to the last bit; see `medseg.infer.windows_saved`.

    Parameters
    ----------
    array : ndarray of float32, shape (C, X, Y, Z)
        What the network is shown; at least one patch large.
    run : callable
        The network: (N, C, *patch) to scores (N, K, *patch).
    classes : int
        K.
    patch : tuple of int
        Window size.
    overlap : float
        Share of a window that the next covers again.
    mirror : sequence of int
        Spatial axes; scores are averaged over the windows mirrored along every set of them.
    batch : int
        Windows shown to the network at a time. Does not change the result.
    rows : slice, optional
        The part of the Y axis that is wanted; scores have this part only. Each row's scores are those it would have
        without, because all windows over it are still run.
    skip : callable, optional
        Whether the window that begins at x, y, z is skipped. Scores are then averages over the other windows; where
        all windows over a voxel are run they are the same to the last bit.
    background : ndarray of float32, shape (K,), optional
        With `skip`: scores where no window was run.
    tally : WindowTally, optional
        Counts the windows.
    """
    rows = slice(0, array.shape[2]) if rows is None else rows
    across_x, across_y, along = (
        windows_along(size, length, overlap) for size, length in zip(array.shape[1:], patch, strict=True)
    )
    depth = patch[2]
    tally = WindowTally() if tally is None else tally
    once: OnceForUniform[Float32] = OnceForUniform(tally)
    # One plane more than the window: the last plane handed out before stays as the first.
    held = np.zeros((classes, array.shape[1], rows.stop - rows.start, depth + 1), dtype=np.float32)
    covered = None
    if skip is not None:
        assert background is not None
        covered = Coverage(held.shape[1:], background)
    base = -1
    for index, start in enumerate(along.starts):
        advance = start - 1 - base
        if advance:
            if covered is not None:
                covered.advance(advance)
            for scores in held:  # one class at a time: NumPy copies what overlaps
                scores[..., :-advance] = scores[..., advance:]
                scores[..., -advance:] = 0
            base = start - 1
        layer = array[..., start : start + depth]
        windows = list(_over(across_x, across_y, rows, patch))
        if skip is not None:
            kept = [window for window in windows if not skip(window[0], window[1], start)]
            tally.skipped += len(windows) - len(kept)
            windows = kept
        for first in range(0, len(windows), batch):
            some = windows[first : first + batch]
            shown = np.empty((len(some), len(array), *patch), dtype=np.float32)
            for window, (x, y, _) in zip(shown, some, strict=True):
                window[...] = layer[:, x : x + patch[0], y : y + patch[1]]
            given = once(shown, partial(_run_mirrored, run, shown, mirror))
            for scores, (x, y, across) in zip(given, some, strict=True):
                weights = across[..., None] * along.weights[index]
                _add(held[..., 1:], scores, weights, x, y - rows.start)
                if covered is not None:
                    _add(covered.held[None, ..., 1:], np.ones_like(weights[None]), weights, x, y - rows.start)
        final = along.starts[index + 1] if index + 1 < len(along.starts) else array.shape[3]
        if covered is not None:
            covered.complete(held, slice(1, final - base))
        known = 1 if index == 0 else 0
        yield Slab(held[..., known : final - base], base + known)


def _over(
    across_x: AxisWindows, across_y: AxisWindows, rows: slice, patch: Patch
) -> Iterator[tuple[int, int, Float32]]:
    """First voxel and weights, shape (X, Y), of each window of a layer that lies over some of the rows."""
    for x, weights_x in zip(across_x.starts, across_x.weights, strict=True):
        for y, weights_y in zip(across_y.starts, across_y.weights, strict=True):
            if y < rows.stop and y + patch[1] > rows.start:
                yield x, y, np.multiply.outer(weights_x, weights_y)


def _add(held: Float32, scores: Float32, weights: Float32, x: int, y: int) -> None:
    """Add a window's weighted scores, shape (K, *patch), where it lies over the scores held, shape (K, X, Y, depth)."""
    low, high = max(0, y), min(held.shape[2], y + scores.shape[2])
    target, given = held[:, x : x + scores.shape[1], low:high], scores[:, :, low - y : high - y]
    weights = weights[:, low - y : high - y]
    count = min(len(scores), CORES) if given.size >= WORTH_SHARING else 1
    if count == 1:
        _add_classes(target, given, weights)
        return
    side_by_side(lambda n: _add_classes(target[n::count], given[n::count], weights), range(count))


def _add_classes(target: Float32, scores: Float32, weights: Float32) -> None:
    """Add weighted scores, shape (K, x, y, z), in pieces that stay in the cache."""
    width = scores.shape[1]
    step = max(1, CACHED // (weights.shape[1] * weights.shape[2]))
    weighted = np.empty((step, *weights.shape[1:]), dtype=np.float32)
    for sums, score in zip(target, scores, strict=True):
        for begin in range(0, width, step):
            some = slice(begin, begin + step)
            product = weighted[: min(step, width - begin)]
            np.multiply(score[some], weights[some], out=product)
            sums[some] += product


def _run_mirrored(run: Run, shown: Float32, mirror: Sequence[int]) -> Float32:
    given = run(shown)
    combinations = mirror_combinations(tuple(mirror))[1:]
    if not combinations:
        return given
    total: Any = given.copy()
    for axes in combinations:
        turn = tuple(axis + 2 for axis in axes)
        total += np.flip(run(np.ascontiguousarray(np.flip(shown, turn))), turn)
    total /= len(combinations) + 1
    return total  # type: ignore[no-any-return]
