"""DICOM Segmentation objects: label maps as radiology workstations read and write them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from medseg.errors import FormatLimitation, InputError, MedsegError
from medseg.io.dicom.cause import cause
from medseg.io.dicom.compressed import is_compressed
from medseg.io.dicom.header import lenient
from medseg.io.dicom_results.coding import (
    SOFTWARE_VERSION,
    describe,
    long_string,
    notice,
    person_name,
    serial_number,
    table_of,
    title,
    with_a_class,
)
from medseg.io.dicom_results.identity import PROVISIONAL, derived_uid, write_sealed
from medseg.io.dicom_results.proof import prove_seg
from medseg.io.dicom_results.seg_frames import SegFile, open_seg
from medseg.io.dicom_results.source import SourceSeries, read_source
from medseg.io.files.case_id import file_name
from medseg.isolation.apart import apart
from medseg.types import (
    AnyLabels,
    Geometry,
    LabelClass,
    LabelMap,
    LabelTable,
    ModelIdentity,
    OverlappingLabels,
    Source,
)
from medseg.types.labels import smallest_label_dtype
from medseg.types.overlapping import Layers
from medseg.types.run import Measured

log = logging.getLogger("medseg.io.dicom_results.seg")
Encoding = Literal["binary", "labelmap", "fractional"]
SERIES_NUMBER = 9001
HALF = 0.5  # the fraction from which a voxel of a fractional segmentation counts as inside
MORE_THAN_WHOLE = 1.02  # fractions that add up to more are of segments that overlap, whatever was rounded
OVERLAP_FIX = "Convert it to NIfTI, which then has one channel a class: medseg convert."
MOST = 255  # what stands for the whole in a fractional segmentation


def write_seg(
    labels: AnyLabels,
    source: Source,
    path: Path,
    *,
    model: ModelIdentity,
    encoding: Encoding = "binary",
    probabilities: npt.NDArray[np.float32] | None = None,
) -> Measured:
    """Write labels as a DICOM Segmentation of the series they were made from; return the Dice of reading it back.

    The same labels, source and model give the same file, byte for byte, with the same UIDs. Slices without labels are
    skipped, as is usual; a class without voxels stays described, so that a reader knows it was looked for; where
    nothing at all was found, one empty frame a class, on the first slice, keeps the object valid. Where slices are
    tilted each frame lies in the right place, but some readers stack frames upright; `medseg.io.formats` names them.

    Encodings: ``"binary"`` is a bit plane for each class and slice, uncompressed, which everything reads;
    ``"labelmap"`` one run-length compressed number for each voxel (DICOM 2024), for many classes and new readers;
    ``"fractional"`` a byte for each voxel and class: its probability where probabilities are given, shape (1 + classes,
    columns, rows, slices) with the background first, else whether it is inside. Classes may overlap, and then
    probabilities have no background; a label map as an encoding cannot hold them.
    """
    labels = with_a_class(labels)
    series = read_source(labels.geometry, source)
    seg = build_seg(labels, series, model, encoding, probabilities)
    return write_sealed(seg, series.first, path, lambda part: prove_seg(part, labels, series, probabilities))


def tracking_uid(series: SourceSeries, entry: LabelClass, model: ModelIdentity) -> str:
    """Return the UID that one class, or one object, of one model has on one series, in every file made of it.

    An object's value may be that of a class, and its name is not.
    """
    return str(derived_uid("tracking", series.first.SeriesInstanceUID, model.hash, entry.value, entry.name))


def build_seg(
    labels: AnyLabels,
    series: SourceSeries,
    model: ModelIdentity,
    encoding: Encoding = "binary",
    probabilities: npt.NDArray[np.float32] | None = None,
) -> hd.seg.Segmentation:
    """Build the object `write_seg` writes, not yet sealed."""
    classes = tuple(labels.table)
    numbers = [entry.value for entry in classes] if encoding == "labelmap" else list(range(1, len(classes) + 1))
    pixels = _pixels(labels, series, numbers, encoding)
    if probabilities is not None:
        pixels = _fractions(probabilities, labels)[list(series.slices) if series.slices is not None else slice(None)]
    empty = not pixels.any()
    if empty:
        pixels = pixels[:1]
    described = [
        describe(entry, number, model, tracking_uid(series, entry, model))
        for entry, number in zip(classes, numbers, strict=True)
    ]
    with lenient():
        try:
            seg = hd.seg.Segmentation(
                source_images=_sources(series),
                pixel_array=pixels,
                segmentation_type=encoding.upper(),
                segment_descriptions=described,
                series_instance_uid=PROVISIONAL["SeriesInstanceUID"],
                series_number=SERIES_NUMBER,
                sop_instance_uid=PROVISIONAL["SOPInstanceUID"],
                instance_number=1,
                manufacturer="medseg",
                manufacturer_model_name=long_string(model.name),
                software_versions=SOFTWARE_VERSION,
                device_serial_number=serial_number(model),
                fractional_type="OCCUPANCY" if probabilities is None else "PROBABILITY",
                max_fractional_value=MOST,
                transfer_syntax_uid=RLELossless if encoding == "labelmap" else ExplicitVRLittleEndian,
                plane_positions=_positions(series, len(pixels)),
                omit_empty_frames=not empty,
                series_description=title(model),
                content_label=_content_label(model),
                content_description=long_string(f"{model}, {notice(model)}"),
            )
        except (AttributeError, TypeError, ValueError) as error:
            raise FormatLimitation(
                f"a DICOM SEG cannot be made of this series ({cause(error)})",
                fix="Write NIfTI or NRRD instead.",
            ) from error
    seg.SpecificCharacterSet = "ISO_IR 192"
    seg.ContentCreatorName = person_name(model.reviewer)
    return seg


def _pixels(labels: AnyLabels, series: SourceSeries, numbers: list[int], encoding: Encoding) -> npt.NDArray[Any]:
    """Segment number of each pixel, (slices, rows, columns), or, of classes that overlap, whether it is in each."""
    if isinstance(labels, LabelMap):
        return _frames(_numbered(series.on_slices(labels), labels.table, numbers))
    if encoding == "labelmap":
        raise FormatLimitation(
            "a DICOM SEG of the kind LABELMAP holds one class for each voxel, and these classes may overlap",
            fix="Write dicom-seg.",
        )
    inside = np.array([[entry.value in values for entry in labels.table] for values in labels.classes_of], np.uint8)
    pixels: npt.NDArray[Any] = inside[_frames(series.on_slices(labels.as_map()))]
    return pixels


def _numbered(array: npt.NDArray[Any], table: LabelTable, numbers: list[int]) -> npt.NDArray[Any]:
    """Label array with each class's value replaced by its segment number."""
    values = [entry.value for entry in table]
    present = np.flatnonzero(np.bincount(array.ravel(), minlength=1))
    unknown = set(present.tolist()) - {0, *values}
    if unknown:
        raise InputError(
            f"the labels hold the value {min(unknown)}, which the label table does not name",
            fix="Add the class to the label table.",
        )
    if values == numbers or not values:
        return array
    lookup = np.zeros(max(values) + 1, dtype=np.uint16 if max(numbers) > 255 else np.uint8)
    lookup[values] = numbers
    numbered: npt.NDArray[Any] = lookup[array]
    return numbered


