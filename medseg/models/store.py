"""Where imported models live, and packages that come as a zip."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from medseg.errors import ModelError, UsageError
from medseg.io.files.atomic import kept_once
from medseg.io.files.file_hash import file_sha256
from medseg.io.files.temporary import temporary_folder
from medseg.models.unzip import extract, zip_names
from medseg.resources import models, store_folder

CARD_FILE = "model.yaml"


def stored() -> dict[str, Path]:
    """Folders of this user's model packages, by name."""
    return {path.parent.name: path.parent for path in sorted(store_folder().glob(f"*/{CARD_FILE}"))}


def unpacked(path: Path, files: Callable[[Path], Sequence[Path]]) -> Path:
    """Folder of a package that came as a zip: unpacked once beside the imported models, found again by its content.

    - `path`: a zip with ``model.yaml`` at its top or in its only folder.
    - `files`: what the package in a folder consists of, relative to it; nothing else is kept.
    """
    names = zip_names(path)
    if not names:
        raise UsageError(
            "the file is no model package, because it is no zip",
            where=path,
            fix="Name a package folder or zip; copy a zip again that should be one.",
        )
    if not any(name == CARD_FILE or name.endswith(f"/{CARD_FILE}") for name in names):
        raise UsageError("the zip holds 0 model packages, not one", where=path, fix="Zip one package folder.")
    digest = file_sha256(path)[:32]

    def fill(part: Path) -> None:
        extract(path, part)
        folder = _package_in(part, path)  # or nothing is kept
        named = {folder / name for name in files(folder)}
        for other in [file for file in part.rglob("*") if file.is_file() and file not in named]:
            other.unlink()

    return _package_in(kept_once(store_folder().parent / "unpacked" / digest, fill), path)


@contextmanager
def unpacked_for_now(path: Path) -> Iterator[Path]:
    """Give the folder of a package that came as a zip, unpacked until whoever asked is done with it."""
    with temporary_folder() as folder:
        extract(path, folder)
        try:
            yield _package_in(folder, path)
        except ModelError as error:  # by the name that whoever asked knows
            where = None if error.where is None else error.where.replace(str(folder), str(path))
            raise type(error)(error.what, where=where, fix=error.fix) from error


def _package_in(folder: Path, archive: Path) -> Path:
    """The one package of an unpacked zip."""
    cards = [folder / CARD_FILE, *sorted(folder.glob(f"*/{CARD_FILE}"))]
    found = [card.parent for card in cards if card.is_file()]
    if len(found) != 1:
        raise UsageError(
            f"the zip holds {len(found)} model packages, not one", where=archive, fix="Zip one package folder."
        )
    return found[0]


def new_folder(name: str, *, overwrite: bool) -> Path:
    """Folder for a model of this name in the store; a name that a model of medseg's own has would never be found."""
    if name.lower() in map(str.lower, models()):
        raise UsageError(f"a model called '{name}' comes with medseg", where="--name", fix="Choose another --name.")
    folder = store_folder() / name
    if (folder / CARD_FILE).is_file() and not overwrite:
        raise UsageError(
            f"there is a model called '{name}'", where=folder, fix="Choose another --name, or --overwrite."
        )
    return folder
