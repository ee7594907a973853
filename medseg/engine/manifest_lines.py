"""The lines of a manifest's file, whatever spreadsheet saved it: a header that names columns, and rows of cells."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from medseg.counted import counted
from medseg.engine.manifest_table import COLUMNS, NEEDED
from medseg.errors import UsageError, first_line

DELIMITERS = ",;\t"
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # .xlsx and .ods, .xls
LONGEST_CELL = 1 << 24  # of a series of some hundred thousand files
NEARLY = 0.85  # how like a column's name another one is that is meant as it
# Key of a line that has not as many cells as the header: what is wrong.
WRONG = "\0"

Line = tuple[int, Mapping[str, str]]  # number in the file, and cells by column


@contextmanager
def _long_cells() -> Iterator[None]:
    before = csv.field_size_limit(LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def lines_of(manifest: Path) -> Iterator[Line]:
    """Rows with the numbers of their lines; what a spreadsheet made of the table is read too.

    Raises `UsageError` where the file is no such table.
    """
    try:
        encoding = _encoding(manifest)
        with manifest.open(encoding=encoding, newline="", errors="surrogateescape") as stream, _long_cells():
            header = stream.readline()
            # Excel asks for this line above the header, and keeps it.
            separator = re.fullmatch(r'"?sep=(.)"?\s*', header, re.IGNORECASE)
            if separator is None:
                stream.seek(0)
            delimiter = max(DELIMITERS, key=header.count) if separator is None else separator[1]
            reader = csv.DictReader(stream, delimiter=delimiter, strict=True)
            reader.fieldnames = _columns(reader.fieldnames or (), manifest)
            for row in reader:
                more = row.pop(None, None) or []
                cells = {name: text.strip() for name, text in row.items() if isinstance(text, str)}
                if not any(cells.values()) and not any(more):
                    continue
                count = sum(text is not None for text in row.values()) + (len(more) if any(more) else 0)
                if count != len(row):
                    cells[WRONG] = f"it has {counted(count, 'cell')}, and the header {len(row)}"
                yield reader.line_num + (separator is not None), cells
    except (OSError, csv.Error, ValueError) as error:
        raise UsageError(
            f"cannot be read as a manifest ({first_line(error)})", where=manifest, fix="Make it again."
        ) from error


def _encoding(manifest: Path) -> str:
    """The encoding of a table: of Excel's "Unicode text" UTF-16, else UTF-8."""
    with manifest.open("rb") as stream:
        start = stream.read(4096)
    if start.startswith(WORKBOOKS):
        raise UsageError("it is a spreadsheet's workbook", where=manifest, fix="Save it as CSV from the spreadsheet.")
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if not start.strip() or b"\0" in start:
        what = "it is empty" if not start.strip() else "it is no table of text"
        raise UsageError(what, where=manifest, fix="Make it with `medseg inspect SCANS --manifest`.")
    return "utf-8-sig"


def _columns(header: Sequence[str], manifest: Path) -> list[str]:
    """Names of the columns as medseg writes them; whoever edits a table capitalizes them."""
    columns = [name.strip().lower().replace(" ", "_") for name in header]
    missing = [name for name in NEEDED if name not in columns]
    twice = [name for name in COLUMNS if columns.count(name) > 1]
    if missing or twice:
        what = f"no column {' and '.join(missing)}" if missing else f"several columns {' and '.join(twice)}"
        fix = "Name each column once in the first line, or make it with `medseg inspect SCANS --manifest`."
        raise UsageError(f"the manifest has {what}", where=manifest, fix=fix)
    for name in columns:
        meant = get_close_matches(name, [one for one in COLUMNS if one not in columns], 1, NEARLY)
        if meant and name not in COLUMNS:
            fix = f"Did you mean '{meant[0]}'? Rename it, or remove it."
            raise UsageError(f"the manifest's column '{name}' is unknown", where=manifest, fix=fix)
    return columns
