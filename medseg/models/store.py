"""Where imported models live, and packages that come as a zip."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

from medseg.errors import UsageError
from medseg.io.files.atomic import kept_once
from medseg.models.unzip import extract
from medseg.resources import store_folder

CARD_FILE = "model.yaml"


def stored() -> dict[str, Path]:
    """Folders of this user's model packages, by name."""
    return {path.parent.name: path.parent for path in sorted(store_folder().glob(f"*/{CARD_FILE}"))}


def unpacked(path: Path) -> Path:
    """Folder of a package that came as a zip: unpacked once beside the imported models, found again by its content.

    - `path`: a zip with ``model.yaml`` at its top or in its only folder.
    """
    if not zipfile.is_zipfile(path):
        raise UsageError(
            "the file is no model package, because it is no zip",
            where=path,
            fix="Name a package folder or zip; copy a zip again that should be one.",
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    target = kept_once(store_folder().parent / "unpacked" / digest, lambda part: extract(path, part))
    cards = [target / CARD_FILE, *sorted(target.glob(f"*/{CARD_FILE}"))]
    found = [card.parent for card in cards if card.is_file()]
    if len(found) != 1:
        raise UsageError(
            f"the zip holds {len(found)} model packages, not one", where=path, fix="Zip one package folder."
        )
    return found[0]


def new_folder(name: str, *, overwrite: bool) -> Path:
    """Folder for a model of this name in the store."""
    folder = store_folder() / name
    if (folder / CARD_FILE).is_file() and not overwrite:
        raise UsageError(
            f"there is a model called '{name}'", where=folder, fix="Choose another --name, or --overwrite."
        )
    return folder
