"""Cases that a table lists, for prediction: a column for each channel, or one for the image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from medseg.config.load import build, read_yaml
from medseg.data.table_dataset import TableDataset
from medseg.data.table_rows import own_columns, read_rows
from medseg.engine.channel_names import normal
from medseg.engine.joined_case import joined
from medseg.errors import InputError
from medseg.io.files.case_id import safe
from medseg.io.files.patient_names import public_name
from medseg.io.files.walk import absolute
from medseg.types.channels import WantedChannel
from medseg.types.scan import Discovery, FoundScan, Skipped

OWN = ("case", "label", "group", "split", "fold", "annotated", "cine_frame")
MOST_NAMED = 6
Row = tuple[str, tuple[Path, ...]]


def is_table(path: Path) -> bool:
    """Whether an input is a table: a CSV or YAML file."""
    return path.suffix.lower() in (".csv", ".tsv", ".yaml", ".yml") and path.is_file()


def table_rows(path: Path, channels: Sequence[WantedChannel]) -> list[Row]:
    """Case and files of each row, a file for each channel.

    Raises `InputError` where no column is called as a channel is.
    """
    if path.suffix.lower() in (".csv", ".tsv"):
        rows, source = read_rows(path), path
    else:
        table = build(TableDataset, read_yaml(path), where=path)
        listed = table.cases
        source = path.parent / listed if isinstance(listed, str) else path
        rows = (
            read_rows(source)
            if isinstance(listed, str)
            else [{k: "" if v is None else str(v) for k, v in row.items()} for row in listed]
        )
    rows = own_columns(rows, source.parent)
    columns = [column for column in (rows[0] if rows else {}) if column not in OWN]
    wanted = channels or (WantedChannel("image"),)
    taken = [next((c for c in columns if normal(c) == normal(channel.name)), None) for channel in wanted]
    if len(wanted) == 1 and taken == [None] and len(columns) == 1:
        taken = [columns[0]]
    if None in taken:
        names = ", ".join(channel.name for channel, column in zip(wanted, taken, strict=True) if column is None)
        raise InputError(
            f"there is no column for the channel {names}", where=path, fix=f"Its columns are {', '.join(columns)}."
        )
    return [
        (row["case"], tuple(source.parent / row[column] for column in taken if column is not None and row[column]))
        for row in rows
    ]


def table_cases(
    rows: Sequence[Row], discovery: Discovery, channels: Sequence[WantedChannel], *, where: str, keep_names: bool
) -> tuple[list[FoundScan], list[Skipped]]:
    """Cases of the rows, of scans that were found at their paths; a row whose scan is missing or unclear fails.

    Raises `InputError` where rows would have one case id, so that one's results would take the place of another's.
    """
    wanted = channels or (WantedChannel("image"),)
    ids = [safe(name if keep_names else public_name(name)) for name, _ in rows]
    _check_ids(ids, [name for name, _ in rows], where)
    found: list[FoundScan] = []
    skipped: list[Skipped] = []
    for case_id, (name, paths) in zip(ids, rows, strict=True):
        at = [_scans_at(path, discovery.found) for path in paths]
        wrong = next((path for path, scans in zip(paths, at, strict=True) if len(scans) != 1), None)
        if wrong is None and len(at) == len(wanted):
            scans = [one[0] for one in at]
            case = joined(case_id, scans, wanted, "the table") if len(scans) > 1 else replace(scans[0], case_id=case_id)
            found.append(case)
            continue
        what = "the row lacks a channel" if wrong is None else "there is not exactly one scan at the path in its row"
        place = wrong or (paths[0] if paths else Path(name))
        skipped.append(Skipped(place, what, "Correct the table.", True, case_id, case_id))
    return found, skipped


def _check_ids(ids: Sequence[str], names: Sequence[str], where: str) -> None:
    """Refuse rows that share a case id, also where letter case is ignored."""
    rows: dict[str, list[int]] = defaultdict(list)
    for number, case_id in enumerate(ids):
        rows[case_id.lower()].append(number)
    shared = next((numbers for numbers in rows.values() if len(numbers) > 1), None)
    if shared is None:
        return
    listed = ", ".join(str(number + 1) for number in shared[:MOST_NAMED]) + (" ..." if len(shared) > MOST_NAMED else "")
    first = ids[shared[0]]
    same = len({names[number] for number in shared}) == 1
    what = f"two cases are called '{first}'" if same else f"the names of several cases become '{first}'"
    raise InputError(
        f"{what}: rows {listed}, counted without the header", where=where, fix="Give each case its own name."
    )


def _scans_at(path: Path, scans: Sequence[FoundScan]) -> list[FoundScan]:
    place = Path(absolute(path))
    return [scan for scan in scans if Path(absolute(scan.files[0])).is_relative_to(place)]
