"""RT Structure Sets: label maps as the contours of radiotherapy, and contours as label maps."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medseg.errors import FormatLimitation
from medseg.io.dicom.frame import frames_of
from medseg.io.dicom.header import read_header
from medseg.io.dicom_results.coding import table_of, with_a_class
from medseg.io.dicom_results.drawn_images import DrawnImages
from medseg.io.dicom_results.enclosed import enclosed, foreign_images
from medseg.io.dicom_results.identity import write_sealed
from medseg.io.dicom_results.proof import dice_of, identical
from medseg.io.dicom_results.read_labels import ReadLabels
from medseg.io.dicom_results.rtstruct_dataset import build_rtstruct
from medseg.io.dicom_results.source import read_source
from medseg.io.dicom_results.structures import Structure, in_frame, read_structures
from medseg.types import AnyLabels, Geometry, LabelMap, ModelIdentity, OverlappingLabels, Scan, Source
from medseg.types.overlapping import Layers, class_map
from medseg.types.run import Measured
from medseg.types.verification import Verification

log = logging.getLogger("medseg.io.dicom_results.rtstruct")
NEW_IMAGES = (
    "None of the images that the contours name is among the scan's, as after new UIDs were given; the contours were "
    "taken where they lie"
)


def read_rtstruct(
    path: Path, on: Scan | Geometry, pattern: str = ".*", *, frame: str | None = None, is_complete: bool = False
) -> LabelMap:
    """Read the structures of an RTSTRUCT as a label map on the grid they were drawn on.

    A pixel belongs to a structure where its center lies inside an odd number of the structure's contours on that slice,
    so that contours inside contours are holes; those that overlap in part are one area. Structures of another patient
    than the scan's are refused. Structures in another frame of reference than the scan's, or than
    `frame` where only a grid is given, are skipped. Only structures whose whole name matches the pattern, in any case,
    are read; values count from 1 in the order of the file. Overlapping structures are a `FormatLimitation`. Where it
    `is_complete`, so that what is not there is taken to be gone, so is a structure with lines and no voxel: open
    ones, in another frame, or between the pixels.
    """
    labels = read_any_rtstruct(path, on, pattern, frame=frame)
    if isinstance(labels, OverlappingLabels):
        raise FormatLimitation(
            f"{_overlapping(labels)} overlap, and a label map holds one class for each voxel",
            where=path,
            fix="Read them one at a time, with a pattern for each.",
        )
    if is_complete:
        present = set(np.unique(labels.array).tolist())
        for structure in read_structures(path, pattern):
            drawn = [one for one in structure.contours if str(one.get("ContourGeometricType")) != "POINT"]  # no markers
            if drawn and structure.entry.value not in present:
                raise FormatLimitation(
                    f"the contours of '{structure.entry.name}' enclose no voxel of the scan",
                    where=path,
                    fix="Save closed contours, drawn on this scan, or delete the structure where nothing is of it.",
                )
    return labels


def read_any_rtstruct(path: Path, on: Scan | Geometry, pattern: str = ".*", *, frame: str | None = None) -> AnyLabels:
    """Read structures as `read_rtstruct` does, and those that overlap as labels that may."""
    geometry = on if isinstance(on, Geometry) else on.geometry
    expected = frame if isinstance(on, Geometry) else on.source.frame_of_reference_uid
    images = None if isinstance(on, Geometry) else _images(on)
    read = drawn_on(geometry, expected, read_structures(path, pattern), path, images)
    for warning in read.warnings:
        log.warning("%s: %s", path, warning)
    for note in read.notes:
        log.info("%s: %s", path, note)
    return read.labels


def _images(scan: Scan) -> DrawnImages | None:
    """Images of a DICOM scan; None of others, and of resampled ones, whose slices are no images."""
    if scan.source.format != "dicom" or scan.source.slice_places is not None:
        return None
    return DrawnImages.on(
        scan.geometry, (frame for file in scan.source.files for frame in frames_of(read_header(file)))
    )


def drawn_on(
    geometry: Geometry,
    frame: str | None,
    structures: Sequence[Structure],
    path: Path,
    images: DrawnImages | None = None,
) -> ReadLabels:
    """Read the structures in one frame of reference.

    - `images`: what contours may refer to, where that is known.
    """
    if images is not None:
        images.check_patient(structures[0].patient, path)
    fitting, warnings = in_frame(structures, frame, path)
    table = table_of([structure.entry for structure in fitting])
    layers = Layers(geometry.shape)
    named = foreign = 0
    strangers: list[str] = []
    for structure in fitting:
        found = enclosed(structure, geometry, path, None if images is None else images.slices_of)
        layers.add(structure.entry.value, found.mask)
        warnings += found.warnings
        named, foreign = named + found.named, foreign + found.foreign
        strangers += [foreign_images(structure.entry.name, found.foreign)] if found.foreign else []
    labels = layers.labels(geometry, table)
    # Where it is all of them, their images got new UIDs, as by de-identification: one fact of the whole file.
    notes = (NEW_IMAGES,) if 0 < foreign == named else ()
    return ReadLabels(labels.separate() or labels, (*(() if notes else strangers), *warnings), notes)


def _overlapping(labels: OverlappingLabels) -> str:
    """Names of the first two structures that overlap."""
    present = np.unique(labels.combinations).tolist()
    first, second, *_ = min(labels.classes_of[number] for number in present if len(labels.classes_of[number]) > 1)
    return f"'{labels.table.name_of(first)}' and '{labels.table.name_of(second)}'"


def write_rtstruct(
    labels: AnyLabels, source: Source, path: Path, *, model: ModelIdentity, verification: Verification | None = None
) -> Measured:
    """Write a label map as an RTSTRUCT, approved where a person vouches for it; return the Dice of reading it back.

    Contours run half-way between pixels, so that filling them at pixel centers gives the labels back; holes are cut by
    keyholes, as DICOM asks. The same labels, source and model give the same file.
    """
    labels = with_a_class(labels)
    series = read_source(labels.geometry, source)
    if series.slices is not None:
        raise FormatLimitation(
            "contours of unevenly spaced slices cannot be verified by reading them back",
            fix="Write dicom-seg, which holds an image for each slice, or nifti.",
        )
    return write_sealed(
        build_rtstruct(labels, series, model, verification), series.first, path, lambda part: _prove(part, labels)
    )


def _prove(path: Path, labels: AnyLabels) -> Measured:
    """Read the structures back and compare each with the class it was made of."""
    back = drawn_on(labels.geometry, None, read_structures(path), path).labels
    if isinstance(labels, OverlappingLabels) or isinstance(back, OverlappingLabels):
        return identical(_dice_of_each(labels, back))
    numbers = np.zeros(max(labels.table.largest, int(labels.array.max())) + 1, np.int64)
    numbers[[entry.value for entry in labels.table]] = range(1, len(labels.table) + 1)
    common, own, read = np.zeros((3, len(labels.table) + 1), np.int64)
    for k in range(labels.geometry.shape[2]):
        wanted, found = numbers[labels.array[:, :, k]].ravel(), back.array[:, :, k].ravel()
        for counts, values in ((common, wanted[wanted == found]), (own, wanted), (read, found)):
            counts += np.bincount(values, minlength=len(counts))
    return identical(
        {
            entry.name: dice_of(int(common[n]), int(read[n]), int(own[n]))
            for n, entry in enumerate(labels.table, start=1)
        }
    )


def _dice_of_each(labels: AnyLabels, back: AnyLabels) -> dict[str, float]:
    """Dice of each class with the structure of the same place in the file."""
    dice = {}
    for entry, structure in zip(labels.table, back.table, strict=True):
        own = class_map(labels, entry).array == entry.value
        read = class_map(back, structure).array == structure.value
        counts = (np.count_nonzero(one) for one in (own & read, read, own))
        dice[entry.name] = dice_of(*map(int, counts))
    return dice
