"""Looks into and unpacks zip files of models, however they were made."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections import Counter
from pathlib import Path

from medseg.errors import InputError
from medseg.io.files.archive import unpack_some

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
    """Unpack a zip into a folder; nothing ends up outside it, and no more than it declares and the disk can spare.

    Raises
    ------
    InputError
        When any of it cannot be unpacked or is a link, or the names of two files differ by letter case at most.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    except ODD as error:
        raise InputError(f"cannot be unpacked ({error})", where=path, fix="Copy or download it again.") from error
    if link := next((entry for entry in entries if stat.S_ISLNK(entry.external_attr >> 16)), None):
        raise InputError(f"it holds a link ('{link.filename}')", where=path, fix="Pack the file itself.")
    names = [entry.filename for entry in entries]
    count = Counter(name.casefold() for name in names)
    if twice := next((name for name in names if count[name.casefold()] > 1), None):
        raise InputError(f"it holds two files called '{twice}'", where=path, fix="Pack it again.")
    folder.mkdir(parents=True, exist_ok=True)
    unpack_some(path, names, folder)
