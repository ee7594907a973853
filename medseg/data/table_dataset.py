"""A dataset as a table of cases: what a YAML file may say of it, and how its rows become cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field

from medseg.data.class_table import class_table
from medseg.data.dataset import ArrayKeys, Channel, Dataset, DatasetCase, ReferencePart
from medseg.data.description import DatasetDescription
from medseg.data.first_scan import COLORS, OBJECT, first_scan, table_of_references
from medseg.data.fold_numbers import with_folds
from medseg.data.modality import dicom_modality
from medseg.data.table_rows import OWN
from medseg.errors import InputError
from medseg.io.arrays import is_array_file
from medseg.types import LabelTable, Scan

UNSAFE = set('/\\:*?"<>|\0')
SPLITS = {"val": "validation", "valid": "validation", "dev": "validation", "training": "train", "testing": "test"}


class TableDataset(DatasetDescription):
    """What a dataset's YAML file may hold."""

    cases: str | list[dict[str, str | int | None]] = Field(description="rows, or the path of a CSV file that has them")


def build_dataset(
    given: DatasetDescription, rows: Sequence[Mapping[str, str]], source: Path, *, name: str, layout: str = "table"
) -> Dataset:
    """Make a dataset of rows; paths start from the folder of `source`, the table's own file.

    The columns `case`, `label`, `group`, `split`, `fold`, `annotated` and `cine_frame` mean what they say, those that
    `labels` names hold the mask of a class each, and all others are channels.
    """
    masks = given.columns
    columns = list(given.channels) if given.channels is not None else _channel_columns(rows, masks)
    in_one_file = len(columns) > 1 and bool(rows) and "image" in rows[0] and not set(columns) & set(rows[0])
    named = columns
    columns = ["image"] if in_one_file else columns
    if not columns:
        raise InputError("no column holds images", where=source, fix="Add a column for each channel.")
    for column in (*columns, *masks):
        if rows and not any(column in row for row in rows):
            known = ", ".join(f"'{key}'" for key in rows[0])
            raise InputError(f"there is no column '{column}'", where=source, fix=f"It has {known}.")
    if rows and given.table is None and not masks and not any(row.get("label") for row in rows):
        raise InputError(
            f"no column holds labels; it has {', '.join(rows[0])}",
            where=source,
            fix="Call the column of labels 'label', and one with the mask of a class 'label_' and the class.",
        )
    together = given.table.classes[0].value if given.table and len(given.table) == 1 else None
    mask_value = together if given.references == "classes" else None
    listed = [_case(number, row, columns, masks, source, mask_value) for number, row in enumerate(rows, start=1)]
    folds = [_fold(row.get("fold", ""), case.case_id, source) for case, row in zip(listed, rows, strict=True)]
    cases = with_folds(listed, folds)
    arrays = None if given.arrays is None else ArrayKeys(given.arrays.get("image"), given.arrays.get("label"))
    first = first_scan(cases, arrays)
    modalities = given.channels or {}
    channels = tuple(Channel(c, dicom_modality(modalities.get(c) or c)) for c in named)
    if first is not None and len(named) == 1 and first.channels > 1:
        several = COLORS if first.channels == len(COLORS) else tuple(f"{columns[0]} {k}" for k in range(first.channels))
        channels = tuple(Channel(channel, channels[0].modality) for channel in several)
    return Dataset(
        name=given.name or name,
        folder=source.parent,
        layout=layout,
        channels=channels,
        table=_table(given, [case for case in cases if case.reference is not None], arrays),
        cases=cases,
        dimensions=2 if first is not None and first.geometry.shape[2] == 1 else 3,
        license=given.license,
        description=given.description,
        ignore_label=given.ignore,
        references=given.references,
        values=given.values,
        structures={} if masks else given.structures,
        regions=given.regions,
        overlapping=given.overlapping,
        resample_channels=given.resample_channels,
        arrays=arrays,
        colors=given.color_map,
        annotated=given.annotated,
        ambiguous=_many_images(cases, first),
    )


