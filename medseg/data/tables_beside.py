"""Tables that lie in a dataset's folder: lists of its cases, or what is known of cases that were found by names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.table_dataset import SPLITS
from medseg.data.table_rows import OWN, mask_columns, names_file, own_columns, read_rows
from medseg.errors import InputError
from medseg.io.files.case_id import stem

ENDINGS = (".csv", ".tsv")
Rows = Sequence[Mapping[str, str]]


def lists_of_cases(folder: Path) -> list[Path]:
    """Tables of a folder whose rows name images and labels that exist, from the table's folder."""
    return [file for file, rows in _tables(folder) if _lists_files(rows, file.parent)]


def with_tables_beside(data: Dataset) -> Dataset:
    """The dataset with patients and parts of the split as a table of its folder states them, where it has none itself.

    A table of some of the cases only, or one that contradicts itself, is said not to be read.
    """
    unread: list[str] = []
    for file, _ in _tables(data.folder):
        raw = read_rows(file)
        rows = own_columns(raw, data.folder)
        stated = [key for key in ("group", "split") if any(row.get(key) for row in rows)]
        stated = [key for key in stated if all(getattr(case, key) is None for case in data.cases)]
        if "split" in stated and not {row["split"].lower() for row in rows} <= {"", *SPLITS, *SPLITS.values()}:
            stated.remove("split")  # a phase, or a set of another kind
        if not stated:
            continue
        columns = " and ".join({"group": "patients", "split": "parts of the split"}[key] for key in stated)
        found = _rows_of_cases(data.labeled, raw)
        if found is None:
            unread.append(
                f"{file.name} states {columns}, and is not read, as its rows do not name each case once; write them "
                "into the table of `medseg audit --describe`"
            )
            continue
        known = {case.case_id: rows[number] for case, number in zip(data.labeled, found, strict=True)}
        cases = [_stated(case, known.get(case.case_id, {}), stated) for case in data.cases]
        data = replace(data, cases=tuple(cases), read_as=(*data.read_as, f"{columns}: from {file.name}"))
    return replace(data, ambiguous=(*data.ambiguous, *unread))


def _tables(folder: Path) -> list[tuple[Path, Rows]]:
    """Tables of a folder that can be read, with medseg's own names for the columns it knows."""
    found: list[tuple[Path, Rows]] = []
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if file.suffix.lower() not in ENDINGS or file.name.startswith("."):
            continue
        try:
            found.append((file, own_columns(read_rows(file), folder)))
        except InputError:
            continue  # a table of something else
    return found


def _lists_files(rows: Rows, folder: Path) -> bool:
    row = next((row for row in rows if row.get("label")), rows[0])
    files = [cell for column, cell in row.items() if cell and (column == "label" or column not in OWN)]
    drawn = bool(row.get("label")) or bool(mask_columns(rows))
    return drawn and len(files) > 1 and all("*" in cell or names_file(folder, cell) for cell in files)


def _rows_of_cases(cases: Sequence[DatasetCase], rows: Rows) -> list[int] | None:
    """The row of each case, by a column that names every one of them once; None where no column does."""
    for column in rows[0]:
        places: dict[str, list[int]] = {}
        for number, row in enumerate(rows):
            places.setdefault(stem(Path(row[column].replace("\\", "/")).name).lower(), []).append(number)
        found = [next((places[name] for name in _names(case) if name in places), []) for case in cases]
        if found and all(len(numbers) == 1 for numbers in found) and len({n for (n,) in found}) == len(found):
            return [number for (number,) in found]
    return None


def _names(case: DatasetCase) -> list[str]:
    """What a table may call a case: its name, its image's, or its folder's."""
    return [name.lower() for name in (case.case_id, stem(case.images[0].name), case.images[0].parent.name)]


def _stated(case: DatasetCase, row: Mapping[str, str], keys: Sequence[str]) -> DatasetCase:
    group = row.get("group") or case.group if "group" in keys else case.group
    part = row.get("split", "").lower() if "split" in keys else ""
    return replace(case, group=group, split=SPLITS.get(part, part) or case.split)  # type: ignore[arg-type]
