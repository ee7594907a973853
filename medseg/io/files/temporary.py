"""Temporary folders that hold patients' scans or models for a while, and are deleted whatever the process dies of."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medseg.io.files.leftovers import held, is_abandoned

PREFIX = "medseg-temporary-"
MARK = ".medseg-temporary"  # in each of our folders, and locked; what has none is not ours to delete


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Give a folder that is deleted in the end; those of killed processes are deleted first."""
    sweep_temporary()
    # Under another name until it is locked, so that no other process takes it for one that was left.
    made = Path(tempfile.mkdtemp(prefix=".medseg-new-"))
    folder = made
    try:
        (made / MARK).touch()
        with held(made / MARK):
            folder = made.with_name(PREFIX + made.name.removeprefix(".medseg-new-"))
            made.rename(folder)
            yield folder
    finally:
        shutil.rmtree(made, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def folder_until_exit() -> Path:
    """Return a temporary folder that lasts as long as this process."""
    owner = os.getpid()
    opened = temporary_folder()
    folder = opened.__enter__()

    def remove() -> None:
        if os.getpid() == owner:  # not a forked child's business
            opened.__exit__(None, None, None)

    atexit.register(remove)
    return folder


def sweep_temporary() -> None:
    """Delete the temporary folders that killed processes left."""
    with contextlib.suppress(OSError):
        for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            if (folder / MARK).is_file() and is_abandoned(folder / MARK):
                shutil.rmtree(folder, ignore_errors=True)
