"""Reads the cases that a manifest lists, and looks at nothing else: no folder is searched, no file opened."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from medseg.engine.channel_names import normal
from medseg.engine.joined_case import joined
from medseg.engine.manifest_table import COLUMNS, CORRECT, NEEDED, located, scan_of, verdict_of
from medseg.engine.shard import hash_of_list
from medseg.errors import InputError, UsageError, first_line
from medseg.harmless import from_cell, name_from_cell
from medseg.io.files.addresses import check_address, local_path, scheme_of
from medseg.io.files.case_id import safe
from medseg.io.files.patient_names import NAMED_NUMBER, public_name
from medseg.io.files.walk import absolute
from medseg.types.channels import WantedChannel
from medseg.types.scan import Discovery, FoundScan, Skipped

DELIMITERS = ",;\t"
COPY_AGAIN = "Copy or export it again, and make the manifest again with `medseg inspect --manifest`."
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # .xlsx and .ods, .xls
LONGEST_CELL = 1 << 24  # of a series of some hundred thousand files
# Case ids that medseg makes of hashes, some of which have no letter and look like a patient's number.
OWN_ID = re.compile(r"[a-z][a-z0-9]{0,7}-[0-9a-f]{10}")

Line = tuple[int, Mapping[str, str]]  # number in the file, and cells by column


def read_manifest(
    manifest: Path,
    root: str | Path | None = None,
    *,
    channels: Sequence[WantedChannel] = (),
    part: tuple[int, int] = (1, 1),
    keep_names: bool = False,
) -> Discovery:
    """Return the cases of a manifest, in its order; a row that cannot be is a corrupt file, and costs no other.

    Parameters
    ----------
    manifest : Path
        Table with a row for each scan, or for each channel of a case; `case_id` and `path` are enough.
    root : str or Path, optional
        Folder or address that its paths are relative to; without it, the folder it lies in.
    channels : sequence of WantedChannel
        Of a model that takes several scans of a case together; rows name theirs in `channel`.
    part : tuple of int
        Number k of n: only every n-th case from the k-th is read.
    keep_names : bool
        Take case ids that look like a patient's name as they are.

    Raises
    ------
    UsageError
        When the file cannot be read as a manifest at all.
    """
    place = root_of(manifest, root)
    index, count = part
    cases: dict[str, list[Line]] = {}
    numbers: dict[str, int] = {}
    for number, row in _rows(manifest):
        key = from_cell(row["case_id"]).casefold()
        turn = numbers.setdefault(key, len(numbers))
        if turn % count == index - 1:
            cases.setdefault(key, []).append((number, row))
    found: list[FoundScan] = []
    skipped: list[Skipped] = []
    for lines in cases.values():
        try:
            found += _scans(lines, place, channels, keep_names)
        except _Corrupt as error:
            skipped.append(error.skipped)
        except InputError as error:
            at = f"line {lines[0][0]} of {manifest.name}"
            skipped.append(_failed(lines[0][1], at, error.what, error.fix, keep_names))
    if count == 1:
        return Discovery(tuple(found), tuple(skipped))
    return Discovery(tuple(found), tuple(skipped), len(numbers) - len(cases), hash_of_list(numbers))


def has_channels(manifest: Path) -> bool:
    """Whether any row says of which channel it is; without, scans are brought together by their names."""
    return any(row.get("channel") for _, row in _rows(manifest))


def root_of(manifest: Path, root: str | Path | None) -> str:
    """Return the folder or address that paths of a manifest are relative to."""
    if root is None:
        return absolute(manifest.parent)
    scheme = scheme_of(str(root))
    if scheme is None:
        return absolute(Path(root))
    if scheme == "file":
        return absolute(local_path(str(root)))
    return check_address(str(root))


class _Corrupt(Exception):
    """A row that the inspection found corrupt."""

    def __init__(self, skipped: Skipped) -> None:
        self.skipped = skipped


def _scans(lines: Sequence[Line], root: str, channels: Sequence[WantedChannel], keep_names: bool) -> list[FoundScan]:
    """The case of some rows: one scan, or one for each channel."""
    number, first = lines[0]
    case_id = _case_id(first, keep_names)
    for _, row in lines:
        if verdict_of(row) == "corrupt":
            reason = from_cell(row.get("reason", "")) or "the manifest says that it is corrupt"
            name = from_cell(row.get("file_name", "")) or case_id
            path = Path(located(name_from_cell(row["path"]), root))
            raise _Corrupt(Skipped(path, reason, row.get("fix") or COPY_AGAIN, True, case_id, name))
    if len(lines) == 1 and not first.get("channel"):
        return [scan_of(first, case_id, root, keep_names=keep_names)]
    named = [normal(row.get("channel", "")) for _, row in lines]
    if not all(named) or len(set(named)) < len(named):
        others = ", ".join(str(n) for n, _ in lines[1:])
        raise InputError(
            f"several rows have this case id (also line {others or number})",
            fix="Give each case an id of its own, and each row of one case its channel.",
        )
    of_lines = [scan_of(row, case_id, root, keep_names=keep_names) for _, row in lines]
    scans = dict(zip(named, of_lines, strict=True))
    if len(channels) < 2:
        raise InputError("its rows name channels, and the model takes one scan a case", fix="Omit the channels.")
    missing = [channel.name for channel in channels if normal(channel.name) not in scans]
    if missing:
        raise InputError(f"there is no row for the channel {' and '.join(missing)}", fix="Add the row.")
    wanted = [scans[normal(channel.name)] for channel in channels]
    return [joined(case_id, wanted, channels, "the manifest")]


def _case_id(row: Mapping[str, str], keep_names: bool) -> str:
    """The case's id, which becomes a folder's name: none that leads anywhere else, and none that medseg uses itself."""
    name = from_cell(row["case_id"])
    if safe(name) != name:
        raise InputError(f"'{name}' cannot be a case id", fix=f"Write for instance {safe(name)}.")
    is_own = OWN_ID.fullmatch(name) is not None and NAMED_NUMBER.search(name) is None
    return name if keep_names or is_own else safe(public_name(name))


def _failed(row: Mapping[str, str], where: str, what: str, fix: str | None, keep_names: bool) -> Skipped:
    """A row that cannot be a case; without an id of its own it has no folder."""
    try:
        case_id = _case_id(row, keep_names)
    except InputError:
        case_id = ""
    return Skipped(Path(where), what, fix or CORRECT, True, case_id, where)


@contextmanager
def _long_cells() -> Iterator[None]:
    before = csv.field_size_limit(LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _rows(manifest: Path) -> Iterator[Line]:
    """Rows with the numbers of their lines; what a spreadsheet made of the table is read too."""
    try:
        encoding = _encoding(manifest)
        with manifest.open(encoding=encoding, newline="", errors="surrogateescape") as stream, _long_cells():
            header = stream.readline()
            # Excel asks for this line above the header, and keeps it.
            separator = re.fullmatch(r'"?sep=(.)"?\s*', header, re.IGNORECASE)
            if separator is None:
                stream.seek(0)
            delimiter = max(DELIMITERS, key=header.count) if separator is None else separator[1]
            reader = csv.DictReader(stream, delimiter=delimiter, strict=True, restval="")
            reader.fieldnames = _columns(reader.fieldnames or (), manifest)
            for row in reader:
                cells = {name: text.strip() for name, text in row.items() if isinstance(text, str) and name is not None}
                if any(cells.values()):
                    yield reader.line_num + (separator is not None), cells
    except (OSError, csv.Error, ValueError) as error:
        raise UsageError(
            f"cannot be read as a manifest ({first_line(error)})", where=manifest, fix="Make it again."
        ) from error


def _encoding(manifest: Path) -> str:
    """The encoding of a table: of Excel's "Unicode text" UTF-16, else UTF-8."""
    with manifest.open("rb") as stream:
        start = stream.read(4)
    if start in WORKBOOKS:
        raise UsageError("it is a spreadsheet's workbook", where=manifest, fix="Save it as CSV from the spreadsheet.")
    return "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _columns(header: Sequence[str], manifest: Path) -> list[str]:
    """Names of the columns as medseg writes them; whoever edits a table capitalizes them."""
    columns = [name.strip().lower().replace(" ", "_") for name in header]
    missing = [name for name in NEEDED if name not in columns]
    twice = [name for name in COLUMNS if columns.count(name) > 1]
    if missing or twice:
        what = f"no column {' and '.join(missing)}" if missing else f"several columns {' and '.join(twice)}"
        raise UsageError(
            f"the manifest has {what}", where=manifest, fix="Make it with `medseg inspect SCANS --manifest`."
        )
    return columns
