"""The route of a scan onto a network's grid, and everything needed to come back.

Orient, crop, normalize, resample, pad: nnU-Net's order. Training and inference both go through `prepare`, so a network
is never shown at work what it was not shown when it learned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError, ModelError
from medseg.prepare.card import InputCard
from medseg.prepare.intensity import filled_nonzero, finite, normalizer
from medseg.prepare.resample import (
    AXES,
    aligned_size,
    nearest_index,
    resample,
    resample_axis,
    resampled_size,
    separate_axis,
)
from medseg.threads import side_by_side
from medseg.types import Geometry, LabelMap, Scan
from medseg.types.axis_order import AxisOrder, toward
from medseg.types.box import Box, box_above, nonzero_box
from medseg.types.labels import smallest_label_dtype

# Voxels converted to float32 at a time in each thread: a few planes, small enough for the CPU's cache.
BLOCK = 1 << 20
# Fractions of a voxel that differ by less are equal but for the rounding of float32.
EQUAL = 1e-5
Triple = tuple[float, float, float]
Steps = tuple[float | None, float | None, float | None]


@dataclass(frozen=True)
class Route:
    """How a scan's grid and a network's grid are related; the second is an exact function of the first.

    - `order`: from the scan's axes to the network's.
    - `box`: what was kept, on the ordered axes.
    - `size`: voxels of the box on the network's grid.
    - `padding`: voxels of 0 added before and after along each axis, because the network's patch is larger.
    - `spacing`: mm between the network grid's voxels.
    - `separate`, `separate_back`: the axis along which slices are too far apart to interpolate between, on the way in
      and on the way back.
    - `steps`: voxels of the box between voxels of the network's grid along each axis, where the first voxels' centers
      coincide; None where the outer edges do.
    """

    source: Geometry
    order: AxisOrder
    box: Box
    size: tuple[int, int, int]
    padding: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    spacing: tuple[float, float, float]
    separate: int | None
    separate_back: int | None
    steps: Steps = (None, None, None)

    @property
    def padded_size(self) -> tuple[int, int, int]:
        """Voxels of the network's grid."""
        x, y, z = (n + a + b for n, (a, b) in zip(self.size, self.padding, strict=True))
        return x, y, z

    @property
    def inner(self) -> tuple[slice, slice, slice]:
        """Where on the network's grid the box lies, without padding."""
        x, y, z = (slice(a, a + n) for n, (a, _) in zip(self.size, self.padding, strict=True))
        return x, y, z

    @property
    def geometry(self) -> Geometry:
        """The network's grid in the world."""
        ordered = self.order.geometry(self.source)
        edges = np.array(self.box.shape) / np.array(self.size)
        scale = np.array([edge if step is None else step for edge, step in zip(edges, self.steps, strict=True)])
        # Where the first voxel's center lies, counted from that of the box.
        first = np.array([(e - 1) / 2 if step is None else 0.0 for e, step in zip(edges, self.steps, strict=True)])
        to_ordered = np.diag([*scale, 1.0])
        before = np.array([a for a, _ in self.padding])
        to_ordered[:3, 3] = np.array(self.box.start) + first - scale * before
        return Geometry(ordered.affine @ to_ordered, self.padded_size)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A scan as a network wants it.

    - `array`, shape (C, X, Y, Z): normalized intensities on the network's grid, at least one patch large. Z varies
      slowest in memory.
    - `warnings`: what may be wrong with the scan's voxels.
    """

    array: npt.NDArray[np.float32]
    route: Route
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class LowResolutionStage:
    """Labels a second stage of a cascade is shown beside the scan.

    - `values`: one channel each: 1 where the labels have this value.
    """

    labels: LabelMap
    values: tuple[int, ...]


def plan_route(scan: Scan, card: InputCard) -> Route:
    """Plan a scan's route onto the network's grid without touching its intensities, the crop to nonzero excepted."""
    order = toward(scan.geometry, card.orientation).then(card.axis_order)
    ordered = order.apply(scan.array)
    shape: tuple[int, int, int] = order.select(scan.geometry.shape)
    box = Box.whole(shape)
    if card.crop_to_nonzero:
        box = nonzero_box(ordered)
    elif card.crop_above is not None:
        box = box_above(ordered, card.crop_above)
    current: tuple[float, float, float] = order.select(scan.geometry.spacing)
    wanted = card.spacing or (None, None, None)
    x, y, z = (now if want is None else want for now, want in zip(current, wanted, strict=True))
    aligned = card.resampling.aligned == "centers"
    size_at = aligned_size if aligned else resampled_size
    i, j, k = (
        n if want is None else size_at(n, now, want) for n, now, want in zip(box.shape, current, wanted, strict=True)
    )
    size = (i, j, k)
    missing = [max(0, patch - n) for patch, n in zip(card.patch, size, strict=True)]
    a, b, c = ((m // 2, m - m // 2) for m in missing)
    spacing = (x, y, z)
    separate, back = _separate(card, current, spacing), _separate(card, spacing, current)
    u, v, w = (want / now if aligned else None for now, want in zip(current, spacing, strict=True))
    return Route(scan.geometry, order, box, size, (a, b, c), spacing, separate, back, (u, v, w))


def check_channels(scan: Scan, card: InputCard) -> None:
    """Refuse a scan with another number of channels than the network has."""
    if scan.channels != len(card.channels):
        names = ", ".join(channel.name for channel in card.channels)
        raise ModelError(
            f"the scan has {scan.channels} channel{'s' * (scan.channels != 1)}, the model needs {len(card.channels)} "
            f"({names})",
            fix="Give one scan with the channels the model card names, in that order.",
        )


def prepare(
    scan: Scan, card: InputCard, route: Route | None = None, low_resolution_stage: LowResolutionStage | None = None
) -> Prepared:
    """Bring a scan onto a network's grid and into its range of intensities.

    A scan smaller than the network's patch is surrounded by 0 after normalization, half before and half after, as
    nnU-Net does. Peak memory is that of the result and, per channel, of the source at the result's x and y size.

    - `low_resolution_stage`: in a cascade, what the low-resolution stage found; it becomes channels after the scan's.
    """
    check_channels(scan, card)
    route = plan_route(scan, card) if route is None else route
    x, y, z = route.padded_size
    # Z slowest: the order of NIfTI and of DICOM slices, so that most scans are read straight through.
    extra = 0 if low_resolution_stage is None else len(low_resolution_stage.values)
    result = np.zeros((scan.channels + extra, z, y, x), dtype=np.float32)
    inner = result[(slice(None), *route.inner[::-1])]
    boxed = route.order.apply(scan.array)[(slice(None), *route.box.slices)].transpose(0, 3, 2, 1)
    separate = None if route.separate is None else 2 - route.separate
    warnings = _bad_voxels(boxed)
    after = card.normalize_after_resampling
    mask = None if after else _mask(card, boxed)
    for channel, volume, target in zip(card.channels, boxed, inner[: scan.channels], strict=True):
        normalize = _unchanged if after else normalizer(channel.normalization, volume, mask)
        _fill(target, volume, normalize, card.resampling.order, separate, route.steps[::-1])
    if after:
        _normalize(inner[: scan.channels], card)
    for channel, target in zip(card.channels, inner[: scan.channels], strict=True):
        if not np.isfinite(target.sum(dtype=np.float64)):
            raise InputError(
                f"intensities of channel {channel.name} are too large for float32",
                fix="Look at the scan's values and its header's slope and intercept.",
            )
    if low_resolution_stage is not None:
        outside = ~filled_nonzero(boxed) if card.crop_to_nonzero else None
        _fill_low_resolution_stage(inner[scan.channels :], low_resolution_stage, route, separate, outside)
    return Prepared(result.transpose(0, 3, 2, 1), route, warnings)


def prepare_labels(labels: LabelMap, route: Route) -> npt.NDArray[Any]:
    """Bring a reference onto the grid a scan was prepared on: the class with most of each voxel, linearly weighed.

    - returns, shape (X, Y, Z): 0 in the padding.
    """
    route.source.match(labels.geometry, what="scan and reference")
    boxed = route.order.apply(labels.array)[route.box.slices].transpose(2, 1, 0)
    shape = route.size[::-1]
    separate = None if route.separate is None else 2 - route.separate
    inner = np.zeros(shape, dtype=smallest_label_dtype(int(boxed.max(initial=0))))
    steps = route.steps[::-1]
    if boxed.shape == shape and set(steps) <= {None, 1.0}:
        inner[...] = boxed
    else:
        best = np.full(shape, -1, dtype=np.float32)
        for value in np.unique(boxed):
            fraction = resample(np.ascontiguousarray(boxed == value, dtype=np.float32), shape, 1, separate, steps)
            inner[fraction > best] = value
            np.maximum(best, fraction, out=best)
    result = np.zeros(route.padded_size[::-1], dtype=inner.dtype)
    result[route.inner[::-1]] = inner
    return result.transpose(2, 1, 0)


def _normalize(channels: npt.NDArray[np.float32], card: InputCard) -> None:
    """Normalize channels of shape (C, Z, Y, X) where they are, plane by plane."""
    mask = _mask(card, channels)
    for channel, volume in zip(card.channels, channels, strict=True):
        normalize = normalizer(channel.normalization, volume, mask)
        for k in range(len(volume)):
            volume[k : k + 1] = normalize(np.ascontiguousarray(volume[k : k + 1]), slice(k, k + 1))


def _fill_low_resolution_stage(
    targets: npt.NDArray[np.float32],
    low_resolution_stage: LowResolutionStage,
    route: Route,
    separate: int | None,
    outside: npt.NDArray[np.bool_] | None,
) -> None:
    """Bring low-resolution labels onto the network's grid, each a channel that is 1 where it fills most of a voxel.

    As nnU-Net 2.8: of equal fractions that of the nearest voxel counts; background outside the scan's nonzero part, if
    given, and inside it are two classes.
    """
    route.source.match(low_resolution_stage.labels.geometry, what="scan and low-resolution stage")
    boxed = route.order.apply(low_resolution_stage.labels.array)[route.box.slices].transpose(2, 1, 0)
    # Class 0 is outside, 1 the background inside, then those wanted; labels not wanted count as background.
    classes = np.ones(boxed.shape, dtype=np.int16)
    if outside is not None:
        classes[outside] = 0
    for number, value in enumerate(low_resolution_stage.values):
        classes[boxed == value] = number + 2
    steps, shape = route.steps[::-1], targets.shape[1:]
    nearest = classes
    for axis, (size, step) in enumerate(zip(shape, steps, strict=True)):
        nearest = np.take(nearest, nearest_index(classes.shape[axis], size, step), axis=axis)
    best, of_nearest = (np.full(shape, -1, dtype=np.float32) for _ in range(2))
    winner = np.zeros(shape, dtype=np.int16)
    for number in np.unique(classes):
        fraction = resample(np.ascontiguousarray(classes == number, dtype=np.float32), shape, 1, separate, steps)
        np.copyto(winner, number, where=fraction > best + EQUAL)
        np.copyto(of_nearest, fraction, where=nearest == number)
        np.maximum(best, fraction, out=best)
    np.copyto(winner, nearest, where=of_nearest >= best - EQUAL)
    for number, target in enumerate(targets):
        np.equal(winner, number + 2, out=target, casting="unsafe")


def _mask(card: InputCard, channels: npt.NDArray[Any]) -> npt.NDArray[np.bool_] | None:
    """Voxels that count for channels normalized on nonzero voxels with holes filled, None where none is."""
    wanted = any(channel.normalization.nonzero_only and channel.normalization.fill_holes for channel in card.channels)
    return filled_nonzero(channels) if wanted else None


def _unchanged(planes: npt.NDArray[np.float32], _where: slice) -> npt.NDArray[np.float32]:
    return planes


def _separate(card: InputCard, current: Triple, wanted: Triple) -> int | None:
    if card.resampling.separate_slices is None:
        return separate_axis(current, wanted)
    return int(np.argmax(current)) if card.resampling.separate_slices else None


def _fill(
    target: npt.NDArray[np.float32],
    volume: npt.NDArray[Any],
    normalize: Callable[[npt.NDArray[np.float32], slice], npt.NDArray[np.float32]],
    order: Literal[1, 3],
    separate: int | None,
    steps: Steps,
) -> None:
    """Normalize and resample one channel of shape (Z, Y, X) into its place, a few planes at a time in each thread."""
    planes, rows, columns = target.shape
    step = max(1, BLOCK // (volume.shape[1] * volume.shape[2]))
    same = planes == volume.shape[0] and steps[0] in (None, 1.0)
    kept = target if same else np.empty((volume.shape[0], rows, columns), dtype=np.float32)
    across = tuple(axis for axis in (1, 2) if axis != separate)

    def fill_planes(first: int) -> tuple[Any, Any]:
        where = slice(first, min(first + step, volume.shape[0]))
        block = normalize(finite(volume[where]), where)
        bounds = [extreme(block, axis=across, keepdims=True) if order == 3 else None for extreme in (np.min, np.max)]
        block = resample_axis(block, -1, columns, 0 if separate == 2 else order, steps[2])
        kept[where] = resample_axis(block, -2, rows, 0 if separate == 1 else order, steps[1])
        return bounds[0], bounds[1]

    def fill_rows(first: int) -> None:
        part = slice(first, first + between)
        target[:, part] = resample_axis(kept[:, part], -3, planes, 0 if separate == 0 else order, steps[0])

    bounds = side_by_side(fill_planes, range(0, volume.shape[0], step))
    if kept is not target:
        between = max(1, BLOCK // (planes * columns))
        side_by_side(fill_rows, range(0, rows, between))
    if order == 3 and (target.shape != volume.shape or not set(steps) <= {None, 1.0}):
        low, high = (np.concatenate(every) for every in zip(*bounds, strict=True))
        if separate != 0:
            low, high = low.min(axis=0, keepdims=True), high.max(axis=0, keepdims=True)
        if separate is not None:
            low, high = (resample_axis(bound, AXES[separate], target.shape[separate], 0) for bound in (low, high))
        np.clip(target, low, high, out=target)


def _bad_voxels(array: npt.NDArray[Any]) -> tuple[str, ...]:
    if array.dtype.kind != "f":
        return ()
    bad = sum(int(np.count_nonzero(~np.isfinite(plane))) for channel in array for plane in channel)
    if not bad:
        return ()
    fraction = bad / array.size
    return (f"{bad} voxels ({fraction:.2g} of the scan) are not finite numbers and were taken as 0.",)
