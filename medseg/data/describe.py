"""Writes a dataset, however it was laid out, as a table that a person can read and edit."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.fold_numbers import fold_number
from medseg.data.name_pattern import masks_pattern
from medseg.errors import InputError, UsageError
from medseg.io.files.atomic import write_text

FILE = "dataset.yaml"
GUIDE = """\
# What medseg read of this dataset. Edit what is wrong: this file is read in place of the names of the others.
# channels: name (a column below) to modality. labels: class to value. values: value in the files to value here. ignore:
# value of voxels that are not annotated. cases: paths from this file's folder; group: the patient; split: train,
# validation or test."""


def write_description(data: Dataset, file: Path) -> None:
    """Write a dataset's table, whole or not at all; one that is there already is not replaced.

    Raises
    ------
    UsageError
        When there is a file of that name.
    InputError
        When a case is a DICOM series that has no folder of its own, for which a table has no path.
    """
    if file.exists():
        raise UsageError("there is such a file already", where=file, fix="Edit it, or move it away.")
    write_text(file, description_text(data, file.parent))


def description_file(data: Dataset, out: Path | None) -> Path:
    """Where a dataset's table is written: in the output folder, or where there is none, in the dataset's own."""
    return (data.folder if out is None else out) / FILE


def description_text(data: Dataset, folder: Path) -> str:
    """Return the YAML of a dataset's table, with paths from a folder."""
    lines = [
        GUIDE,
        *(f"# {text[0].upper()}{text[1:]}." for text in data.read_as),
        *(f"# Unclear: {text}." for text in data.ambiguous),
    ]
    columns = _columns(data)
    lines += [f"{key}: {_flow(value)}" for key, value in _stated(data).items()]
    lines.append("cases:")
    lines += [f"  - {_flow(_row(data, case, columns, folder))}" for case in data.cases]
    return "\n".join(lines) + "\n"


def _columns(data: Dataset) -> list[str]:
    """A column for each channel, or one for files that hold all of them."""
    count = max(len(case.images) for case in data.cases)
    return [channel.name for channel in data.channels] if count == len(data.channels) else ["image"]


def _stated(data: Dataset) -> dict[str, Any]:
    masks = any(part.value is not None for case in data.cases for part in case.parts) and not _are_together(data)
    labels: dict[str, Any] = {}
    for entry in data.table:
        row: dict[str, Any] = {"value": entry.value}
        if masks:
            row["column"] = entry.name
        if entry.value in data.structures:
            row["structure"] = data.structures[entry.value]
        if entry.value in data.regions and not data.masks:
            row["region"] = list(data.regions[entry.value])
        labels[entry.name] = row if len(row) > 1 else entry.value
    arrays = {} if data.arrays is None else {"image": data.arrays.image, "label": data.arrays.label}
    stated: dict[str, Any] = {
        "name": data.name,
        "description": data.description,
        "license": data.license,
        "channels": {channel.name: channel.modality for channel in data.channels},
        "labels": labels,
        "values": {str(found): value for found, value in data.values.items()},
        "ignore": data.ignore_label,
        "references": "instances" if data.references == "instances" else None,
        "colors": {"#{:02x}{:02x}{:02x}".format(*color): value for color, value in data.colors.items()},
        "arrays": {key: value for key, value in arrays.items() if value},
        "resample_channels": data.resample_channels or None,
        "overlapping": data.overlapping or None,
    }
    return {key: value for key, value in stated.items() if value not in (None, "", {})}


def _row(data: Dataset, case: DatasetCase, columns: list[str], folder: Path) -> dict[str, Any]:
    row: dict[str, Any] = {"case": case.case_id}
    images = [_series_folder(scan.files, case.case_id) for scan in case.found] or list(case.images)
    row |= {column: _relative(path, folder) for column, path in zip(columns, images, strict=False)}
    if case.parts and _are_together(data):
        pattern = masks_pattern([part.path for part in case.parts])
        row["label"] = f"{_relative(case.parts[0].path.parent, folder)}/{Path(pattern).name}"
    elif case.parts and case.parts[0].value is not None:
        row |= {data.table.name_of(part.value or 0): _relative(part.path, folder) for part in case.parts}
    elif case.parts:
        endings = Counter(path.suffix for path in (part.path for part in case.parts))
        row["label"] = f"{_relative(case.parts[0].path.parent, folder)}/*{endings.most_common(1)[0][0]}"
    elif case.reference is not None:
        row["label"] = _relative(case.reference, folder)
    known: dict[str, Any] = {
        "group": case.group,
        "split": case.split,
        "fold": fold_number(case),
        "cine_frame": case.frame,
    }
    if case.annotated is not None:
        known["annotated"] = "; ".join(case.annotated)
    return row | {key: value for key, value in known.items() if value is not None}


def _are_together(data: Dataset) -> bool:
    """Whether several masks of a case are of one class."""
    values = [[part.value for part in case.parts] for case in data.cases]
    return any(None not in of_case and len(set(of_case)) < len(of_case) for of_case in values)


def _series_folder(files: tuple[Path, ...], case_id: str) -> Path:
    """Folder that holds the files of one series and nothing else."""
    folder = files[0].parent
    others = {path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")} - set(files)
    if others or any(file.parent != folder for file in files):
        raise InputError(
            "its series has no folder of its own, so that a table has no path for it",
            where=case_id,
            fix="Name channels and classes under 'dataset' in a configuration.",
        )
    return folder


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _flow(value: Any) -> str:
    """A value on one line of YAML, of which JSON is a part."""
    return json.dumps(value, ensure_ascii=False)
