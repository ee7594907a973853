"""Labels on disk in a store: each revision one file that is never written again, named by what it holds."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError
from medseg.io import nifti
from medseg.io.files.atomic import sync_folder
from medseg.io.files.file_hash import file_sha256
from medseg.io.files.review_folder import LABELS
from medseg.types import LabelMap, LabelTable, Scan, Source

HASH_LETTERS = 12
# A file that is written and has no final name yet; the store deletes those of a killed process itself.
PART = ".new-"


@contextmanager
def written_labels(labels: LabelMap, folder: Path, source: Source) -> Iterator[Path]:
    """Write labels under a temporary name, synced to disk; deleted on leaving unless it was given another name."""
    yield from _part(folder, lambda part: nifti.write_labels(labels, part, source))


@contextmanager
def written_ids(ids: npt.NDArray[Any], labels: LabelMap, folder: Path, source: Source) -> Iterator[Path]:
    """Write the ids of objects as `written_labels` writes labels."""
    scan = Scan(ids.astype(np.int32, copy=False)[np.newaxis], labels.geometry, source=source)
    yield from _part(folder, lambda part: nifti.write_scan(scan, part))


def _part(folder: Path, write: Any) -> Iterator[Path]:
    part = folder / f"{PART}{secrets.token_hex(6)}.nii.gz"
    try:
        write(part)
        yield part
    finally:
        part.unlink(missing_ok=True)


def place(part: Path, case_id: str, number: int, sha256: str, *, kind: str = "") -> str:
    """Give a file that was written its final name, and return that, relative to the folder above."""
    final = part.with_name(f"{case_id}.r{number:04d}.{sha256[:HASH_LETTERS]}{kind}.nii.gz")
    part.rename(final)
    sync_folder(final.parent)
    return f"{LABELS}/{final.name}"


def checked(path: Path, sha256: str) -> Path:
    """Return the path of a recorded file.

    Raises
    ------
    InputError
        When it is gone, or its bytes are not those that were recorded.
    """
    try:
        if file_sha256(path) == sha256:
            return path
    except OSError:
        raise InputError("the saved labels are gone", where=path.name, fix="Restore them from a backup.") from None
    raise InputError(
        "the saved labels were changed since they were saved", where=path.name, fix="Restore them from a backup."
    )


def read_revision(path: Path, sha256: str, table: LabelTable) -> LabelMap:
    """Read the labels of a revision, with the names its event holds."""
    return replace(nifti.read_labels(checked(path, sha256)), table=table)
