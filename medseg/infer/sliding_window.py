"""Runs a network over a scan window by window and hands out blended scores as soon as they are final.

Windows advance along the last axis. Only a slab one window thick is held: what no later window reaches is handed out
and forgotten, so memory does not grow with the length of the scan.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.infer.blend import AxisWindows, windows_along

__all__ = ["Slab", "mirror_combinations", "stream_scores", "window_count"]

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
) -> Iterator[Slab]:
    """Yield blended scores along the last axis.

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
    """
    across_x, across_y, along = (
        windows_along(size, length, overlap) for size, length in zip(array.shape[1:], patch, strict=True)
    )
    depth = patch[2]
    # One plane more than the window: the last plane handed out before stays as the first.
    held = np.zeros((classes, array.shape[1], array.shape[2], depth + 1), dtype=np.float32)
    base = -1
    for index, start in enumerate(along.starts):
        advance = start - 1 - base
        if advance:
            for scores in held:  # one class at a time: NumPy copies what overlaps
                scores[..., :-advance] = scores[..., advance:]
                scores[..., -advance:] = 0
            base = start - 1
        _add_layer(held[..., 1:], array[..., start : start + depth], run, (across_x, across_y), along.weights[index],
                   patch, mirror, batch)  # fmt: skip
        final = along.starts[index + 1] if index + 1 < len(along.starts) else array.shape[3]
        skip = 1 if index == 0 else 0
        yield Slab(held[..., skip : final - base], base + skip)


def _add_layer(
    held: Float32,
    layer: Float32,
    run: Run,
    across: tuple[AxisWindows, AxisWindows],
    weights_z: Float32,
    patch: Patch,
    mirror: Sequence[int],
    batch: int,
) -> None:
    """Add every window of one layer, shape (C, X, Y, depth), into the scores held, shape (K, X, Y, depth)."""
    windows = [
        (x, y, weight_x, weight_y)
        for x, weight_x in zip(across[0].starts, across[0].weights, strict=True)
        for y, weight_y in zip(across[1].starts, across[1].weights, strict=True)
    ]
    weighted = np.empty(patch, dtype=np.float32)
    for first in range(0, len(windows), batch):
        some = windows[first : first + batch]
        shown = np.empty((len(some), len(layer), *patch), dtype=np.float32)
        for window, (x, y, _, _) in zip(shown, some, strict=True):
            window[...] = layer[:, x : x + patch[0], y : y + patch[1]]
        given = _run_mirrored(run, shown, mirror)
        for scores, (x, y, weight_x, weight_y) in zip(given, some, strict=True):
            weight = weight_x[:, None, None] * weight_y[:, None] * weights_z
            for target, score in zip(held[:, x : x + patch[0], y : y + patch[1]], scores, strict=True):
                np.multiply(score, weight, out=weighted)
                target += weighted


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
