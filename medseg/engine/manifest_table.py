"""The table that `medseg inspect --manifest` writes: a row for each scan, and all that finding it again would tell."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import get_args

from medseg.engine import manifest_cells as cells
from medseg.engine.manifest_cells import CORRECT
from medseg.errors import InputError
from medseg.harmless import TableWriter, cell, name_from_cell
from medseg.io.files.addresses import check_address, is_nearly_address, join_address, local_path, name_of, scheme_of
from medseg.io.files.archive import place_within
from medseg.io.files.atomic import write_private
from medseg.io.files.case_id import file_name
from medseg.io.files.walk import absolute
from medseg.io.recognize import claim_of
from medseg.types.scan import FoundScan, Recorded, ScanFormat

COLUMNS = (
    "case_id", "channel", "path", "files", "archive", "format", "verdict", "reason", "fix", "series_uid", "study_uid",
    "series_number", "series_description", "description", "volume", "n_channels", "warnings", "notes", "incomplete",
    "file_name", "input_sha256", "size", "modified",
)  # fmt: skip
NEEDED = ("case_id", "path")
VERDICTS = ("valid", "rejected", "corrupt")
FORMATS = tuple(name for name in get_args(ScanFormat) if name != "array")


@dataclass(frozen=True)
class ManifestRow:
    """A scan as a manifest lists it.

    - found: of a corrupt file, only its path and case id count.
    - channel: of the model that the manifest was made for; empty where the scan is a case by itself.
    - sha256: over its files; empty where they were not read.
    - reason, fix: why it cannot be read, and what to do; None for a valid one.
    """

    found: FoundScan
    channel: str = ""
    sha256: str = ""
    verdict: str = "valid"
    reason: str | None = None
    fix: str | None = None


def write_manifest(file: Path, rows: Iterable[ManifestRow], root: Path | None = None) -> None:
    """Write a manifest, readable by its owner only; paths below `root`, its own folder by default, are relative."""
    above = Path(absolute(root if root is not None else file.parent))
    stream = io.StringIO()
    writer = TableWriter(stream)
    writer.writerow(COLUMNS)
    for row in rows:
        cells = _cells(row, above)
        writer.writerow([cells[column] for column in COLUMNS])
    write_private(file, stream.getvalue())


def _cells(row: ManifestRow, root: Path) -> dict[str, object]:
    found = row.found
    within = [place_within(path) for path in found.files]
    archive, names = "", [absolute(path) for path in found.files]
    if within and all(place is not None for place in within):
        archive = _below(absolute(next(place[0] for place in within if place is not None)), root)
        names = [place[1] for place in within if place is not None]
    folder = names[0] if len(names) == 1 else os.path.commonpath([os.path.dirname(name) for name in names])  # noqa: PTH120
    path = folder if archive else _below(folder, root)
    files = [] if len(names) == 1 else [os.path.relpath(name, folder or ".") for name in names]
    if name_from_cell(str(cell(path))) != path:  # a name that a cell cannot hold; JSON can
        path, files = (
            ("/" if path.startswith("/") else "."),
            [path.lstrip("/")] if not files else [f"{path.lstrip('/')}/{name}" for name in files],
        )
    size, modified = _size_and_time(found.files)
    return {
        "case_id": found.case_id,
        "channel": row.channel,
        "path": path,
        "files": json.dumps(files) if files else "",
        "archive": archive,
        "format": found.format if row.verdict != "corrupt" else "",
        "verdict": row.verdict,
        "reason": row.reason or "",
        "fix": row.fix or "",
        "series_uid": found.series_uid or "",
        "study_uid": found.study_uid or "",
        "series_number": "" if found.series_number is None else found.series_number,
        "series_description": found.series_description,
        "description": found.description,
        "volume": "" if found.volume is None else json.dumps(found.volume),
        "n_channels": found.n_channels,
        "warnings": json.dumps(found.warnings) if found.warnings else "",
        "notes": json.dumps(found.notes) if found.notes else "",
        "incomplete": found.incomplete or "",
        "file_name": found.file_name,
        "input_sha256": row.sha256,
        "size": "" if size is None else size,
        # Of a member of an archive, when it was unpacked.
        "modified": "" if archive or modified is None else f"{modified:.6f}",
    }


def _below(path: str, root: Path) -> str:
    return Path(path).relative_to(root).as_posix() if Path(path).is_relative_to(root) else path


def _size_and_time(files: Iterable[Path]) -> tuple[int | None, float | None]:
    try:
        found = [path.stat() for path in files]
    except OSError:
        return None, None
    return sum(one.st_size for one in found), max((one.st_mtime for one in found), default=None)


def scan_of(row: Mapping[str, str], case_id: str, root: str, keep_names: bool = False) -> FoundScan:
    """Return the scan a row lists; nothing on disk is looked at.

    `root` is the folder or address that relative paths start at. Raises `InputError` for what cannot be a row.
    """
    given = cells.choice(row, "format", FORMATS)
    verdict_of(row)
    names = cells.names(row)
    path, archive = (name_from_cell(row.get(column, "")) for column in ("path", "archive"))
    if not path:
        raise InputError("column path: it is empty", fix=CORRECT)
    for name in names:
        cells.check_inside(name, "files")
    start = archive or path
    place = located(start, root, "archive" if archive else "path")
    if archive:
        cells.check_inside(path, "path")
        inside = [str(PurePosixPath(path) / name) for name in names] or [path]
        files = tuple(Path(place, name) for name in inside)
        recorded = Recorded(archive=place, addresses=tuple(inside))
    elif scheme_of(place) is not None:
        addresses = tuple(join_address(place, name) for name in names) or (place,)
        files, recorded = tuple(Path(one) for one in addresses), Recorded(addresses=addresses)
    else:
        files, recorded = tuple(Path(place, name) for name in names) or (Path(place),), Recorded()
    first = name_of(recorded.addresses[0]) if recorded.is_elsewhere else files[0].name
    kind = claim_of(first)
    guessed: ScanFormat = kind if kind in ("nifti", "nrrd", "meta") else "dicom"
    file_format = next((name for name in FORMATS if name == given), guessed)
    n_channels = cells.whole(row, "n_channels", least=1)
    return FoundScan(
        case_id,
        file_format,
        files,
        cells.uid(row, "series_uid"),
        row.get("description", ""),
        cells.volume(row, file_format),
        study_uid=cells.uid(row, "study_uid"),
        series_number=cells.whole(row, "series_number"),
        series_description=row.get("series_description", ""),
        notes=tuple(cells.texts(row, "notes")),
        file_name=file_name(Path(row.get("file_name") or first), keep_names=keep_names),
        warnings=tuple(cells.texts(row, "warnings")),
        incomplete=cells.reason_of_loss(row),
        n_channels=n_channels or 1,
        recorded=replace(
            recorded,
            sha256=cells.sha256(row),
            size=cells.whole(row, "size", least=0),
            modified=cells.seconds(row, "modified"),
            n_channels=n_channels,
            is_identified=bool(given),
            is_absolute=Path(start).is_absolute() or scheme_of(start) == "file",
        ),
    )


def verdict_of(row: Mapping[str, str]) -> str:
    """The verdict of a row, in lower case; valid where the table has none."""
    return cells.choice(row, "verdict", VERDICTS) or "valid"


def located(path: str, root: str, column: str = "path") -> str:
    """The absolute path or the address of a row's path; one that leads out of the root is refused."""
    try:
        if scheme_of(path) == "file":
            path = str(local_path(path))
        elif scheme_of(path) is not None or is_nearly_address(path):
            return check_address(path)
    except InputError as error:
        raise InputError(f"column {column}: {error.what}", fix=error.fix) from error
    if "\0" in path or ".." in PurePosixPath(path.replace("\\", "/")).parts:
        raise InputError(f"column {column}: it leads upwards, out of its folder", fix="Write it without '..'.")
    if Path(path).is_absolute():
        return path
    return join_address(root, PurePosixPath(path).as_posix()) if scheme_of(root) else str(Path(root, path))
