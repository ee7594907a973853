"""Unpacks zip files of models, however they were made."""

from __future__ import annotations

import zipfile
from pathlib import Path

from medseg.errors import InputError, ResourceLimit

# Far above any model: five folds of the largest nnU-Net with optimizer state are about 5 GB.
LARGEST = 40 << 30
MOST_FILES = 100_000


def extract(path: Path, folder: Path) -> None:
    """Unpack a zip into a folder; nothing ends up outside it, and no more is written than the zip declares."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if sum(e.file_size for e in entries) > LARGEST or len(entries) > MOST_FILES:
                raise ResourceLimit(
                    f"it would unpack to more than {LARGEST >> 30} GB or {MOST_FILES} files", where=path
                )
            inside = folder.resolve()
            for entry in entries:
                target = (inside / entry.filename).resolve()
                if not target.is_relative_to(inside):
                    raise InputError(f"it holds a file outside itself ({entry.filename})", where=path)
                # The checksum of each file is checked as it is read.
                archive.extract(entry, inside)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise InputError(f"cannot be unpacked ({error})", where=path, fix="Copy or download it again.") from error
