"""Files and folders that appear under their final name whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from medseg.io.files.leftovers import held, part_name, sweep_once

OWNER_ONLY = 0o600
MOST_TRIES = 100  # of replacing a folder that others replace too


@contextmanager
def atomic_path(final: Path, *, keep: bool = False) -> Iterator[Path]:
    """Give a temporary path in the same folder; on a clean exit it is flushed to disk and takes the final name.

    The temporary name keeps the final name's suffixes, because many writers choose their format by them. On an
    exception it is deleted and the final name is untouched; where the process is killed, the next one that writes in
    the folder deletes it. With `keep` a file that has the final name by then, made by another process, is kept instead.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    sweep_once(final.parent)
    part = final.parent / part_name(final.name)
    try:
        part.open("xb").close()
        with held(part):
            yield part
            with part.open("rb+") as stream:
                os.fsync(stream.fileno())
            if keep:
                _place_new(part, final)
            else:
                _replace(part, final)
        sync_folder(final.parent)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def atomic_folder(final: Path) -> Iterator[Path]:
    """Give an empty temporary folder beside the final one; on a clean exit it takes the final one's place.

    On an exception it is deleted and the final folder is as it was; where the process is killed, the next one that
    writes beside it sees to that. Its name begins with a dot, so that nothing that looks for scans finds it before.
    """
    with _part_beside(final) as part:
        yield part
        place_folder(part, final)
    sync_folder(final.parent)


@contextmanager
def _part_beside(final: Path) -> Iterator[Path]:
    """Give an empty temporary folder beside the final one, and delete it where it was not renamed."""
    final.parent.mkdir(parents=True, exist_ok=True)
    sweep_once(final.parent)
    part = final.parent / part_name(final.name)
    part.mkdir()
    try:
        with held(part):
            yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def place_folder(part: Path, final: Path) -> None:
    """Give a folder its final name, in the place of the folder that has it, also where another process does the same.

    Where it cannot be renamed, the folder that was there is put back, and the error raised.
    """
    for _ in range(MOST_TRIES):
        if not final.exists():
            try:
                part.rename(final)
            except OSError:
                if not final.exists():
                    raise
                continue  # another process was faster
            return
        old = final.parent / part_name(final.name, is_old=True)
        try:
            final.rename(old)
        except FileNotFoundError:
            continue
        try:
            part.rename(final)
        except OSError:
            if not final.exists():
                old.rename(final)
                raise
        else:
            shutil.rmtree(old, ignore_errors=True)
            return
        shutil.rmtree(old, ignore_errors=True)
    raise FileExistsError(errno.EEXIST, "another process keeps writing it", str(final))


def kept_once(final: Path, fill: Callable[[Path], object]) -> Path:
    """Fill a folder unless it is there, whole or not at all, whatever other processes do; and return it.

    `fill` is given an empty folder, which becomes the final one when it returns.
    """
    if final.is_dir():
        return final
    with _part_beside(final) as part:
        fill(part)
        try:
            part.rename(final)
        except OSError:
            if not final.is_dir():  # not that another process was faster
                raise
    return final


def write_bytes(final: Path, content: bytes) -> None:
    """Write bytes atomically."""
    with atomic_path(final) as part:
        part.write_bytes(content)


def write_text(final: Path, content: str) -> None:
    r"""Write UTF-8 text atomically, with newlines as given.

    File names of other encodings hold halves of surrogate pairs in Python, which UTF-8 does not take. They are written
    as what they are, such as ``\udcfc``; a string of JSON is then read back as it was.
    """
    write_bytes(final, content.encode("utf-8", "backslashreplace"))


def write_private(final: Path, content: str) -> None:
    """Write text atomically that only its owner may read, because it may name a patient."""
    with atomic_path(final) as part:
        part.chmod(OWNER_ONLY)  # empty until here
        part.write_bytes(content.encode("utf-8", "backslashreplace"))


def _replace(part: Path, final: Path) -> None:
    try:
        part.replace(final)
    except OSError as error:  # which names both, and the temporary one first
        raise type(error)(error.errno, error.strerror, str(final)) from error


def _place_new(part: Path, final: Path) -> None:
    """Give a finished file its name, unless another has it; a link never replaces, and a renamed file would."""
    try:
        final.hardlink_to(part)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links, where two of the same instant replace each other
        if not final.exists():
            part.replace(final)


def sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
