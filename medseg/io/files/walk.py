"""Lists every file under some files and folders once, in a stable order."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.errors import UsageError
from medseg.types.scan import Skipped


@dataclass(frozen=True)
class Entry:
    """A file to look at."""

    path: Path
    root: Path  # the input it was found under; itself where it was named
    shown: Path  # what to call it: for a file unpacked from an archive, its name within that

    @property
    def is_named(self) -> bool:
        """Whether the user named this very file."""
        return self.shown == self.root


def absolute(path: Path) -> str:
    """Return the absolute path with links kept by their own names, by which files are sorted and named."""
    return os.path.abspath(path)  # noqa: PTH100 - Path.resolve would follow them


def real(path: Path) -> Path:
    """Return the absolute path with links followed as far as they lead: one that leads round in a circle stays.

    `Path.resolve` raises a `RuntimeError` there before Python 3.13, and a folder of scans may hold such links.
    """
    return Path(os.path.realpath(path))


def input_above(path: Path, inputs: Collection[Path]) -> Path | None:
    """Return the nearest of some inputs that a path lies in, or is; None where it is in none.

    It looks up the path's folders, because going through the inputs for each file costs their product.
    """
    return next((above for above in (path, *path.parents) if above in inputs), None)


def walk(inputs: Sequence[Path]) -> tuple[list[Entry], list[Skipped]]:
    """List files, following links but no loops, and each file once however often it is reached.

    Skipped are hidden files and folders, further links to a file already listed, and what cannot be opened.
    """
    reached: list[Entry] = []
    skipped: list[Skipped] = []
    # Named files come first, so that a file both named and found counts as named; then by path.
    for _, given in sorted(
        {absolute(p): Path(p) for p in inputs}.items(), key=lambda item: (item[1].is_dir(), item[0])
    ):
        if not os.path.lexists(given):
            raise UsageError("there is no such file or folder", where=given, fix="Check the path.")
        if given.is_dir():
            reached += [Entry(path, given, path) for path in _files_under(given, skipped)]
        else:
            reached.append(Entry(given, given, given))
    entries: list[Entry] = []
    listed: dict[tuple[int, int], Path] = {}
    # A link is the same file as what it points to, not the other way round.
    for entry in sorted(reached, key=lambda e: (not e.is_named, e.path.is_symlink())):
        try:
            status = entry.path.stat()
        except OSError as error:
            skipped.append(Skipped(entry.path, f"it cannot be opened ({error.strerror or error})", corrupt=True))
            continue
        if not stat.S_ISREG(status.st_mode):
            skipped.append(Skipped(entry.path, "it is not a plain file", corrupt=entry.is_named))
            continue
        identity = (status.st_dev, status.st_ino)
        if identity in listed:
            if listed[identity] != entry.path:
                skipped.append(Skipped(entry.path, f"it is the same file as {listed[identity]}"))
            continue
        listed[identity] = entry.path
        entries.append(entry)
    return sorted(entries, key=lambda e: absolute(e.path)), skipped


def _files_under(folder: Path, skipped: list[Skipped]) -> Iterator[Path]:
    """Files of a folder and its sub-folders; a folder reached twice through links is walked once."""

    def unreadable(error: OSError) -> None:
        skipped.append(Skipped(Path(error.filename), f"the folder cannot be opened ({error.strerror})", corrupt=True))

    visited: set[tuple[int, int]] = set()
    for name, folders, files in os.walk(folder, followlinks=True, onerror=unreadable):
        here = Path(name)
        try:
            status = here.stat()
        except OSError as error:  # it vanished meanwhile
            skipped.append(Skipped(here, f"the folder cannot be opened ({error.strerror})", corrupt=True))
            folders.clear()
            continue
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        for hidden in [n for n in folders if n.startswith(".")]:
            skipped.append(Skipped(here / hidden, "it is a hidden folder"))
        folders[:] = sorted(n for n in folders if not n.startswith("."))
        for file in sorted(files):
            if file.startswith("."):
                skipped.append(Skipped(here / file, "it is a hidden file"))
            else:
                yield here / file
