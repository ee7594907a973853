"""Writes a model package as one file."""

from __future__ import annotations

import zipfile
from pathlib import Path

from medseg.io.atomic import atomic_path
from medseg.models.package import CARD_FILE, ModelPackage

__all__ = ["write_zip"]

# Zip's earliest date: the same package gives the same bytes whenever it is written.
EPOCH = (1980, 1, 1, 0, 0, 0)


def write_zip(package: ModelPackage, path: Path) -> None:
    """Write the card and the weights, stored rather than compressed: weights are noise to a compressor.

    Parameters
    ----------
    package : ModelPackage
        Its weights are checked against the card first.
    path : Path
        The zip.

    Raises
    ------
    ModelError
        When the weights are not the ones the card describes.
    """
    package.weights()
    with atomic_path(path) as part, zipfile.ZipFile(part, "w") as archive:
        for name in (CARD_FILE, package.card.weights_file):
            content = (package.folder / name).read_bytes()
            archive.writestr(zipfile.ZipInfo(f"{package.card.name}/{name}", EPOCH), content)
