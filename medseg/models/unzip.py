"""Looks into and unpacks zip files of models, however they were made."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from medseg.errors import InputError
from medseg.io.files.archive import check_unpacked_size

# What reading an odd or damaged zip raises.
ODD = (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError, zlib.error)


def zip_names(path: Path) -> list[str]:
    """Names of what a zip holds; none where the file is no zip, or one that cannot be read."""
    try:
        if not path.is_file() or not zipfile.is_zipfile(path):
            return []
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except ODD:
        return []


def extract(path: Path, folder: Path) -> None:
    """Unpack a zip into a folder; nothing ends up outside it, and no more than it declares and the disk can spare."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            folder.mkdir(parents=True, exist_ok=True)
            check_unpacked_size(entries, path, folder)
            inside = folder.resolve()
            for entry in entries:
                target = (inside / entry.filename).resolve()
                if not target.is_relative_to(inside):
                    raise InputError(
                        f"it holds a file outside itself ({entry.filename})",
                        where=path,
                        fix="Do not use it; get it from a source you trust.",
                    )
                # The checksum of each file is checked as it is read.
                archive.extract(entry, inside)
    except ODD as error:
        raise InputError(f"cannot be unpacked ({error})", where=path, fix="Copy or download it again.") from error
