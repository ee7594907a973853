"""References whose classes may share voxels: a mask for each class, read into numbers of combinations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.data.dataset import ArrayKeys, Dataset, DatasetCase
from medseg.data.reference_files import read_array_labels, read_mask
from medseg.data.same_grid import onto_same_grid
from medseg.data.subgrid import place_in
from medseg.errors import InputError
from medseg.io.arrays import is_array_file
from medseg.io.dicom_results.label_objects import look
from medseg.io.dicom_results.patient import check_patient
from medseg.io.image2d import with_size_of
from medseg.io.read import read_any_labels
from medseg.io.recognize import recognize
from medseg.types import LabelMap, LabelTable, OverlappingLabels, Scan
from medseg.types.labels import smallest_label_dtype
from medseg.types.overlapping import moved

Masks = Iterator[tuple[int, npt.NDArray[np.bool_]]]
Notes = dict[tuple[str, str], None]


def read_combinations(data: Dataset, case: DatasetCase, scan: Scan) -> tuple[LabelMap, tuple[tuple[str, str], ...]]:
    """Read a case's reference on the scan's grid, and say what was done for that.

    - returns: a label map in which bit ``k`` of a value says whether the voxel has the table's class ``k``; these are
      the values of `Dataset.regions`.
    """
    bit = {entry.value: 1 << k for k, entry in enumerate(data.table)}
    array = np.zeros(scan.geometry.shape, smallest_label_dtype((1 << len(bit)) - 1))
    notes: Notes = {}
    for value, mask in _masks(data, case, scan, notes):
        entry = data.table.name_of(value)
        if mask.any() and not case.annotates(entry):
            raise InputError(
                f"the reference holds '{entry}', which this case is said not to annotate",
                where=case.reference,
                fix=f"Add {entry} to its 'annotated', or remove it from the label.",
            )
        array[mask] |= array.dtype.type(bit[value])
    return LabelMap(array, scan.geometry, data.table), tuple(notes)


def _masks(data: Dataset, case: DatasetCase, scan: Scan, notes: Notes) -> Masks:
    """Where each class is, by its value; a class may come in several masks."""
    assert case.reference is not None
    if case.parts:
        for part in case.parts:
            mask, found = read_mask(part.path, scan.geometry)
            notes.update(dict.fromkeys(found))
            yield part.value or 0, mask
    elif not is_array_file(case.reference) and recognize(case.reference).kind == "dicom":
        yield from _drawn(data, case, case.reference, scan)
    else:
        yield from _of_file(data, case.reference, scan, notes)


def _drawn(data: Dataset, case: DatasetCase, path: Path, scan: Scan) -> Masks:
    """Structures or segments that each class is named by."""
    patterns = data.structures or {entry.value: re.escape(entry.name) for entry in data.table}
    patterns = {value: pattern for value, pattern in patterns.items() if case.annotates(data.table.name_of(value))}
    if look(path).drawn_on is not None:
        from medseg.io.dicom_results.rtstruct import read_any_rtstruct

        for value, pattern in patterns.items():
            drawn = read_any_rtstruct(path, scan, pattern)
            yield value, drawn.present if isinstance(drawn, OverlappingLabels) else drawn.array > 0
        return
    check_patient(path, scan.source.files[0])
    found = _as_overlapping(read_any_labels(path))
    place = place_in(found.geometry, scan.geometry, path)
    for value, pattern in patterns.items():
        for segment in segments_named(found.table, pattern, path):
            mask = np.zeros(scan.geometry.shape, bool)
            mask[place] = found.mask(segment)
            yield value, mask


def segments_named(table: LabelTable, pattern: str, where: Path) -> list[int]:
    """Values of the segments whose whole names match; raises `InputError` where none does."""
    wanted = [entry.value for entry in table if re.fullmatch(pattern, entry.name, re.IGNORECASE)]
    if not wanted:
        names = ", ".join(f"'{entry.name}'" for entry in table) or "none"
        raise InputError(f"no segment matches '{pattern}'", where=where, fix=f"It has: {names}.")
    return wanted


def _of_file(data: Dataset, path: Path, scan: Scan, notes: Notes) -> Masks:
    """Classes of a label file: of one channel a class, of layers, or of a plain label map."""
    read: Any = read_array_labels(path, data.arrays or ArrayKeys()) if is_array_file(path) else read_any_labels(path)

    def placed(labels: LabelMap) -> LabelMap:
        sized = with_size_of(scan.geometry, labels, path)
        on_grid, found = onto_same_grid(sized, scan.geometry, path)
        notes.update(dict.fromkeys(found))
        return on_grid

    labels = _as_overlapping(moved(read, placed))
    named = {entry.name.casefold(): entry.value for entry in data.table}
    known = {entry.value for entry in data.table}
    for entry in labels.table:
        # Segments of NRRD have names; what has none goes by its value.
        value = named.get(entry.name.casefold(), data.values.get(entry.value, entry.value))
        mask = labels.mask(entry.value)
        if value in known:
            yield value, mask
        elif value and mask.any():
            raise InputError(
                f"the reference holds '{entry.name}' of value {entry.value}, which the dataset does not name",
                where=path,
                fix="Name it in the dataset's description, or correct the labels.",
            )


def _as_overlapping(labels: LabelMap | OverlappingLabels) -> OverlappingLabels:
    return labels if isinstance(labels, OverlappingLabels) else OverlappingLabels.of_map(labels)
