"""A table of cases: a CSV file, or YAML that also names channels and classes.

The columns `case`, `label`, `group` and `split` are medseg's own; every other column is a channel and holds the path
of a file or of a DICOM series folder. Paths start from the table's folder.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field

from medseg.config.load import build, read_yaml
from medseg.data.dataset import Channel, Dataset, DatasetCase
from medseg.data.description import DatasetDescription
from medseg.data.layout_msd import class_table
from medseg.data.layout_pairs import OBJECT, table_of_references
from medseg.data.modality import dicom_modality
from medseg.errors import InputError, first_line
from medseg.io.read import load_scan
from medseg.types import LabelTable

FILES = ("dataset.yaml", "dataset.yml", "dataset.csv")
OWN_COLUMNS = ("case", "label", "group", "split")
UNSAFE = set('/\\:*?"<>|\0')


class TableDataset(DatasetDescription):
    """What a dataset's YAML file may hold."""

    cases: str | list[dict[str, str | int | None]] = Field(description="rows, or the path of a CSV file that has them")


def recognize(path: Path) -> bool:
    """Whether it is a CSV or YAML file, or a folder with a `dataset.csv` or `dataset.yaml`."""
    return _file(path) is not None


def read(path: Path) -> Dataset:
    """Read a dataset from its table."""
    file = _file(path)
    assert file is not None
    if file.suffix.lower() == ".csv":
        given = TableDataset(cases=file.name)
    else:
        given = build(TableDataset, read_yaml(file), where=file)
    rows, source = _rows(given, file)
    columns = list(given.channels) if given.channels is not None else _channel_columns(rows)
    if not columns:
        raise InputError("no column holds images", where=source, fix="Add a column for each channel.")
    cases = tuple(_case(number, row, columns, source) for number, row in enumerate(rows, start=1))
    labeled = [case for case in cases if case.reference is not None]
    first = load_scan(cases[0].images[0]) if cases else None
    modalities = given.channels or {}
    channels = tuple(Channel(c, dicom_modality(modalities.get(c) or c)) for c in columns)
    if first is not None and len(columns) == 1 and first.channels > 1:
        channels = tuple(Channel(f"{columns[0]} {k}", channels[0].modality) for k in range(first.channels))
    return Dataset(
        name=given.name or (file.stem if file.name not in FILES else file.parent.resolve().name),
        folder=file.parent,
        layout="table",
        channels=channels,
        table=_table(given, labeled),
        cases=cases,
        dimensions=2 if first is not None and first.geometry.shape[2] == 1 else 3,
        license=given.license,
        description=given.description,
        ignore_label=given.ignore,
        references=given.references,
        values=given.values,
        structures=given.structures,
        regions=given.regions,
        resample_channels=given.resample_channels,
    )


def _file(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix.lower() in (".csv", ".yaml", ".yml") else None
    return next((path / name for name in FILES if (path / name).is_file()), None)


def _rows(given: TableDataset, file: Path) -> tuple[list[dict[str, str]], Path]:
    if not isinstance(given.cases, str):
        return [{k: "" if v is None else str(v) for k, v in row.items()} for row in given.cases], file
    source = file.parent / given.cases
    try:
        with source.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, strict=True)
            rows = [dict(row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot be read as CSV ({first_line(error)})", where=source) from error
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise InputError(f"row {number} has more or fewer cells than the header", where=source)
    return rows, source


def _channel_columns(rows: Sequence[Mapping[str, str]]) -> list[str]:
    return [column for column in (rows[0] if rows else {}) if column not in OWN_COLUMNS]


def _case(number: int, row: Mapping[str, str], columns: Sequence[str], source: Path) -> DatasetCase:
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
        raise InputError(f"case '{name}' has nothing in column '{missing[0]}'", where=source)
    split = row.get("split", "").strip().lower() or None
    split = {"val": "validation", "valid": "validation", "training": "train"}.get(split or "", split)
    if split not in (None, "train", "validation", "test"):
        raise InputError(f"case '{name}' has split '{split}'", where=source, fix="Use train, validation or test.")
    label = row.get("label", "").strip()
    return DatasetCase(
        name,
        tuple(source.parent / row[column].strip() for column in columns),
        source.parent / label if label else None,
        row.get("group", "").strip() or None,
        split,  # type: ignore[arg-type]
    )


def _table(given: TableDataset, labeled: Sequence[DatasetCase]) -> LabelTable:
    if given.table is not None:
        return given.table
    return class_table({1: OBJECT}) if given.references == "instances" else table_of_references(labeled, given)
