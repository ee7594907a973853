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

from medseg.errors import ResourceLimit
from medseg.io.files.leftovers import held, is_abandoned

VARIABLES = ("TMPDIR", "TEMP", "TMP")  # as Python's own `tempfile` knows them
USUAL = ("/tmp", "/var/tmp", "/usr/tmp")  # noqa: S108 (compared, not written to)
PREFIX = "medseg-temporary-"
MARK = ".medseg-temporary"  # in each of our folders, and locked; what has none is not ours to delete


def temporary_place() -> Path:
    """Return the folder that temporary folders are made in: where TMPDIR says, and nowhere else.

    Where that cannot be written, Python itself would silently take another: /tmp, and at last the folder in which a
    command was typed. Scans of patients do not go where nobody wanted them.
    """
    named = next((value for name in VARIABLES if (value := os.environ.get(name))), None)
    try:
        place = Path(named or tempfile.gettempdir()).absolute()
        is_usable = place.is_dir() and (named or str(place) in USUAL or place != Path.cwd())
    except OSError:
        place, is_usable = Path(USUAL[0]), False
    if not is_usable:
        raise _unusable(place, "it is no folder" if named else "it takes no files")
    return place


def _unusable(place: Path, why: str) -> ResourceLimit:
    return ResourceLimit(
        f"no temporary folder can be made: {why}",
        where=place,
        fix="Make space there, or name in TMPDIR a folder that can be written.",
    )


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Give a folder that is deleted in the end; those of killed processes are deleted first."""
    place = temporary_place()
    sweep_temporary()
    # Under another name until it is locked, so that no other process takes it for one that was left.
    try:
        made = Path(tempfile.mkdtemp(prefix=".medseg-new-", dir=place))
    except OSError as error:
        raise _unusable(place, str(error.strerror)) from error
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
    with contextlib.suppress(OSError, ResourceLimit):
        for folder in temporary_place().glob(f"{PREFIX}*"):
            if (folder / MARK).is_file() and is_abandoned(folder / MARK):
                shutil.rmtree(folder, ignore_errors=True)
