"""Blends windows and decides labels on the device that runs the network: a scan goes up once, labels come down.

The arithmetic is that of `medseg.infer.sliding_window` and of the definition of labels: interpolate every class's
scores linearly onto the scan's grid, then decide. What saves work on a CPU, to pass over voxels whose class is
certain, would cost a GPU more than it saves, so every score is interpolated, a block of planes and a class at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from medseg.errors import ModelError
from medseg.infer.axis_map import AxisMap
from medseg.infer.decision import NOT_NUMBERS, Decision
from medseg.infer.engines.torch import TorchEngine
from medseg.infer.skipped_windows import WHOLE, ReuseUniform
from medseg.infer.sliding_window import WindowOptions, mirror_combinations
from medseg.infer.window_sums import half_weights

# Voxels of the scan decided at a time.
BLOCK = 1 << 24


def label_on_device(
    array: npt.NDArray[np.float32],
    engine: TorchEngine,
    maps: Sequence[AxisMap],
    offset: tuple[int, int, int],
    decision: Decision,
    out: npt.NDArray[Any],
    options: WindowOptions,
) -> None:
    """Label a prepared scan.

    - `array`, shape (C, X, Y, Z): what the network is shown; at least one patch large.
    - `maps`: one for each axis, the network's grid without its padding to the scan's.
    - raises `torch.OutOfMemoryError`: when a slab of scores does not fit on the device.
    """
    device = engine.device
    patch, skip = options.patch, options.skip
    shown = torch.from_numpy(np.ascontiguousarray(array)).to(device)
    across_x, across_y, along = options.along_axes(array.shape[1:])
    weights_x, weights_y, weights_z = (
        [torch.from_numpy(weights).to(device) for weights in windows.weights] for windows in (across_x, across_y, along)
    )
    depth = patch[2]
    kind = torch.float16 if options.half else torch.float32
    held = torch.zeros((decision.channels, *array.shape[1:3], depth + 1), device=device, dtype=kind)
    covered = None if skip is None and not options.half else torch.zeros(held.shape[1:], device=device, dtype=kind)
    whole = torch.from_numpy(half_weights(patch)).to(device) if options.half else None
    background = torch.from_numpy(decision.background).to(device)
    labels = _Labels(maps, offset, decision, out, device)
    reuse: ReuseUniform[torch.Tensor] = ReuseUniform(options.counter)
    every = [
        (x, y, torch.outer(a, b))
        for x, a in zip(across_x.starts, weights_x, strict=True)
        for y, b in zip(across_y.starts, weights_y, strict=True)
    ]
    if options.half:  # in nnU-Net's order, on which rounded sums depend
        every.sort(key=lambda place: (place[1], place[0]))
    base = -1
    for index, start in enumerate(along.starts):
        if advance := start - 1 - base:
            for planes in (held, *(() if covered is None else (covered,))):
                planes[..., :-advance] = planes[..., advance:].clone()
                planes[..., -advance:] = 0
            base = start - 1
        places = every if skip is None else [place for place in every if not skip(place[0], place[1], start)]
        options.counter.add(skipped=len(every) - len(places))
        for first in range(0, len(places), options.batch):
            chunk = places[first : first + options.batch]
            boxes = [_box((x, y, start), patch) for x, y, _ in chunk]
            given = reuse([array[box] for box in boxes], partial(_scores, engine, shown, boxes, options.mirror))
            for scores, (x, y, across) in zip(given, chunk, strict=True):
                weights = across[..., None] * weights_z[index] if whole is None else whole
                held[:, x : x + patch[0], y : y + patch[1], 1:] += scores * weights
                if covered is not None:
                    covered[x : x + patch[0], y : y + patch[1], 1:] += weights
        final = along.starts[index + 1] if index + 1 < len(along.starts) else array.shape[3]
        planes = slice(1, final - base)
        if options.half and covered is not None:
            held[..., planes] /= covered[..., planes]
        elif covered is not None:
            _complete(held[..., planes], covered[..., planes], background)
        known = 1 if index == 0 else 0
        labels.add(held[..., known : final - base].float(), base + known)


def _complete(scores: torch.Tensor, computed: torch.Tensor, background: torch.Tensor) -> None:
    """As `medseg.infer.skipped_windows.Coverage.complete`."""
    partly = computed < WHOLE
    if not bool(partly.any()):
        return
    weights = torch.where(partly & (computed > 0), computed, 1.0)
    nothing = computed <= 0
    for sums, outside in zip(scores, background, strict=True):
        sums /= weights
        sums[nothing] = outside


def _box(start: Sequence[int], patch: Sequence[int]) -> tuple[slice, ...]:
    return (slice(None), *(slice(a, a + n) for a, n in zip(start, patch, strict=True)))


def _scores(
    engine: TorchEngine, shown: torch.Tensor, boxes: Sequence[tuple[slice, ...]], mirror: Sequence[int]
) -> torch.Tensor:
    """Average of the scores over every mirrored copy of some windows."""
    windows = torch.stack([shown[box] for box in boxes])
    combinations = mirror_combinations(mirror)
    given = engine.compute(windows)
    if len(combinations) == 1:
        return given
    total = given.clone()
    for axes in combinations[1:]:
        turn = [axis + 2 for axis in axes]
        total += engine.compute(windows.flip(turn)).flip(turn)
    return total / len(combinations)


class _Labels:
    """Takes slabs of scores in order and fills in labels."""

    def __init__(
        self,
        maps: Sequence[AxisMap],
        offset: tuple[int, int, int],
        decision: Decision,
        out: npt.NDArray[Any],
        device: torch.device,
    ) -> None:
        self._maps, self._offset, self._decision, self._out = maps, offset, decision, out
        self._values = np.array(decision.written, dtype=out.dtype)
        self._low, self._high, self._weight = (
            [torch.from_numpy(part).to(device) for part in parts]
            for parts in ([m.low for m in maps], [m.high for m in maps], [m.weight for m in maps])
        )
        self._done = 0

    def add(self, scores: torch.Tensor, first: int) -> None:
        """Label every plane of the scan for which these planes, of the network's grid from `first` on, are enough."""
        x, y, z = self._offset
        inner = scores[:, x : x + int(self._maps[0].high[-1]) + 1, y : y + int(self._maps[1].high[-1]) + 1]
        if self._decision.output != self._decision.interpolated:
            inner = inner.sigmoid() if self._decision.regions else inner.softmax(0)
        begin = first - z
        stop = int(np.searchsorted(self._maps[2].high, begin + scores.shape[3], side="left"))
        step = max(1, BLOCK // (self._out.shape[0] * self._out.shape[1]))
        for start in range(self._done, stop, step):
            planes = slice(start, min(start + step, stop))
            outcome = self._decide(inner, begin, planes)
            self._out[:, :, planes] = self._values[outcome.cpu().numpy()]
        self._done = max(self._done, stop)

    def _decide(self, scores: torch.Tensor, begin: int, planes: slice) -> torch.Tensor:
        """Outcome of each voxel of some planes, shape (X, Y, n)."""
        shape = (*self._out.shape[:2], planes.stop - planes.start)
        winner = torch.zeros(shape, dtype=torch.int16, device=scores.device)
        best: torch.Tensor | None = None
        for index, one in enumerate(scores):
            fine = self._interpolated(one, begin, planes)
            if self._decision.regions:
                self._refuse_nan(fine)
                if self._decision.overlapping:
                    winner[fine > self._decision.threshold] |= 1 << index
                else:
                    winner[fine > self._decision.threshold] = index + 1
            elif best is None:
                best = fine
            else:
                winner[fine > best] = index
                best = torch.maximum(best, fine)
        if best is not None:
            self._refuse_nan(best)
        return winner

    def _interpolated(self, scores: torch.Tensor, begin: int, planes: slice) -> torch.Tensor:
        """One class's scores, shape (x, y, z), on some planes of the scan's grid; the axis that shrinks most first."""
        for axis in (2, 1, 0):
            part = planes if axis == 2 else slice(None)
            shift = begin if axis == 2 else 0
            low = scores.index_select(axis, self._low[axis][part] - shift)
            if self._maps[axis].linear:
                high = scores.index_select(axis, self._high[axis][part] - shift)
                weight = self._weight[axis][part].reshape([-1 if a == axis else 1 for a in range(3)])
                low = torch.lerp(low, high, weight)
            scores = low
        return scores

    @staticmethod
    def _refuse_nan(scores: torch.Tensor) -> None:
        if bool(torch.isnan(scores).any()):
            raise ModelError(
                "the output of the network has values that are not numbers (NaN)",
                fix=NOT_NUMBERS,
            )
