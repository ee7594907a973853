"""References of other kinds than one label map a case: a file for each class or object, color images, plain arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.data.dataset import ArrayKeys, ReferencePart
from medseg.data.same_grid import onto_same_grid
from medseg.errors import InputError
from medseg.io import array_scan
from medseg.io.arrays import array_geometry, is_array_file, list_arrays, read_array
from medseg.io.image2d import with_size_of
from medseg.io.intensities import as_labels
from medseg.io.read import load_scan, read_labels
from medseg.isolation.apart import apart
from medseg.types import Geometry, LabelMap, LabelTable, Scan
from medseg.types.labels import smallest_label_dtype

OVERLAP = "overlapping-masks"
MOST_COLORS = 5


def read_array_scan(path: Path, keys: ArrayKeys) -> Scan:
    """Read the image of a file of arrays, as `medseg.io.array_scan.read_scan` does."""
    return array_scan.read_scan(path, image=keys.image, label=keys.label)


@apart
def read_array_labels(path: Path, keys: ArrayKeys) -> LabelMap:
    """Read the label map of a file of arrays."""
    array = read_array(path, _key(path, keys.label))
    array = array[0] if array.ndim == 4 and array.shape[0] == 1 else array
    if array.ndim not in (2, 3):
        raise InputError(
            f"its label has {array.ndim} axes",
            where=path,
            fix="Save one value for each voxel, and many images each in a file of its own.",
        )
    array = as_labels(array.reshape((*array.shape, *(1,) * (3 - array.ndim))), where=path)
    geometry, _ = array_geometry(path, array.shape)
    return LabelMap(array, geometry, LabelTable.unnamed(np.unique(array)))


def _key(path: Path, key: str | None) -> str:
    if key is not None:
        return key
    known = list_arrays(path)
    if len(known) != 1:
        names = ", ".join(f"'{name}'" for name in known) or "none"
        raise InputError(f"it holds {len(known)} arrays ({names})", where=path, fix="Name it under 'arrays'.")
    return next(iter(known))


def read_parts(parts: Sequence[ReferencePart], scan: Scan) -> tuple[npt.NDArray[Any], tuple[tuple[str, str], ...]]:
    """Values of the classes, or numbers of the objects, that a case's files hold, and notes.

    Where masks of classes overlap, the smaller lies on top, so that none hides another; of objects, the later.

    - returns, shape (X, Y, Z) of the scan
    """
    notes: dict[tuple[str, str], None] = {}
    largest = max((part.value or 0 for part in parts), default=0)
    result = np.zeros(scan.geometry.shape, smallest_label_dtype(max(largest, len(parts))))
    masks: list[tuple[int, int, npt.NDArray[np.intp]]] = []
    for number, part in enumerate(parts, start=1):
        mask, found = read_mask(part.path, scan.geometry)
        notes.update(dict.fromkeys(found))
        inside = np.flatnonzero(mask)
        masks.append((-len(inside) if part.value is not None else number, part.value or number, inside))
    flat = result.reshape(-1)
    hidden = 0
    for _, value, inside in sorted(masks, key=lambda item: item[0]):
        hidden += int(np.count_nonzero((flat[inside] != 0) & (flat[inside] != value)))
        flat[inside] = value
    if hidden and parts[0].value is not None:
        notes[OVERLAP, f"Masks of its classes share {hidden:,} voxels, which count as the smaller one's."] = None
    return result, tuple(notes)


def read_mask(path: Path, grid: Geometry) -> tuple[npt.NDArray[np.bool_], tuple[tuple[str, str], ...]]:
    """Where one file's mask is set, on the image's grid."""
    if path.is_dir():  # a DICOM series of pixels instead of a SEG
        scan = load_scan(path)
        labels = LabelMap((scan.array[0] > 0).astype(np.uint8), scan.geometry, LabelTable.unnamed([1]))
    elif is_array_file(path):
        labels = read_array_labels(path, ArrayKeys())
    else:
        labels = read_labels(path)
    labels = with_size_of(grid, labels, path) if path.is_file() and not is_array_file(path) else labels
    values = np.unique(labels.array)
    if len(values) > 2:
        raise InputError(
            f"a mask of one class or object has two values; this has {len(values)}",
            where=path,
            fix="Save it without compression or smoothing, or list it as the label.",
        )
    placed, notes = onto_same_grid(labels, grid, path)
    return placed.array > 0, notes


def read_colors(path: Path, colors: Mapping[tuple[int, int, int], int]) -> LabelMap:
    """Read a color image whose colors are classes.

    Raises `InputError` naming the colors that the map does not have.
    """
    scan = load_scan(path)
    if scan.channels == 1:
        scan = scan.with_array(np.repeat(scan.array, 3, axis=0), scan.geometry)
    packed = _packed(scan.array[:3])
    known = {(r << 16) + (g << 8) + b: value for (r, g, b), value in colors.items()}
    found, inverse = np.unique(packed, return_inverse=True)
    unknown = [value for value in found.tolist() if value not in known]
    if unknown:
        shown = ", ".join(f"#{value:06x}" for value in unknown[:MOST_COLORS]) + (" ..." if len(unknown) > 5 else "")
        raise InputError(
            f"it has {len(unknown)} colors that 'colors' does not name: {shown}",
            where=path,
            fix="Name them, or save the mask without compression or smoothing.",
        )
    values = np.array([known[value] for value in found.tolist()], np.uint16)[inverse].reshape(packed.shape)
    return LabelMap(as_labels(values, where=path), scan.geometry, LabelTable.unnamed(values))


def colors_of(path: Path) -> dict[tuple[int, int, int], int]:
    """Colors of an image and how many pixels have each; empty where it is gray."""
    array = load_scan(path).array
    if len(array) < 3 or (np.array_equal(array[0], array[1]) and np.array_equal(array[0], array[2])):
        return {}
    values, counts = np.unique(_packed(array[:3]), return_counts=True)
    return {(v >> 16, v >> 8 & 255, v & 255): n for v, n in zip(values.tolist(), counts.tolist(), strict=True)}


def _packed(array: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    wide: npt.NDArray[np.int64] = array.astype(np.int64)
    packed: npt.NDArray[np.int64] = (wide[0] << 16) + (wide[1] << 8) + wide[2]
    return packed
