"""Scans kept as plain arrays: which array of a file is the image, and which of its axes are of space."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from medseg.errors import InputError
from medseg.io.arrays import AFFINE_KEYS, SPACING_KEYS, ArrayInfo, array_geometry, list_arrays, read_array
from medseg.io.files.limits import check_size
from medseg.io.intensities import as_intensities
from medseg.isolation.apart import apart
from medseg.types.scan import Scan, Source

# Words for image and label as keys of arrays.
IMAGE_KEYS = {"image", "img", "images", "data", "raw", "scan", "volume", "x", "ct", "mri", "mr", "input", "vol"}
LABEL_KEYS = {
    "label", "labels", "lbl", "mask", "masks", "seg", "segmentation", "gt", "y", "annotation", "target", "lab",
}  # fmt: skip
# The most channels an axis may hold without being an axis of space.
MOST_CHANNELS = 8


def is_called(info: ArrayInfo, known: set[str]) -> bool:
    """Whether a word of an array's own name is one of some words."""
    parts = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+", info.key.rsplit("/", 1)[-1])
    return any(word.lower() in known for word in parts)


def look(path: Path) -> tuple[str, tuple[Path, ...]]:
    """Check the headers of a file's arrays without reading one; say what its image is, and list the one file."""
    arrays = list_arrays(path)
    image, label = _keys(path, arrays)
    info = arrays[image]
    if info.kind not in "iufb":
        raise InputError(f"its array '{image}' does not hold numbers", where=path, fix="Save it as plain numbers.")
    check_size(info.shape, 8, where=path)
    axis = _channel_axis(path, info.shape, None if label is None else arrays[label].shape)
    channels = 1 if axis is None else info.shape[axis]
    space = [size for number, size in enumerate(info.shape) if number != axis]
    called = f" '{image}'" if image else ""
    many = f"{channels} channel{'s' if channels > 1 else ''}"
    return f"array{called}, {'x'.join(map(str, space))}, {many}", (path,)


@apart
def read_scan(path: Path, *, image: str | None = None, label: str | None = None) -> Scan:
    """Read the image of a file of arrays, on the grid of its affine or spacing, or with a note where it has neither.

    Axes are those of the array: (X, Y), (X, Y, Z), or with channels before or behind them, known by their number or
    by the label in the same file.

    - `image`, `label`: keys of the two; by default those that are called so, or the only array.
    """
    arrays = list_arrays(path)
    found = _keys(path, arrays) if image is None else (image, None)
    array = read_array(path, found[0])
    beside = arrays.get(label or found[1] or "\0")
    axis = _channel_axis(path, array.shape, None if beside is None else beside.shape)
    array = array[np.newaxis] if axis is None else np.moveaxis(array, axis, 0)
    array = array.reshape((*array.shape, *(1,) * (4 - array.ndim)))
    geometry, notes = array_geometry(path, array.shape[1:])
    return Scan(as_intensities(array, where=path), geometry, None, Source("arrays", (path,), notes=notes))


def _keys(path: Path, arrays: Mapping[str, ArrayInfo]) -> tuple[str, str | None]:
    """Keys of the image, and of the label where there is one."""
    beside = {*AFFINE_KEYS, *SPACING_KEYS}
    able = [i for i in arrays.values() if len(i.shape) >= 2 and i.key.rsplit("/", 1)[-1].lower() not in beside]
    labels = [info for info in able if is_called(info, LABEL_KEYS)]
    images = [info for info in able if is_called(info, IMAGE_KEYS) and info not in labels]
    images = images or [info for info in able if info not in labels] or (able if len(able) == 1 else [])
    if len(images) != 1:
        names = ", ".join(f"'{name}' {' x '.join(map(str, info.shape))}" for name, info in arrays.items()) or "none"
        raise InputError(
            f"which of its arrays is the scan is unclear: it has {names}",
            where=path,
            fix="Save the scan alone, or under the name 'image'.",
        )
    return images[0].key, labels[0].key if len(labels) == 1 and labels[0] is not images[0] else None


def _channel_axis(path: Path, shape: Sequence[int], label: Sequence[int] | None) -> int | None:
    """Which axis of an image is of channels, the first or the last; None where none is."""
    if label is not None and len(label) in (2, 3):
        space = len(label)
    else:
        space = 2 if len(shape) == 2 or (len(shape) == 3 and min(shape[0], shape[-1]) <= 4) else 3
    if len(shape) == space:
        return None
    if len(shape) != space + 1:
        raise InputError(f"its image has {len(shape)} axes", where=path, fix="Save (X, Y, Z) or (C, X, Y, Z).")
    return 0 if shape[0] <= min(shape[-1], MOST_CHANNELS) else len(shape) - 1
