"""Whether anything can be written at a place, known before any work."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

from medseg.errors import UsageError


def check_writable(out: Path, *, where: object = None) -> None:
    """Raise before any work when nothing can be written at a place, tried with a file that has no name.

    - raises `UsageError`: naming what stands in the way.
    """
    nearest = next((path for path in (out, *out.absolute().parents) if path.exists()), Path("/"))
    what = None
    if not nearest.is_dir():
        what = "is not a folder"
        if nearest == out:  # a file to write anew
            nearest, what = out.absolute().parent, None
    if what is None:
        try:
            tempfile.TemporaryFile(dir=nearest).close()
        except OSError as error:
            protected = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
            what = "is write-protected" if protected else f"takes no files ({error.strerror})"
    if what is not None:
        fix = "Choose another output."
        raise UsageError(f"nothing can be written there: {nearest} {what}", where=where or out, fix=fix)
