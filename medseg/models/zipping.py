"""Writes a model package as one file, or copies it."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from medseg.errors import UsageError
from medseg.io.files.atomic import atomic_path
from medseg.models.package import CARD_FILE, ModelPackage

# Zip's earliest date: the same package gives the same bytes whenever it is written.
EPOCH = (1980, 1, 1, 0, 0, 0)


def write_zip(package: ModelPackage, path: Path) -> None:
    """Write a package's files, stored rather than compressed: weights are noise to a compressor.

    - raises `ModelError`: when the weights are not the ones the card describes.
    - raises `UsageError`: when the path is a folder.
    """
    if path.is_dir():
        raise UsageError("it is a folder", where=path, fix="Name a file, such as model.zip.")
    with atomic_path(path) as part, zipfile.ZipFile(part, "w") as archive:
        for name in package.files()[::-1]:
            content = (package.folder / name).read_bytes()
            archive.writestr(zipfile.ZipInfo(f"{package.card.name}/{name.as_posix()}", EPOCH), content)


def copy_package(package: ModelPackage, folder: Path) -> ModelPackage:
    """Copy a package's files into another folder; the card, copied last, makes it a package.

    - raises `ModelError`: when the weights are not the ones the card describes.
    """
    if (folder / CARD_FILE).exists():
        raise UsageError("there is a model package here", where=folder, fix="Choose another --out.")
    for name in package.files():
        with atomic_path(folder / name) as part:
            shutil.copyfile(package.folder / name, part)
    return ModelPackage(folder, package.card)
