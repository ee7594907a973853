"""Reads the table of cases a user may give: which files belong together, whose they are, what groups they are in."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medseg.errors import InputError, UsageError, first_line
from medseg.io.files.csv_table import columns_and_rows

KNOWN = ("case_id", "prediction", "reference", "patient")
# More kinds than this is a measurement or an identifier, not a group.
MOST_KINDS = 12


@dataclass(frozen=True)
class CaseRow:
    """What the table says of one case."""

    case_id: str
    prediction: str = ""  # path as written; empty where the table has none
    reference: str = ""
    patient: str = ""  # the case's own id where the table does not name one
    groups: dict[str, str] = field(default_factory=dict)  # value of each group column, such as {"site": "Leiden"}


@dataclass(frozen=True)
class CaseTable:
    """The table."""

    rows: dict[str, CaseRow]  # by case id
    groups: tuple[str, ...]
    skipped: tuple[str, ...]  # columns that are no groups: their values are all alike or too many
    folder: Path  # what relative paths in it may be relative to


def read_table(path: Path, by: Sequence[str] = ()) -> CaseTable:
    """Read a CSV or TSV table with a column ``case_id``.

    Columns ``prediction`` and ``reference`` name files, ``patient`` says which cases are one patient's; every other
    column may be a group: those named `by`, else all that have two to twelve different values.
    """
    if not path.exists():
        raise UsageError("there is no such table", where=path, fix="Check the path.")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        columns, cells = columns_and_rows(lines, _dialect(lines[0] if lines else ""))
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot be read as a table ({first_line(error)})", where=path, fix="Save it as CSV in UTF-8."
        ) from error
    columns = [name.strip() for name in columns]
    if "case_id" not in columns:
        raise InputError("has no column case_id", where=path, fix=f"Add it; there are {_first(columns)}.")
    records = [{key.strip(): value.strip() for key, value in row.items()} for row in cells]
    if unknown := [name for name in by if name not in columns]:
        raise UsageError(f"the table has no column '{unknown[0]}'", where=path, fix=f"It has {_first(columns)}.")
    kinds = {name: len({record[name] for record in records}) for name in columns if name not in KNOWN}
    groups = tuple(by) or tuple(name for name, count in kinds.items() if 2 <= count <= MOST_KINDS)
    rows: dict[str, CaseRow] = {}
    for record in records:
        case_id = record["case_id"]
        if not case_id:
            continue
        if case_id in rows:
            raise InputError(f"names case '{case_id}' twice", where=path, fix="Keep one row for each case.")
        rows[case_id] = CaseRow(
            case_id,
            record.get("prediction", ""),
            record.get("reference", ""),
            record.get("patient", "") or case_id,
            {name: record[name] for name in groups},
        )
    if not rows:
        raise InputError("names no case", where=path, fix="Give each case a row with its case_id.")
    return CaseTable(rows, groups, tuple(name for name in kinds if name not in groups), path.parent)


def _first(columns: Sequence[str], most: int = 20) -> str:
    return (", ".join(columns[:most]) or "none") + (f" and {len(columns) - most} more" if len(columns) > most else "")


def _dialect(header: str) -> type[csv.Dialect]:
    class Dialect(csv.excel):
        delimiter = next((mark for mark in ("\t", ";") if mark in header), ",")

    return Dialect
