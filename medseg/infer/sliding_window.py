"""Runs a network over a scan window by window and hands out blended scores as soon as they are final.

Windows advance along the last axis. Only a slab one window thick is held: what no later window reaches is handed out
and forgotten, so memory does not grow with the length of the scan.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.infer.blend import AxisWindows, windows_along
from medseg.infer.output_layer import OutputLayer
from medseg.infer.skipped_windows import Coverage, ReuseUniform, Skip, WindowCounter
from medseg.infer.window_sums import HalfWeights, add_window

Float32 = npt.NDArray[np.float32]
Run = Callable[[Float32], Float32]
Patch = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Slab:
    """Final scores of some planes of the network's grid.

    - `scores`, shape (K, X, Y, n): a view that is valid until the next slab is yielded.
    - `first`: index along the grid's last axis of its first plane. From the second slab on that is the last plane of
      the slab before, so that whoever interpolates needs to keep nothing.
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


@dataclass(frozen=True, eq=False)
class WindowOptions:
    """How windows are laid over a scan, and which are run.

    - `overlap`: fraction of a window that the next one covers again, 0 to below 1.
    - `mirror`: spatial axes; scores are averaged over the windows mirrored along every set of them.
    - `batch`: windows shown to the network at a time. Does not change the result.
    - `skip`: whether the window that begins at x, y, z is skipped. Scores are then averages over the other windows;
      where all windows over a voxel are run they are the same to the last bit.
    - `background`, shape (K,): with `skip`, the scores where no window was run.
    - `half`: whether scores are summed as nnU-Net sums them, in float16; see `medseg.infer.window_sums`. Nothing can be
      skipped then.
    """

    patch: Patch
    overlap: float = 0.5
    mirror: tuple[int, ...] = ()
    batch: int = 1
    skip: Skip | None = None
    background: Float32 | None = None
    counter: WindowCounter = field(default_factory=WindowCounter)
    half: bool = False

    def along_axes(self, shape: Sequence[int]) -> tuple[AxisWindows, AxisWindows, AxisWindows]:
        """The windows along each of the three axes of a grid."""
        x, y, z = (windows_along(size, n, self.overlap) for size, n in zip(shape, self.patch, strict=True))
        return x, y, z

    def count(self, shape: Sequence[int]) -> int:
        """Number of windows on a grid."""
        return math.prod(len(axis.starts) for axis in self.along_axes(shape))


def stream_scores(
    array: Float32,
    run: Run,
    classes: int,
    options: WindowOptions,
    *,
    rows: slice | None = None,
    planes: slice | None = None,
    output_layer: OutputLayer | None = None,
) -> Iterator[Slab]:
    """Yield blended scores along the last axis.

    Of windows that hold one value throughout, such as padding or air that normalization has clipped, one is computed
    and the others reuse its scores: the same to the last bit; see `medseg.infer.skipped_windows`.

    - `array`, shape (C, X, Y, Z): what the network is shown; at least one patch large.
    - `rows`: the part of the Y axis that is wanted; scores have this part only. Each row's scores are those it would
      have without, because all windows over it are still run.
    - `planes`: the part of the last axis that is wanted. Others are omitted where one window covers that axis, as
      where a scan of few slices was padded.
    - `output_layer`: makes scores of what `run` gives, where that is features.
    """
    rows = slice(0, array.shape[2]) if rows is None else rows
    across_x, across_y, along = options.along_axes(array.shape[1:])
    patch, skip = options.patch, options.skip
    one_window = planes is not None and len(along.starts) == 1
    wanted = planes if planes is not None and one_window else slice(0, patch[2])
    depth = wanted.stop - wanted.start
    reuse: ReuseUniform[Float32] = ReuseUniform(options.counter)
    # One plane more than the window: the last plane handed out before stays as the first.
    held = np.zeros((classes, array.shape[1], rows.stop - rows.start, depth + 1), dtype=np.float32)
    covered = None
    if skip is not None:
        assert options.background is not None
        covered = Coverage(held.shape[1:], options.background)
    assert covered is None or not options.half
    half = HalfWeights(patch, held.shape[1:], wanted) if options.half else None
    add = partial(add_window, held[..., 1:], half=options.half, layer=output_layer, planes=wanted)
    base = wanted.start - 1
    for index, start in enumerate(along.starts):
        advance = start + wanted.start - 1 - base
        if advance:
            if covered is not None:
                covered.advance(advance)
            if half is not None:
                half.advance(advance)
            for scores in held:  # one class at a time: NumPy copies what overlaps
                scores[..., :-advance] = scores[..., advance:]
                scores[..., -advance:] = 0
            base = start - 1
        layer = array[..., start : start + patch[2]]
        windows = list(_over(across_x, across_y, rows, patch))
        if half is not None:  # in nnU-Net's order, on which rounded sums depend
            windows.sort(key=lambda window: (window[1], window[0]))
        if skip is not None:
            kept = [window for window in windows if not skip(window[0], window[1], start)]
            options.counter.add(skipped=len(windows) - len(kept))
            windows = kept
        for first in range(0, len(windows), options.batch):
            chunk = windows[first : first + options.batch]
            shown = np.empty((len(chunk), len(array), *patch), dtype=np.float32)
            for window, (x, y, _) in zip(shown, chunk, strict=True):
                window[...] = layer[:, x : x + patch[0], y : y + patch[1]]
            given = reuse(shown, partial(_run_mirrored, run, shown, options.mirror))
            for scores, (x, y, across) in zip(given, chunk, strict=True):
                if half is not None:
                    add(scores, half.of_window, x, y - rows.start)
                    half.add(x, y - rows.start)
                    continue
                weights = across[..., None] * along.weights[index][wanted]
                add(scores, weights, x, y - rows.start)
                if covered is not None:
                    add_window(covered.held[None, ..., 1:], np.ones_like(weights[None]), weights, x, y - rows.start)
        final = along.starts[index + 1] if index + 1 < len(along.starts) else array.shape[3]
        final = wanted.stop if one_window else final
        if covered is not None:
            covered.complete(held, slice(1, final - base))
        if half is not None:
            half.divide(held, slice(1, final - base))
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
