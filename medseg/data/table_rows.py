"""Reads the rows of a table of cases, however its columns are spelled and its cells separated."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from medseg.data.file_units import SUFFIXES
from medseg.data.modality import dicom_modality
from medseg.errors import InputError, first_line
from medseg.io.files.case_id import stem

OWN = ("case", "label", "group", "split", "fold", "annotated", "cine_frame")
CASE = {"case", "caseid", "id", "casename", "name", "scanid", "imageid", "uid", "fall", "fallid"}
IMAGE = {
    "image",
    "images",
    "img",
    "scan",
    "volume",
    "channel0",
    "input",
    "bild",
    "path",
    "file",
    "filename",
    "filepath",
}
LABEL = {
    "label", "labels", "mask", "masks", "segmentation", "seg", "gt", "groundtruth", "annotation", "target", "reference",
    "labelmap", "maske",
}  # fmt: skip
GROUP = {
    "group", "patient", "patientid", "subject", "subjectid", "subjectname", "participant", "participantid", "sub",
    "pid", "patid", "pat", "patnr", "patno", "patientnr", "patientno", "patientnumber", "patientname", "mrn",
}  # fmt: skip
# What may stand behind the word for image or label: `image_filepath`, `mask_uri`.
OF_FILES = re.compile(r"(?<=.)(filepath|filename|file|path|name|uri)$")
SPLIT = {"split", "set", "subset", "partition", "datasetsplit", "phase"}
KNOWN = {"case": CASE, "label": LABEL, "group": GROUP, "split": SPLIT, "image": IMAGE, "fold": {"fold", "foldid"}}
# Says of each row whether it is a test case, where no column names the part of the split.
IS_TEST = {"istest", "test"}
OF_TEST = {"1": "test", "true": "test", "yes": "test", "0": "train", "false": "train", "no": "train", "": ""}
# Before and after the name of a class in a column that holds masks of that class alone.
OF_CLASS = re.compile(r"(?:label|mask|seg|segmentation|gt|roi)[ _\-.]+(?P<name>.+)", re.IGNORECASE)
ENDS_OF_CLASS = re.compile(
    r"(?P<name>.+?)[ _\-.]+(?:label|mask|seg|segmentation|gt|roi)(?:[ _\-.]?(?:path|file))?", re.IGNORECASE
)
DELIMITERS = ",;\t|"
# What pandas, R and SQL write into a cell without a value.
MISSING = {"nan", "none", "null", "<na>", "n/a", "#n/a"}


def read_rows(file: Path) -> list[dict[str, str]]:
    """Read a CSV file with commas, semicolons, tabs or bars, with or without BOM; what is empty does not count.

    Raises `InputError` naming the row that has more or fewer cells than the header.
    """
    try:
        text = _decoded(file.read_bytes())
    except OSError as error:
        raise InputError(
            f"cannot be read as CSV ({first_line(error)})", where=file, fix="Check that the file can be read."
        ) from error
    lines = text.splitlines()
    while lines and (lines[0].startswith("#") or re.fullmatch(r"sep=.", lines[0].strip(), re.IGNORECASE)):
        del lines[0]  # a comment, or what tells Excel the delimiter
    header = next((line for line in lines if line.strip(DELIMITERS + " ")), "")
    delimiter = max(DELIMITERS, key=lambda mark: (header.count(mark), -DELIMITERS.index(mark)))
    try:
        cells = [[_value(cell) for cell in row] for row in csv.reader(lines, delimiter=delimiter, strict=True)]
    except csv.Error as error:
        raise InputError(
            f"cannot be read as CSV ({first_line(error)})", where=file, fix="Save it again as CSV."
        ) from error
    filled = [row for row in cells if any(row)]
    if len(filled) < 2:
        raise InputError("it has no rows", where=file, fix="Write a header, and a row for each case.")
    columns = _without_empty_end(filled[0])
    if any(cell.lower().endswith(SUFFIXES) for cell in columns):
        raise InputError(
            "its first row names files, not columns",
            where=file,
            fix="Write a header above it, such as case, image, label.",
        )
    rows = []
    for number, row in enumerate(filled[1:], start=1):
        if len(row) < len(columns) or any(row[len(columns) :]):
            raise InputError(
                f"row {number} has more or fewer cells than the header",
                where=file,
                fix="Give it one cell for each column, with quotes around a cell that holds the delimiter.",
            )
        rows.append(dict(zip(columns, row, strict=False)))
    return rows


def own_columns(rows: Sequence[Mapping[str, str]], folder: Path, kept: Sequence[str] = ()) -> list[dict[str, str]]:
    """Rows with medseg's own names for the columns it knows, a case name in each, and only columns of files besides.

    - `kept`: columns that a description names, whatever they are called.
    """
    if not rows:
        return []
    names = _names(list(rows[0]), kept)
    found = [{names.get(column, column): value for column, value in row.items()} for row in rows]
    if "split" not in found[0]:
        _split_by_test(found, kept)
    own = (*OWN, *kept)
    others = [c for c in found[0] if c not in own]
    files = [c for c in others if c == "image" or _holds_files(c, found, folder)] or others
    result = [
        {c: _path(v) if c in (*files, "label") else v for c, v in row.items() if c in (*own, *files)} for row in found
    ]
    if "case" not in names.values() and "case" not in result[0]:
        _name_cases(result, files)
    return result


def mask_columns(rows: Sequence[Mapping[str, str]], kept: Sequence[str] = ()) -> dict[str, str]:
    """Columns that hold the mask of one class each, and the class's name; none where a column holds whole labels.

    Those whose names say so, and beside a column of images, those whose name is no modality.
    """
    if not rows or any(row.get("label") for row in rows):
        return {}
    columns = [c for c in rows[0] if c not in (*OWN, *kept)]
    named = {c: m["name"] for c in columns if (m := OF_CLASS.fullmatch(c) or ENDS_OF_CLASS.fullmatch(c))}
    if named:
        return named
    if "image" not in columns and not any(dicom_modality(c) for c in columns):
        return {}
    return {c: c for c in columns if c != "image" and dicom_modality(c) is None}


def _value(cell: str) -> str:
    cell = cell.strip()
    return "" if cell.lower() in MISSING else cell


def _decoded(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")  # what spreadsheets on Windows save


def _without_empty_end(cells: Sequence[str]) -> list[str]:
    last = max(n for n, cell in enumerate(cells) if cell)
    return list(cells[: last + 1])


def _names(columns: Sequence[str], kept: Sequence[str]) -> dict[str, str]:
    """What each known column is called by medseg; the first of several that mean the same."""
    names: dict[str, str] = {}
    for own, known in (
        ("case", CASE),
        ("label", LABEL),
        ("group", GROUP),
        ("split", SPLIT),
        ("image", IMAGE),
        ("fold", {"fold"}),
    ):
        exact = [c for c in columns if c == own]
        spelled = [c for c in columns if _plain(c) & known and c not in kept]
        if own in ("image", "label"):  # as it is written first: the folder `path` beside the file `image_path`
            spelled.sort(key=lambda c: _plain(c) <= {"path", "file", "filename", "filepath"})
        for column in (*exact, *spelled)[:1]:
            if own == "image" and _numbered_channels(columns):
                continue  # GaNDLF's Channel_0, Channel_1 keep their names
            names[column] = own
    return names


def _plain(column: str) -> set[str]:
    """A column's name in small letters and digits, also without a word for files at its end."""
    plain = re.sub(r"[^a-z0-9]", "", column.lower())
    return {plain, OF_FILES.sub("", plain)}


