"""Reads the cases that a manifest lists, and looks at nothing else: no folder is searched, no file opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from medseg.engine.channel_names import normal
from medseg.engine.joined_case import joined
from medseg.engine.manifest_cells import CORRECT, case_id_in, wrong
from medseg.engine.manifest_lines import WRONG, Line, lines_of
from medseg.engine.manifest_table import located, scan_of, verdict_of
from medseg.engine.shard import hash_of_list
from medseg.errors import InputError, UsageError
from medseg.harmless import from_cell, name_from_cell
from medseg.io.files.addresses import check_address, check_installed, is_nearly_address, local_path, scheme_of
from medseg.io.files.walk import absolute
from medseg.types.channels import WantedChannel
from medseg.types.scan import Discovery, FoundScan, Skipped

COPY_AGAIN = "Copy or export it again, and make the manifest again with `medseg inspect --manifest`."
MOST_SHOWN = 3  # lines that an error names
Read = TypeVar("Read")
WHOLE_LINE = (
    "Write a comma for each empty cell and quotation marks around a comma in a text, or make the manifest again."
)


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
    InputError
        When it lists nothing.
    """
    place = root_of(manifest, root)
    index, count = part
    cases: dict[str, list[Line]] = {}
    numbers: dict[str, int] = {}
    listed: dict[int, int] = {}  # by a hash of which scan it is, the first line that lists it
    again: dict[int, list[int]] = {}  # of scans that several lines list
    for number, row in lines_of(manifest):
        key = from_cell(row.get("case_id", "")).casefold() or f"line {number}"  # each fails by itself
        turn = numbers.setdefault(key, len(numbers))
        before = listed.setdefault(_scan_key(row), number)
        if before != number:
            again.setdefault(_scan_key(row), [before]).append(number)
        if turn % count == index - 1:
            cases.setdefault(key, []).append((number, row))
    if not numbers:
        fix = "Look at what `medseg inspect SCANS` says of the files, and make it again with --manifest."
        raise InputError("the manifest has no row, and so no case", where=manifest, fix=fix)
    found: list[FoundScan] = []
    skipped: list[Skipped] = []
    for lines in cases.values():
        try:
            scans = _scans(lines, place, channels, keep_names)
            _check_distinct(lines, again)
            found += scans
        except _Corrupt as error:
            skipped.append(error.skipped)
        except InputError as error:
            at = f"line {error.where or lines[0][0]} of {manifest.name}"
            skipped.append(_failed(lines[0][1], at, error.what, error.fix, keep_names))
    if count == 1:
        return Discovery(tuple(found), tuple(skipped))
    return Discovery(tuple(found), tuple(skipped), len(numbers) - len(cases), hash_of_list(numbers))


def has_channels(manifest: Path) -> bool:
    """Whether any row says of which channel it is; without, scans are brought together by their names."""
    return any(row.get("channel") for _, row in lines_of(manifest))


def root_of(manifest: Path, root: str | Path | None) -> str:
    """Return the folder or address that paths of a manifest are relative to."""
    if root is None:
        return absolute(manifest.parent)
    text = str(root)
    try:
        if scheme_of(text) == "file":
            return absolute(local_path(text))
        if scheme_of(text) is not None or is_nearly_address(text):
            address = check_address(text)
            check_installed(address, "--root")
            return address
    except InputError as error:
        raise UsageError(error.what, where="--root", fix=error.fix) from error
    return absolute(Path(root))


def _scan_key(row: Mapping[str, str]) -> int:
    """A hash of which scan a row lists, whatever case it is."""
    return hash(tuple(row.get(column, "") for column in ("path", "files", "archive", "volume")))


def _check_distinct(lines: Sequence[Line], again: Mapping[int, Sequence[int]]) -> None:
    """Refuse rows whose scan another row has, too: one of the two cases would get the results of the other."""
    for number, row in lines:
        others = [str(other) for other in again.get(_scan_key(row), ()) if other != number]
        if others:
            what = f"the scan is that of line {', '.join(others[:MOST_SHOWN])}, too"
            raise InputError(what, where=number, fix="Correct the path of one, or remove its row.")


class _Corrupt(Exception):
    """A row that the inspection found corrupt."""

    def __init__(self, skipped: Skipped) -> None:
        self.skipped = skipped


def _scans(lines: Sequence[Line], root: str, channels: Sequence[WantedChannel], keep_names: bool) -> list[FoundScan]:
    """The case of some rows: one scan, or one for each channel."""
    first = lines[0][1]
    for number, row in lines:
        if WRONG in row:
            raise InputError(row[WRONG], where=number, fix=WHOLE_LINE)
    case_id = case_id_in(first, keep_names)
    for number, row in lines:
        if _at(number, verdict_of, row) == "corrupt":
            reason = from_cell(row.get("reason", "")) or "the manifest says that it is corrupt"
            name = from_cell(row.get("file_name", "")) or case_id
            path = Path(located(name_from_cell(row["path"]), root))
            raise _Corrupt(Skipped(path, reason, row.get("fix") or COPY_AGAIN, True, case_id, name))
    of_lines = [_at(number, scan_of, row, case_id, root, keep_names) for number, row in lines]
    if len(lines) == 1 and not first.get("channel"):
        return of_lines
    named = [normal(row.get("channel", "")) for _, row in lines]
    if not all(named) or len(set(named)) < len(named):
        if len(lines) == 1:
            raise wrong("channel", first["channel"], "is no name of a channel")
        others = ", ".join(str(n) for n, _ in lines[1:])
        raise InputError(
            f"several rows have this case id (also line {others})",
            fix="Give each case an id of its own, and each row of one case its channel.",
        )
    scans = dict(zip(named, of_lines, strict=True))
    if len(channels) < 2:
        raise InputError("its rows name channels, and the model takes one scan a case", fix="Omit the channels.")
    missing = [channel.name for channel in channels if normal(channel.name) not in scans]
    if missing:
        raise InputError(f"there is no row for the channel {' and '.join(missing)}", fix="Add the row.")
    wanted = [scans[normal(channel.name)] for channel in channels]
    return [joined(case_id, wanted, channels, "the manifest")]


def _at(number: int, read: Callable[..., Read], *given: object) -> Read:
    """Read something of a line, whose number an error then names."""
    try:
        return read(*given)
    except InputError as error:
        raise InputError(error.what, where=number, fix=error.fix) from error


def _failed(row: Mapping[str, str], where: str, what: str, fix: str | None, keep_names: bool) -> Skipped:
    """A row that cannot be a case; without an id of its own it has no folder."""
    try:
        case_id = case_id_in(row, keep_names)
    except InputError:
        case_id = ""
    return Skipped(Path(where), what, fix or CORRECT, True, case_id, where)
