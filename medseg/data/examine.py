"""Reads a case once and measures all that planning and auditing need."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.hounsfield import MAY_BE_CT, Levels, levels_of
from medseg.data.label_moments import Moments, label_moments
from medseg.data.looks_like_labels import looks_like_labels
from medseg.data.reading import Notes, read_channels_with_notes, read_label_file, read_reference_with_notes
from medseg.data.reference_texture import why_no_label_map
from medseg.errors import GeometryMismatch, MedsegError, first_line
from medseg.types import Geometry, LabelMap, LabelTable, Scan
from medseg.types.axis_order import nearest_ras
from medseg.types.box import nonzero_box

log = logging.getLogger("medseg.data")

Triple = tuple[float, float, float]
Shape = tuple[int, int, int]
# Foreground voxels looked at in each case, as in nnU-Net.
VOXELS_A_CASE = 10_000
# A class on so much of a label's edge frames it, as a background does.
EDGE = 0.9


@dataclass(frozen=True)
class Trouble:
    """Why a case cannot be used."""

    kind: str
    message: str


@dataclass(frozen=True, eq=False)
class Examined:
    """What was measured of one case; fields of what could not be read are None.

    - `notes`: what was done to read it, which keeps it from nothing.
    - `constant`, `constant_channels`: whether all channels have one value everywhere, and which have.
    - `image_hash`, `reference_hash`: of voxel values and shape.
    - `shape`, `cropped_shape`: voxels along x, y, z after orientation to RAS, and of the box outside which every
      channel is 0.
    - `spacing`: mm along x, y, z.
    - `foreground`, shape (channels, n): intensities inside the labeled foreground.
    - `clipped`: fraction of voxels at a channel's largest value, the largest over channels.
    - `contrast`: difference of medians inside the foreground and in a rim around it, in standard deviations of the
      scan; NaN where there is no foreground.
    - `frame`: the class along nearly all of the label's edge, where 0 lies inside alone; None where it is not so.
    - `levels`: medians and air of each channel that may be CT; others are not looked at.
    - `moments`: place, spread and brightness of each class in the label, by name.
    """

    case: DatasetCase
    trouble: Trouble | None = None
    image_hash: str | None = None
    reference_hash: str | None = None
    shape: Shape | None = None
    cropped_shape: Shape | None = None
    spacing: Triple | None = None
    voxels: dict[str, int] | None = None
    foreground: npt.NDArray[np.float32] | None = None
    deviations: tuple[float, ...] = ()
    clipped: float = 0.0
    constant: bool = False
    constant_channels: tuple[int, ...] = ()
    looks_like_labels: bool = False
    contrast: float = float("nan")
    grid: Geometry | None = None
    reference_grid: Geometry | None = None
    moments: dict[str, Moments] | None = None
    frame: str | None = None
    levels: tuple[Levels, ...] = ()
    notes: tuple[Trouble, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes that the label holds."""
        return tuple(name for name, count in (self.voxels or {}).items() if count)


def examine(
    data: Dataset, cases: Sequence[DatasetCase] | None = None, *, most: int = VOXELS_A_CASE
) -> Iterator[Examined]:
    """Read each case once; of its foreground keep so many intensities at most."""
    for case in data.labeled if cases is None else cases:
        one = _examine(data, case)
        if one.foreground is not None:
            one = replace(one, foreground=_thinned(one.foreground, most))
        yield one


def _examine(data: Dataset, case: DatasetCase) -> Examined:
    missing = [path for path in case.files if not path.exists()]
    if missing:
        return Examined(case, Trouble("missing-file", f"{missing[0]}: is not there"))
    try:
        return _read_and_measure(data, case)
    except MedsegError as error:
        return Examined(case, Trouble("unreadable", str(error)))
    except Exception as error:  # of a decoder, in its own words: the other cases are examined all the same
        log.debug("%s", case.case_id, exc_info=error)
        return Examined(case, Trouble("unreadable", f"{case.images[0]}: it cannot be read ({first_line(error)})"))


def _read_and_measure(data: Dataset, case: DatasetCase) -> Examined:
    try:
        scan, of_channels = read_channels_with_notes(data, case)
    except GeometryMismatch as error:
        return Examined(case, Trouble("channel-grid", str(error)))
    trouble, reference, grid, of_reference = _reference(data, case, scan)
    measured = _measure(data, case, scan, reference, trouble, grid)
    return replace(measured, notes=tuple(Trouble(*note) for note in (*of_channels, *of_reference)))


def _reference(
    data: Dataset, case: DatasetCase, scan: Scan
) -> tuple[Trouble | None, LabelMap | None, Geometry | None, Notes]:
    try:
        reference, notes = read_reference_with_notes(data, case, scan)
    except GeometryMismatch as error:
        grid = None
        if case.reference is not None and not data.structures and not case.parts and not data.masks:
            grid = read_label_file(data, case.reference, case.frame).geometry
        return Trouble("reference-grid", str(error)), None, grid, ()
    except MedsegError as error:
        if "does not name" not in error.what:
            return Trouble("unreadable", str(error)), None, None, ()
        why = None
        if case.reference is not None and not case.parts and not data.masks:
            held = read_label_file(data, case.reference, case.frame).array
            is_image = any(np.array_equal(channel, held) for channel in scan.array)
            why = why_no_label_map(held, case.reference, is_image=is_image)
        return Trouble("unknown-class", str(error)) if why is None else Trouble("no-label-map", why), None, None, ()
    return None, reference, reference.geometry, notes


