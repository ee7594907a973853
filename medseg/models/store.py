"""Where imported models live, and packages that come as a zip."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from medseg.errors import InputError, UsageError
from medseg.models.unzip import extract

__all__ = ["kept_once", "store_folder", "stored", "unpacked"]

CARD_FILE = "model.yaml"


def store_folder() -> Path:
    """Folder of this user's models: ``models`` in ``MEDSEG_HOME``, or in the place the system has for such data."""
    home = os.environ.get("MEDSEG_HOME")
    if home:
        return Path(home) / "models"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "medseg" / "models"


def stored() -> dict[str, Path]:
    """Folders of this user's model packages, by name."""
    return {path.parent.name: path.parent for path in sorted(store_folder().glob(f"*/{CARD_FILE}"))}


def unpacked(path: Path) -> Path:
    """Folder of a package that came as a zip: unpacked once beside the imported models, found again by its content.

    Parameters
    ----------
    path : Path
        A zip with ``model.yaml`` at its top or in its only folder.

    Raises
    ------
    InputError
        When the zip is damaged or holds no package.
    """
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    target = kept_once(store_folder().parent / "unpacked" / digest, lambda part: extract(path, part))
    cards = [target / CARD_FILE, *sorted(target.glob(f"*/{CARD_FILE}"))]
    found = [card.parent for card in cards if card.is_file()]
    if len(found) != 1:
        raise InputError(f"the zip holds {len(found)} model packages, not one", where=path)
    return found[0]


def kept_once(target: Path, fill: Callable[[Path], object]) -> Path:
    """Fill a folder unless it is there, whole or not at all, whatever other processes do; and return it.

    Parameters
    ----------
    target : Path
        The folder.
    fill : callable
        Given an empty folder beside it, which becomes the target when this returns.
    """
    if target.is_dir():
        return target
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        fill(part)
        try:
            part.rename(target)
        except OSError:
            if not target.is_dir():  # not that another process was faster
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def new_folder(name: str, *, overwrite: bool) -> Path:
    """Folder for a model of this name in the store.

    Raises
    ------
    UsageError
        When there is one and it is not to be replaced.
    """
    folder = store_folder() / name
    if (folder / CARD_FILE).is_file() and not overwrite:
        raise UsageError(
            f"there is a model called '{name}'", where=folder, fix="Choose another --name, or --overwrite."
        )
    return folder