def _fractions(probabilities: npt.NDArray[np.float32], labels: AnyLabels) -> npt.NDArray[np.float32]:
    """Probabilities of the classes as DICOM's frames, (slices, rows, columns, classes), in steps of a byte."""
    background = int(isinstance(labels, LabelMap))
    if probabilities.shape != (background + len(labels.table), *labels.geometry.shape):
        raise FormatLimitation(
            f"the model gives {len(probabilities)} probabilities, and a fractional segmentation needs one for the "
            f"background and one for each of {len(labels.table)} classes",
            fix="Write dicom-seg instead.",
        )
    rounded = np.rint(np.clip(probabilities[background:], 0, 1) * MOST) / np.float32(MOST)
    return np.ascontiguousarray(rounded.transpose(3, 2, 1, 0), dtype=np.float32)


def _frames(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Copy an array of (columns, rows, slices) in DICOM's order of frames: (slices, rows, columns).

    A copy even of an array that has this order already, because highdicom multiplies the frames it is given in place.
    """
    return np.array(array.transpose(2, 1, 0), order="C")


def _sources(series: SourceSeries) -> list[Dataset]:
    return [series.first] if series.frames is not None else list(series.headers)


def _positions(series: SourceSeries, count: int) -> list[hd.PlanePositionSequence]:
    return [
        hd.PlanePositionSequence(coordinate_system="PATIENT", image_position=plane.position)
        for plane in series.planes[:count]
    ]


def _content_label(model: ModelIdentity) -> str:
    """Return the model's name as DICOM's CS: 16 capitals, digits, spaces and underscores."""
    return re.sub(r"[^A-Z0-9_ ]", "_", model.name.upper())[:16].strip() or "SEGMENTATION"


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
