"""RT Structure Sets: label maps as the contours of radiotherapy, and contours as label maps."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medseg.errors import FormatLimitation
from medseg.io.dicom_results.coding import table_of
from medseg.io.dicom_results.identity import write_sealed
from medseg.io.dicom_results.proof import dice_of, identical
from medseg.io.dicom_results.rtstruct_dataset import build_rtstruct
from medseg.io.dicom_results.source import read_source
from medseg.io.dicom_results.structures import Structure, enclosed, in_frame, read_structures
from medseg.types import Geometry, LabelMap, LabelTable, ModelIdentity, Scan, Source
from medseg.types.labels import smallest_label_dtype
from medseg.types.run import Measured
from medseg.types.verification import Verification

log = logging.getLogger("medseg.io.dicom_results.rtstruct")


def read_rtstruct(path: Path, on: Scan | Geometry, pattern: str = ".*", *, frame: str | None = None) -> LabelMap:
    """Read the structures of an RTSTRUCT as a label map on the grid they were drawn on.

    A pixel belongs to a structure where its center lies inside an odd number of the structure's contours on that slice,
    so that contours inside contours are holes. Structures in another frame of reference than the scan's, or than
    `frame` where only a grid is given, are skipped. Only structures whose whole name matches the pattern, in any case,
    are read; values count from 1 in the order of the file. Overlapping structures are a `FormatLimitation`.
    """
    geometry = on if isinstance(on, Geometry) else on.geometry
    expected = frame if isinstance(on, Geometry) else on.source.frame_of_reference_uid
    maps, warnings = drawn_on(geometry, expected, read_structures(path, pattern), path)
    if len(maps) > 1:
        raise FormatLimitation(
            f"{_overlapping(maps)} overlap, and a label map holds one class for each voxel",
            where=path,
            fix="Read them one at a time, with a pattern for each.",
        )
    for warning in warnings:
        log.warning("%s: %s", path, warning)
    return maps[0]


def drawn_on(
    geometry: Geometry, frame: str | None, structures: Sequence[Structure], path: Path
) -> tuple[tuple[LabelMap, ...], tuple[str, ...]]:
    """Label map of the structures in one frame of reference, and warnings; where they overlap, a map for each."""
    fitting, warnings = in_frame(structures, frame, path)
    masks = []
    for structure in fitting:
        mask, more = enclosed(structure, geometry, path)
        masks.append(mask)
        warnings += more
    dtype = smallest_label_dtype(max(structure.entry.value for structure in fitting))
    table = table_of([structure.entry for structure in fitting])
    together = np.zeros(geometry.shape, dtype)
    for entry, mask in zip(table, masks, strict=True):
        if together[mask].any():
            maps = [
                LabelMap(np.where(mask, entry.value, 0).astype(dtype), geometry, LabelTable((entry,)))
                for entry, mask in zip(table, masks, strict=True)
            ]
            return tuple(maps), warnings
        together[mask] = entry.value
    return (LabelMap(together, geometry, table),), warnings


def _overlapping(maps: Sequence[LabelMap]) -> str:
    """Names of the first two structures that overlap."""
    for one, other in itertools.combinations(maps, 2):
        if ((one.array > 0) & (other.array > 0)).any():
            return f"'{one.table.classes[0].name}' and '{other.table.classes[0].name}'"
    raise AssertionError("nothing overlaps")


def write_rtstruct(
    labels: LabelMap, source: Source, path: Path, *, model: ModelIdentity, verification: Verification | None = None
) -> Measured:
    """Write a label map as an RTSTRUCT, approved where a person vouches for it; return the Dice of reading it back.

    Contours run half-way between pixels, so that filling them at pixel centers gives the labels back; holes are cut by
    keyholes, as DICOM asks. The same labels, source and model give the same file.
    """
    series = read_source(labels.geometry, source)
    if series.slices is not None:
        raise FormatLimitation(
            "contours of unevenly spaced slices cannot be verified by reading them back",
            fix="Write dicom-seg, which holds an image for each slice, or nifti.",
        )
    return write_sealed(
        build_rtstruct(labels, series, model, verification), series.first, path, lambda part: _prove(part, labels)
    )


def _prove(path: Path, labels: LabelMap) -> Measured:
    """Read the structures back and compare each with the class it was made of."""
    (back,), _ = drawn_on(labels.geometry, None, read_structures(path), path)
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