def _numbered_channels(columns: Sequence[str]) -> bool:
    return sum(re.fullmatch(r"channel[ _]?\d+", c, re.IGNORECASE) is not None for c in columns) > 1


def _holds_files(column: str, rows: Sequence[Mapping[str, str]], folder: Path) -> bool:
    """Whether a column's cells are paths: by their endings, or because they are there."""
    cells = [row.get(column, "") for row in rows if row.get(column, "")]
    return any(
        cell.lower().endswith((*SUFFIXES, ".dcm")) or ("/" in _path(cell)) or names_file(folder, cell)
        for cell in cells[:20]
    )


def names_file(folder: Path, cell: str) -> bool:
    """Whether a cell is the path of what exists; a sentence longer than a file's name may be is none."""
    return os.path.exists(folder / cell)  # noqa: PTH110 - that of `Path` raises of such names


def _split_by_test(rows: list[dict[str, str]], kept: Sequence[str]) -> None:
    """Turn a column that says 0 or 1, true or false of whether a row is a test case into one of the split."""
    for column in [c for c in rows[0] if c not in kept and _plain(c) & IS_TEST]:
        parts = [OF_TEST.get(row.get(column, "").lower().removesuffix(".0")) for row in rows]
        if "test" in parts and None not in parts:
            for row, part in zip(rows, parts, strict=True):
                del row[column]
                row["split"] = part or ""
            return


def _path(cell: str) -> str:
    return cell.replace("\\", "/")


def _name_cases(rows: list[dict[str, str]], files: Sequence[str]) -> None:
    """Name cases after their group where each has one of its own, otherwise after their first file or its folder."""
    groups = [row.get("group", "") for row in rows]
    if all(groups) and len(set(groups)) == len(groups):
        names = groups
    else:
        paths = [Path(next((row[c] for c in files if row.get(c)), "")) for row in rows]
        names = [stem(path.name) for path in paths]
        if Counter(names).most_common(1)[0][1] > 1:
            names = [path.parent.name for path in paths]
        if Counter(names).most_common(1)[0][1] > 1 or not all(names):
            names = [f"case-{number}" for number in range(1, len(rows) + 1)]
    for row, name in zip(rows, names, strict=True):
        row["case"] = name
