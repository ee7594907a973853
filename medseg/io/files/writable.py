"""Whether anything can be written at a place, known before any work."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterable
from pathlib import Path

from medseg.errors import UsageError


def output_folder(out: Path | str) -> Path:
    """Return an output folder as a path; raise `UsageError` before any work where it cannot be one."""
    folder = Path(out)
    check_writable(folder, is_folder=True)
    return folder


def report_folder(out: Path | str) -> Path:
    """Return a folder for a report of its own; raise `UsageError` where results lie, whose report it would replace."""
    folder = output_folder(out)
    if (folder / "run.json").is_file():
        raise UsageError(
            "this folder holds results of medseg predict, whose report would be replaced",
            where=folder,
            fix="Choose another output, such as a new folder inside it.",
        )
    return folder


def check_writable(out: Path, *, where: object = None, is_folder: bool | None = None) -> None:
    """Raise before any work when nothing can be written at a place, tried with a file that has no name.

    - is_folder: whether a folder is to be there, where a file stands in the way, or a file, where a folder does; None
      where it may be either.
    - raises `UsageError`: naming what stands in the way.
    """
    what = _obstacle(out, is_folder=is_folder)
    if what is not None:
        fix = "Choose another output."
        raise UsageError(f"nothing can be written there: {what}", where=where or out, fix=fix)


def check_not_read(outs: Path | Iterable[Path], read: Iterable[Path | str]) -> None:
    """Raise `UsageError` where a file would take the place of one it is made from, by whatever name or link."""
    existing = {out: found for out in ([outs] if isinstance(outs, Path) else outs) if (found := _identity(out))}
    taken = {_identity(Path(path)) for path in read} if existing else set()
    if at := next((out for out, found in existing.items() if found in taken), None):
        raise UsageError(
            "it would take the place of the file that it is made from", where=at, fix="Choose another output."
        )


def check_own_folder(out: Path, inputs: Iterable[Path], why: str) -> None:
    """Raise `UsageError`, with the reason, where an output folder is one that is read."""
    if (found := _identity(out)) is not None and any(path.is_dir() and _identity(path) == found for path in inputs):
        raise UsageError(why, where=out, fix="Choose another, such as a new folder inside it.")


def _identity(path: Path) -> tuple[int, int] | None:
    """What a file is, by whatever name it is reached; None where nothing is there, as at an address."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _obstacle(out: Path, *, is_folder: bool | None) -> str | None:
    nearest = next((path for path in (out, *out.absolute().parents) if _exists(path)), Path("/"))
    if is_folder is False and nearest == out and nearest.is_dir():
        return f"{out} is a folder, and this is to be a file"
    if not nearest.is_dir():
        if is_folder or nearest != out:
            return f"{nearest} is not a folder"
        nearest = out.absolute().parent  # of a file to write anew
    try:
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        protected = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
        return f"{nearest} is write-protected" if protected else f"{nearest} takes no files ({error.strerror})"
    try:
        out.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:  # a name that is too long, for instance
        return str(error.strerror)
    return None


def _exists(path: Path) -> bool:
    """Whether something is there, be it a link to nothing; False where nobody may look."""
    try:
        path.lstat()
    except OSError:
        return False
    return True
