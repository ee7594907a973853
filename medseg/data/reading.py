"""Reads one case of a training dataset: its channels as one scan, and its reference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.data.border_class import border_labels, numbered_objects, without_border
from medseg.data.dataset import ArrayKeys, Dataset, DatasetCase
from medseg.data.frames import image_frame, label_frame
from medseg.data.join_channels import RESAMPLED, join_channels
from medseg.data.overlapping_reference import read_combinations, segments_named
from medseg.data.reference_files import read_array_labels, read_array_scan, read_colors, read_parts
from medseg.data.same_grid import onto_same_grid
from medseg.data.subgrid import place_in
from medseg.data.time_stacks import load_image, load_labels, notes_of, time_points
from medseg.errors import InputError
from medseg.io.arrays import is_array_file
from medseg.io.dicom_results.label_objects import look
from medseg.io.dicom_results.patient import check_patient
from medseg.io.image2d import with_size_of
from medseg.io.read import read_labels, read_scan
from medseg.io.recognize import recognize
from medseg.types import LabelMap, Scan
from medseg.types.labels import smallest_label_dtype

# Kinds of findings, and what is to be said of each.
Notes = tuple[tuple[str, str], ...]


def read_case(data: Dataset, case: DatasetCase) -> tuple[Scan, LabelMap]:
    """Read a labeled case.

    - returns: all channels on one grid, and the reference on the same, in the values of the dataset's table.
    """
    scan = read_channels(data, case)
    return scan, read_reference(data, case, scan)


def read_channels(data: Dataset, case: DatasetCase) -> Scan:
    """Read all channels of a case onto the grid of the first."""
    return read_channels_with_notes(data, case)[0]


def read_channels_with_notes(data: Dataset, case: DatasetCase) -> tuple[Scan, Notes]:
    """Read all channels of a case as `read_channels` does, and say what was done to have them on one grid."""
    scans = [read_scan(found) for found in case.found] or [_image(data, path, case.frame) for path in case.images]
    joined, notes = join_channels(scans, case.images, resample=data.resample_channels)
    if not case.found:
        notes += tuple(notes_of(path, count) for path in case.images if (count := time_points(path)))
    if joined.channels != len(data.channels):
        raise InputError(
            f"{joined.channels} channels, where the dataset has {len(data.channels)}",
            where=case.images[0],
            fix="Give every case the same channels.",
        )
    # That other grids are resampled is what the dataset's description asks for.
    return joined, tuple(note for note in notes if note[0] != RESAMPLED)


def _image(data: Dataset, path: Path, frame: int | None) -> Scan:
    if frame is not None:
        return image_frame(path, frame)
    return read_array_scan(path, data.arrays or ArrayKeys()) if is_array_file(path) else load_image(path)


def read_reference(data: Dataset, case: DatasetCase, scan: Scan) -> LabelMap:
    """Read a case's reference in the values of the dataset's table; voxels to ignore keep their value."""
    return read_reference_with_notes(data, case, scan)[0]


def read_reference_with_notes(data: Dataset, case: DatasetCase, scan: Scan) -> tuple[LabelMap, Notes]:
    """Read a case's reference as `read_reference` does, and say what was done to have it on the scan's grid."""
    if case.reference is None:
        raise InputError("has no reference", where=case.case_id, fix="Remove it from the training cases.")
    if data.masks:
        return read_combinations(data, case, scan)
    if data.structures and not case.parts and recognize(case.reference).kind == "dicom":
        drawn = _drawn if look(case.reference).drawn_on is not None else _segmented
        return drawn(_annotated_only(data, case), case.reference, scan), ()
    if case.parts:
        array, notes = read_parts(case.parts, scan)
        labels = LabelMap(array, scan.geometry, data.table)
    else:
        labels, notes = _on_grid_of(data, case, case.reference, scan)
    array = labels.array
    if data.border_mm is not None:
        array = border_labels(numbered_objects(labels, without_border(data.table)), data.border_mm).array
    elif data.references == "instances":
        array = np.where(array > 0, data.table.classes[0].value, 0)
    for found, wanted in data.values.items():
        array = np.where(labels.array == found, wanted, array)
    known = {0, *data.parts} | ({data.ignore_label} if data.ignore_label is not None else set())
    unknown = sorted(set(np.unique(array).tolist()) - known)
    if unknown:
        raise InputError(
            f"the reference holds values {unknown[:5]} that the dataset does not name",
            where=case.reference,
            fix="Name them in the dataset's description, or correct the labels.",
        )
    _check_annotated(data, case, array)
    return LabelMap(array.astype(smallest_label_dtype(max(known)), copy=False), labels.geometry, data.table), notes


def read_objects(data: Dataset, case: DatasetCase, scan: Scan) -> npt.NDArray[Any]:
    """Read the numbers of the objects of a case, of a dataset whose references number them; 0 is none."""
    if case.reference is None:
        raise InputError("has no reference", where=case.case_id, fix="Remove it from the training cases.")
    ids = _on_grid_of(data, case, case.reference, scan)[0].array
    # Values with a meaning of their own are no objects.
    return np.where(np.isin(ids, list(data.values)), 0, ids)


def _on_grid_of(data: Dataset, case: DatasetCase, reference: Path, scan: Scan) -> tuple[LabelMap, Notes]:
    labels = with_size_of(scan.geometry, read_label_file(data, reference, case.frame), reference)
    return onto_same_grid(labels, scan.geometry, reference)


def _annotated_only(data: Dataset, case: DatasetCase) -> Dataset:
    """Return the dataset with the structures of the classes that a case annotates."""
    if case.annotated is None:
        return data
    structures = {v: pattern for v, pattern in data.structures.items() if case.annotates(data.table.name_of(v))}
    return replace(data, cases=(case,), structures=structures)


def _check_annotated(data: Dataset, case: DatasetCase, array: npt.NDArray[Any]) -> None:
    """Refuse a class that is there although the case is said not to annotate it."""
    if case.annotated is None or data.regions:
        return
    for entry in data.table:
        if not case.annotates(entry.name) and (array == entry.value).any():
            raise InputError(
                f"the reference holds '{entry.name}', which this case is said not to annotate",
                where=case.reference,
                fix=f"Add {entry.name} to its 'annotated', or remove it from the label.",
            )


def read_label_file(data: Dataset, path: Path, frame: int | None) -> LabelMap:
    """Read a label map of whatever kind the dataset's are, on its own grid and in its own values.

    - `frame`: of the case, where the file is 4-D.
    """
    if frame is not None:
        return label_frame(path, frame)
    if is_array_file(path):
        return read_array_labels(path, data.arrays or ArrayKeys())
    return read_colors(path, data.colors) if data.colors else load_labels(path)


def _drawn(data: Dataset, path: Path, scan: Scan) -> LabelMap:
    """Contours of the structures each class is named by."""
    from medseg.io.dicom_results.rtstruct import read_rtstruct

    array = np.zeros(scan.geometry.shape, smallest_label_dtype(data.table.largest))
    for value, pattern in data.structures.items():
        drawn = read_rtstruct(path, scan, pattern).array > 0
        if (array[drawn] > 0).any():
            raise InputError(
                f"structures of {data.table.name_of(value)} overlap those of another class",
                where=path,
                fix="Make the patterns under 'labels' distinguish them.",
            )
        array[drawn] = value
    return LabelMap(array, scan.geometry, data.table)


def _segmented(data: Dataset, path: Path, scan: Scan) -> LabelMap:
    """Segments each class is named by, on the scan's grid."""
    check_patient(path, scan.source.files[0])
    found = read_labels(path)
    array = np.zeros(scan.geometry.shape, smallest_label_dtype(data.table.largest))
    target = array[place_in(found.geometry, scan.geometry, path)]
    for value, pattern in data.structures.items():
        target[np.isin(found.array, segments_named(found.table, pattern, path))] = value
    return LabelMap(array, scan.geometry, data.table)