def _many_images(cases: Sequence[DatasetCase], first: Scan | None) -> tuple[str, ...]:
    """Say of color images with slices that they may as well be many images, as no plain array tells which."""
    if first is None or first.channels != len(COLORS) or min(first.geometry.shape) == 1:
        return ()
    path, size = cases[0].images[0], " x ".join(map(str, first.geometry.shape))
    if not is_array_file(path):
        return ()
    return (f"arrays such as {path.name} are read as volumes in color of {size}; save many images as a file each",)


def _channel_columns(rows: Sequence[Mapping[str, str]], masks: Mapping[str, int]) -> list[str]:
    return [c for c in (rows[0] if rows else {}) if c not in OWN and c not in masks]


def _case(
    number: int,
    row: Mapping[str, str],
    columns: Sequence[str],
    masks: Mapping[str, int],
    source: Path,
    mask_value: int | None,
) -> DatasetCase:
    name = row.get("case", "").strip()
    if not name or UNSAFE & set(name) or name.startswith("."):
        raise InputError(
            f"row {number} has no name in column 'case' that a file could have"
            if name
            else f"row {number} has no case",
            where=source,
            fix="Give each case a short name of letters, digits, dashes.",
        )
    missing = [column for column in columns if not row.get(column, "").strip()]
    if missing:
        raise InputError(
            f"case '{name}' has nothing in column '{missing[0]}'", where=source, fix="Fill it in, or delete the row."
        )
    split = row.get("split", "").strip().lower() or None
    split = SPLITS.get(split or "", split)
    if split not in (None, "train", "validation", "test"):
        raise InputError(f"case '{name}' has split '{split}'", where=source, fix="Use train, validation or test.")
    parts = _parts(row, masks, source, mask_value)
    label = row.get("label", "").strip()
    reference = parts[0].path if parts else source.parent / label if label else None
    return DatasetCase(
        name,
        tuple(source.parent / row[column].strip() for column in columns),
        reference,
        row.get("group", "").strip() or None,
        split,  # type: ignore[arg-type]
        parts=parts,
        annotated=tuple(part.strip() for part in row.get("annotated", "").split(";") if part.strip()) or None,
        frame=_frame(row.get("cine_frame", ""), name, source),
    )


def _frame(cell: str, name: str, source: Path) -> int | None:
    if not cell.strip():
        return None
    if not cell.strip().isdecimal():
        raise InputError(f"case '{name}' has cine_frame '{cell}'", where=source, fix="Count frames from 1.")
    return int(cell)


def _fold(cell: str, name: str, source: Path) -> int | None:
    if not cell.strip():
        return None
    try:
        return int(float(cell))
    except ValueError as error:
        raise InputError(f"case '{name}' has fold '{cell}'", where=source, fix="Use whole numbers.") from error


def _parts(
    row: Mapping[str, str], masks: Mapping[str, int], source: Path, mask_value: int | None
) -> tuple[ReferencePart, ...]:
    """Files of a reference in several: of the classes that have a column, or all that a name with ``*`` stands for.

    - `mask_value`: of the one class that the latter are masks of, together; None where each is an object.
    """
    if masks:
        cells = {column: row.get(column, "").strip() for column in masks}
        return tuple(ReferencePart(source.parent / cell, masks[column]) for column, cell in cells.items() if cell)
    label = row.get("label", "").strip()
    if "*" not in label or (source.parent / label).exists():
        return ()
    files = [file for file in sorted(source.parent.glob(label)) if not file.name.startswith(".")]
    # Without one, the name itself stands for what is missing, which is a finding of the case.
    return tuple(ReferencePart(file, mask_value) for file in files)


def _table(given: DatasetDescription, labeled: Sequence[DatasetCase], arrays: ArrayKeys | None) -> LabelTable:
    if given.table is not None:
        return given.table
    if given.references == "instances":
        return class_table({1: OBJECT})
    if given.color_map:
        return LabelTable.unnamed(sorted(set(given.color_map.values()) - {0, given.ignore}))
    return table_of_references(labeled, given, arrays)