def _measure(
    data: Dataset,
    case: DatasetCase,
    scan: Scan,
    reference: LabelMap | None,
    trouble: Trouble | None,
    reference_grid: Geometry | None,
) -> Examined:
    order = nearest_ras(scan.geometry)
    array = scan.array.astype(np.float32)
    flat = array.reshape(scan.channels, -1)
    deviations = tuple(float(channel.std(dtype=np.float64)) for channel in flat)
    tops = [
        0.0 if channel.min() == channel.max() else np.count_nonzero(channel == channel.max()) / channel.size
        for channel in flat
    ]
    constant_channels = tuple(k for k, channel in enumerate(flat) if channel.min() == channel.max())
    constant = len(constant_channels) == len(flat)
    voxels = foreground = moments = frame = None
    contrast = float("nan")
    if reference is not None:
        counts = np.bincount(reference.array.ravel(), minlength=max(data.parts) + 1)
        voxels = {c.name: int(counts[list(data.reference_values(c.value))].sum()) for c in data.table}
        inside = np.isin(reference.array, data.parts)
        foreground = _sample(flat, inside)
        contrast = _contrast(array[0], inside, deviations[0])
        values = {c.name: data.reference_values(c.value) for c in data.table}
        spacing = order.select(scan.geometry.spacing)
        frame = _frame(reference.array, {value: c.name for c in data.table for value in values[c.name]})
        moments = label_moments(order.apply(reference.array), order.apply(array), spacing, values)
    levels = tuple(
        levels_of(array[k], None if foreground is None else foreground[k])
        for k, channel in enumerate(data.channels)
        if channel.modality in MAY_BE_CT
    )
    if reference is not None and (why := _no_label_map(data, case, reference, array)) is not None:
        trouble = Trouble("no-label-map", why)
    return Examined(
        case,
        trouble,
        image_hash=voxel_hash(array),
        reference_hash=None if reference is None else voxel_hash(reference.array),
        shape=order.select(scan.geometry.shape),
        cropped_shape=nonzero_box(order.apply(array)).shape,
        spacing=order.select(scan.geometry.spacing),
        voxels=voxels,
        foreground=foreground,
        deviations=deviations,
        clipped=float(max(tops)),
        constant=constant,
        constant_channels=constant_channels,
        looks_like_labels=any(looks_like_labels(c) for k, c in enumerate(array) if k not in constant_channels),
        contrast=contrast,
        grid=scan.geometry,
        reference_grid=reference_grid,
        moments=moments,
        frame=frame,
        levels=levels,
    )


def _no_label_map(data: Dataset, case: DatasetCase, reference: LabelMap, image: npt.NDArray[np.float32]) -> str | None:
    """Why the values of a reference cannot be classes; None where they can."""
    if case.parts or data.structures or data.masks or data.references == "instances":
        return None
    named = any(c.name != LabelTable.unnamed([c.value]).classes[0].name for c in data.table)
    is_image = any(np.array_equal(channel, reference.array) for channel in image)
    return why_no_label_map(reference.array, case.reference, is_image=is_image, named=named)


def _sample(flat: npt.NDArray[np.float32], inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    places = _thinned(np.flatnonzero(inside)[None], VOXELS_A_CASE)[0]
    return flat[:, places]


def _thinned(values: npt.NDArray[Any], most: int) -> npt.NDArray[Any]:
    """Values (channels, n), evenly thinned where n is more than so many."""
    if values.shape[1] <= most:
        return values
    return np.ascontiguousarray(values[:, :: values.shape[1] // most][:, :most])


def _frame(labels: npt.NDArray[Any], names: Mapping[int, str]) -> str | None:
    """The class along nearly all of the edge of an array whose 0 lies inside and is the smaller part."""
    inside = tuple(slice(1, -1) if size > 2 else slice(None) for size in labels.shape)
    of_all = np.bincount(labels.ravel(), minlength=1)
    of_edge = of_all - np.bincount(labels[inside].ravel(), minlength=len(of_all))
    most = int(of_edge.argmax())
    is_frame = most in names and of_edge[most] > EDGE * of_edge.sum() and 0 < of_all[0] < labels.size / 2
    return names[most] if is_frame else None


def _contrast(image: npt.NDArray[np.float32], inside: npt.NDArray[np.bool_], deviation: float) -> float:
    from scipy.ndimage import binary_dilation

    if not inside.any() or deviation == 0:
        return float("nan")
    near = binary_dilation(inside)
    rim = binary_dilation(near, iterations=2) & ~near
    if not rim.any():
        return float("nan")
    return float(abs(np.median(image[inside]) - np.median(image[rim])) / deviation)


def voxel_hash(array: npt.NDArray[Any]) -> str:
    """Return a hash of values and shape."""
    digest = hashlib.blake2b(repr((array.shape, array.dtype.kind)).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
