"""DICOM Segmentation objects as label maps, or as labels that may overlap."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import FormatLimitation, InputError, MedsegError
from medseg.io.dicom.cause import cause
from medseg.io.dicom.compressed import is_compressed
from medseg.io.dicom_results.coding import table_of
from medseg.io.dicom_results.seg_frames import SegFile, open_seg
from medseg.io.files.case_id import file_name
from medseg.isolation.apart import apart
from medseg.types import AnyLabels, Geometry, LabelMap, OverlappingLabels
from medseg.types.labels import smallest_label_dtype
from medseg.types.overlapping import Layers

log = logging.getLogger("medseg.io.dicom_results.read_seg")
HALF = 0.5  # the fraction from which a voxel of a fractional segmentation counts as inside
MORE_THAN_WHOLE = 1.02  # fractions that add up to more are of segments that overlap, whatever was rounded
OVERLAP_FIX = "Convert it to NIfTI, which then has one channel a class: medseg convert."


def read_seg(path: Path, on: Geometry | None = None) -> LabelMap:
    """Read a DICOM Segmentation as one label map.

    The grid is the file's own: it reaches from the first to the last frame present, as slices with nothing on them are
    usually skipped. A class's value is its segment number, unless medseg wrote another. Of a fractional segmentation, a
    voxel belongs to the segment with the largest fraction, where that is one half or more. Overlapping segments are a
    `FormatLimitation`; `read_any_seg` reads them. `on` is the grid it was made on, where that is known; see `open_seg`.
    """
    labels, warnings = _read_compressed_seg(path, on) if is_compressed(path) else _read_seg(path, on)
    _log(path, warnings)
    return labels


def _log(path: Path, warnings: Sequence[str]) -> None:
    for warning in warnings:
        log.warning("%s: %s", file_name(path), warning)


@apart
def _read_compressed_seg(path: Path, on: Geometry | None) -> tuple[LabelMap, tuple[str, ...]]:
    return _read_seg(path, on)


def _read_seg(path: Path, on: Geometry | None) -> tuple[LabelMap, tuple[str, ...]]:
    seg = open_seg(path, on)
    table = table_of(list(seg.classes.values()))
    array = np.zeros(seg.geometry.shape, smallest_label_dtype(table.largest))
    best = np.zeros(seg.geometry.shape, np.float32) if seg.kind == "FRACTIONAL" else None
    for value, k, pixels in _decoded(seg, path):
        target = array[:, :, k]
        if best is not None:
            wins = (pixels >= HALF) & (pixels > best[:, :, k])
            target[wins], best[:, :, k][wins] = value, pixels[wins]
            continue
        if target[pixels].any():
            raise FormatLimitation(
                "the segments overlap, and a label map holds one class for each voxel", where=path, fix=OVERLAP_FIX
            )
        target[pixels] = value
    return LabelMap(array, seg.geometry, table), seg.warnings


def read_any_seg(path: Path, on: Geometry | None = None) -> AnyLabels:
    """Read a DICOM Segmentation as `read_seg` does, and one whose segments overlap as labels that may.

    Of a fractional segmentation, two segments share a voxel where both have half of it or more, and more than all
    together, which those of classes that exclude each other never have.
    """
    labels, warnings = read_with_warnings(path, on)
    _log(path, warnings)
    return labels


def read_with_warnings(path: Path, on: Geometry | None = None) -> tuple[AnyLabels, tuple[str, ...]]:
    """Read a DICOM Segmentation as `read_any_seg` does, and return what may be wrong with it instead of logging it."""
    return _read_any_compressed_seg(path, on) if is_compressed(path) else _read_any_seg(path, on)


@apart
def _read_any_compressed_seg(path: Path, on: Geometry | None) -> tuple[AnyLabels, tuple[str, ...]]:
    return _read_any_seg(path, on)


def _read_any_seg(path: Path, on: Geometry | None) -> tuple[AnyLabels, tuple[str, ...]]:
    seg = open_seg(path, on)
    table = table_of(list(seg.classes.values()))
    layers = Layers(seg.geometry.shape)
    total = np.zeros(seg.geometry.shape, np.float32) if seg.kind == "FRACTIONAL" else None
    for value, k, pixels in _decoded(seg, path):
        inside = pixels
        if total is not None:
            inside = pixels >= HALF
            total[:, :, k][inside] += pixels[inside]
        layers.add(value, inside, (slice(None), slice(None), k))
    found = layers.labels(seg.geometry, table)
    if total is not None and not (total > MORE_THAN_WHOLE).any():
        return _read_seg(path, on)
    return found if found.overlap else _one_map(found), seg.warnings


def _one_map(found: OverlappingLabels) -> LabelMap:
    """Return labels that do not overlap as `read_seg` reads them."""
    labels = found.folded()
    return LabelMap(np.asarray(labels.array, order="C"), labels.geometry, labels.table)


def _decoded(seg: SegFile, path: Path) -> Iterator[tuple[int, int, npt.NDArray[Any]]]:
    """Frames of an open file; whatever a decoder raises is an error of the file."""
    try:
        yield from seg.frames()
    except InputError as error:
        raise InputError(error.what, where=path, fix=error.fix) from error
    except MedsegError:
        raise
    except Exception as error:  # decoders raise nearly anything on damaged pixels
        raise InputError(
            f"the pixels cannot be decoded ({cause(error)})", where=path, fix="Copy the file again."
        ) from error
