"""Where the results of a case are written: out of sight until they are whole, then in the place of what was there."""

from __future__ import annotations

import atexit
import shutil
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from medseg.engine.journal import RUNNING_FILE, STATUS_FILE
from medseg.errors import InputError
from medseg.io.files.atomic import place_folder, write_text
from medseg.io.files.leftovers import held, part_name, sweep_once
from medseg.io.files.walk import real


class CaseFolder:
    """A hidden folder beside a case's own, which takes its place by renaming or is deleted.

    What was there goes first, so that a kill from then on leaves the case undone. Both happen by renaming, whoever else
    writes the same case: two processes that a file system's locks do not keep apart each leave a whole one, and the
    later stays.

    Raises
    ------
    InputError
        When the case's folder holds files and is not a case's, for instance one with the scans themselves, which is
        never touched.
    """

    def __init__(self, final: Path) -> None:
        _check_ours(final)
        final.parent.mkdir(parents=True, exist_ok=True)
        sweep_once(final.parent)
        _clear(final)
        self.final, self.path = final, final.parent / part_name(final.name)
        self.path.mkdir()
        self._held = ExitStack()
        self._held.enter_context(held(self.path))
        atexit.register(self.discard)

    def publish(self) -> None:
        """Give the folder its name, in the place of what has it."""
        _check_ours(self.final)
        if _has_folders(self.final):
            for path in sorted(self.path.iterdir(), key=lambda path: path.name == STATUS_FILE):  # the record comes last
                path.replace(self.final / path.name)
            (self.final / RUNNING_FILE).unlink(missing_ok=True)
        else:
            place_folder(self.path, self.final)
        self.discard()

    def discard(self) -> None:
        """Delete what was not published."""
        self._held.close()
        atexit.unregister(self.discard)
        shutil.rmtree(self.path, ignore_errors=True)


def holds(folder: Path, files: Iterable[Path]) -> bool:
    """Whether one of some files lies in a case's folder, by whatever links, where results would take its place."""
    if not folder.is_dir():
        return False
    places = {real(place) for file in files for place in (file.parent, *([file] if file.is_symlink() else []))}
    return any(place.is_relative_to(real(folder)) for place in places)


def _check_ours(folder: Path) -> None:
    ours = (folder / STATUS_FILE).exists() or (folder / RUNNING_FILE).exists()
    # Asked again last: another process may have put a whole case there since the first line.
    if not ours and folder.is_dir() and any(folder.iterdir()) and not (folder / STATUS_FILE).exists():
        raise InputError(
            "the folder for this case's results exists and holds other files",
            where=folder.name,
            fix="Choose another --out.",
        )


def _clear(folder: Path) -> None:
    """Take away what an earlier run left: all at once, or where somebody keeps folders in there, its files."""
    if _has_folders(folder):
        write_text(folder / RUNNING_FILE, "")
        (folder / STATUS_FILE).unlink(missing_ok=True)
        for path in folder.iterdir():
            if path.is_file() and path.name != RUNNING_FILE:
                path.unlink(missing_ok=True)
    elif folder.is_dir():
        away = folder.parent / part_name(folder.name)
        try:
            folder.rename(away)
        except FileNotFoundError:  # another process was faster
            return
        shutil.rmtree(away, ignore_errors=True)


def _has_folders(folder: Path) -> bool:
    return folder.is_dir() and any(path.is_dir() for path in folder.iterdir())
