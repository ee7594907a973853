"""Files that appear under their final name whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["atomic_path", "sweep", "write_bytes", "write_text"]

PREFIX = ".medseg-part-"


@contextmanager
def atomic_path(final: Path) -> Iterator[Path]:
    """Give a temporary path in the same folder; on a clean exit it is flushed to disk and takes the final name.

    The temporary name keeps the final name's suffixes, because many writers choose their format by them. On an
    exception it is deleted and the final name is untouched.

    Parameters
    ----------
    final : Path
        Where the file must end up. Missing parent folders are made.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    part = final.parent / f"{PREFIX}{secrets.token_hex(4)}-{final.name}"
    try:
        yield part
        with part.open("rb+") as stream:
            os.fsync(stream.fileno())
        part.replace(final)
        _sync_folder(final.parent)
    finally:
        part.unlink(missing_ok=True)


def write_bytes(final: Path, content: bytes) -> None:
    """Write bytes atomically."""
    with atomic_path(final) as part:
        part.write_bytes(content)


def write_text(final: Path, content: str) -> None:
    """Write UTF-8 text atomically, with newlines as given."""
    write_bytes(final, content.encode("utf-8"))


def sweep(folder: Path) -> None:
    """Delete what a killed process left half-written in a folder."""
    for part in folder.glob(f"{PREFIX}*"):
        part.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
