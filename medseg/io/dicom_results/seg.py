"""Labels as DICOM Segmentation objects, which radiology workstations read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from medseg.errors import FormatLimitation, InputError
from medseg.io.dicom.cause import cause
from medseg.io.dicom.header import lenient
from medseg.io.dicom_results.coding import (
    SOFTWARE_VERSION,
    describe,
    long_string,
    notice,
    person_name,
    serial_number,
    title,
    with_a_class,
)
from medseg.io.dicom_results.identity import PROVISIONAL, derived_uid, write_sealed
from medseg.io.dicom_results.proof import prove_seg
from medseg.io.dicom_results.source import SourceSeries, read_source
from medseg.types import AnyLabels, LabelClass, LabelMap, LabelTable, ModelIdentity, Source
from medseg.types.run import Measured

Encoding = Literal["binary", "labelmap", "fractional"]
SERIES_NUMBER = 9001
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
