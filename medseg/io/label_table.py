"""The table of classes beside a label map of a format that has no names: tab-separated, as BIDS writes its own.

BIDS calls such a table ``dseg.tsv``: a row for each value, columns ``index`` and ``name``, and ``color`` as ``#rrggbb``
(bids-specification.readthedocs.io, derivatives, image-derived data, "common image-derived labels").
"""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

from medseg.errors import InputError, first_line
from medseg.harmless import TableWriter, name_from_cell
from medseg.io.files.atomic import write_text
from medseg.io.files.case_id import SUFFIXES, stem
from medseg.io.files.csv_table import table_rows
from medseg.types.labels import PALETTE, LabelClass, LabelMap, LabelTable
from medseg.types.overlapping import AnyLabels

COLUMNS = ("index", "name", "color")
# What a table for every label map of a folder is called: by medseg, and by BIDS, which lets it stand a folder higher.
OURS, BIDS = "labels.tsv", "dseg.tsv"
COLOR = re.compile(r"#[0-9a-fA-F]{6}")


def table_path(labels: Path) -> Path:
    """Path of the table that belongs to one label file: ``labels.nii.gz`` has ``labels.tsv``."""
    return labels.with_name(f"{stem(labels.name)}.tsv")


def write_table(table: LabelTable, path: Path) -> None:
    """Write a table of classes, whole or not at all."""
    text = io.StringIO()
    writer = TableWriter(text, delimiter="\t")
    writer.writerow(COLUMNS)
    writer.writerows((c.value, c.name, "#{:02x}{:02x}{:02x}".format(*c.color)) for c in table)
    write_text(path, text.getvalue())


def find_table(labels: Path) -> Path | None:
    """Find the table of a label file; None without one.

    The nearest wins: the table of its own name; ``labels.tsv`` of its folder, unless a label file called ``labels`` is
    there, whose own table that is; ``dseg.tsv`` of its folder, or of the one above, as BIDS has tables inherited.
    """
    folder = labels.parent
    places = [table_path(labels)]
    if not any((folder / OURS).with_suffix(suffix).is_file() for suffix in SUFFIXES):
        places.append(folder / OURS)
    places += [folder / BIDS, folder.parent / BIDS]
    return next((path for path in places if path.is_file() and _is_table(path)), None)


def read_table(path: Path) -> LabelTable:
    """Read a table of classes; rows of value 0 are the background and skipped."""
    classes: dict[int, LabelClass] = {}
    for number, row in enumerate(_rows(path), start=2):
        value, name, color = (str(row.get(column) or "").strip() for column in COLUMNS)
        if not value.isdecimal() or int(value) > 65535 or not name or (color and not COLOR.fullmatch(color)):
            raise InputError(
                f"line {number} is not a class",
                where=path,
                fix="Give each a whole number under index, a name, and under color nothing or #rrggbb.",
            )
        if int(value) in classes:
            raise InputError(f"value {value} comes twice", where=path, fix="Give each value one line.")
        if int(value):
            red, green, blue = bytes.fromhex(color[1:]) if color else PALETTE[(int(value) - 1) % len(PALETTE)]
            classes[int(value)] = LabelClass(int(value), name_from_cell(name), color=(red, green, blue))
    return LabelTable(tuple(classes.values()))


def with_table_beside(labels: LabelMap, path: Path) -> LabelMap:
    """Give a label map just read the names from the table beside its file; one without a table stays as it is.

    Values the table does not have keep the name they had, and classes of the table that do not occur are kept, so that
    an absent class is known to be absent.
    """
    found = find_table(path)
    return labels if found is None else replace(labels, table=_together(labels.table, read_table(found)))


def any_with_table_beside(labels: AnyLabels, path: Path) -> AnyLabels:
    """Give labels of either kind the names from the table beside their file, as `with_table_beside` does.

    Of a file with one channel a class, the channels are the table's rows in order.
    """
    if isinstance(labels, LabelMap):
        return with_table_beside(labels, path)
    found = find_table(path)
    if found is None:
        return labels
    table = read_table(found)
    if len(table) != len(labels.table):
        raise InputError(
            f"its table of classes has {len(table)} rows, and the labels have {len(labels.table)} channels",
            where=found,
            fix="Give each channel a row, in the order of the channels.",
        )
    value_of = {own.value: named.value for own, named in zip(labels.table, table, strict=True)}
    return labels.with_classes(table, value_of)


def _together(present: LabelTable, known: LabelTable) -> LabelTable:
    """Both tables; what the second says of a value counts."""
    classes = {entry.value: entry for table in (present, known) for entry in table}
    return LabelTable(tuple(classes.values()))


def _is_table(path: Path) -> bool:
    """Whether a file has the two columns; a table of something else is none of ours."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            header = stream.readline(4096).rstrip("\r\n").split("\t")
    except (OSError, UnicodeDecodeError):
        return False
    return {"index", "name"} <= set(header)


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return table_rows(stream, "excel-tab")
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot be read as a table of classes ({first_line(error)})",
            where=path,
            fix="Write tab-separated text with the columns index, name and color.",
        ) from error
