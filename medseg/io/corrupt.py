"""Names what should have been a scan and could not be read, so that it is a failed case like any other."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from medseg.io.files.case_id import dicom_case_id, file_case_ids, file_name, unique
from medseg.io.files.file_hash import file_sha256
from medseg.io.files.walk import absolute
from medseg.io.recognize import claim_of
from medseg.types.scan import Skipped


def with_case_ids(
    skipped: Sequence[Skipped], taken: Collection[str], dicom: Collection[Path], *, keep_names: bool = False
) -> list[Skipped]:
    """Say what results call each file, and give each corrupt one a case id that no scan has.

    The id comes from the file's name. The name of a DICOM file, or of what could not be opened and so may be one, may
    name the patient: its id is a hash of the content.
    """
    corrupt = [left for left in skipped if left.corrupt]
    kinds = {left.path: _kind(left.path, dicom) for left in skipped}
    named = [left.path for left in corrupt if not kinds[left.path]]
    ids = dict(zip(named, file_case_ids([Path(absolute(path)) for path in named], keep_names=keep_names), strict=True))
    ids |= {left.path: hashed_case_id(left.path) for left in corrupt if kinds[left.path]}
    marks = [absolute(path) for path in ids]
    ids = dict(zip(ids, unique(list(ids.values()), marks, taken), strict=True))
    return [
        replace(
            left,
            case_id=ids.get(left.path, ""),
            source=kinds.get(left.path) or file_name(left.path, keep_names=keep_names),
        )
        for left in skipped
    ]


def _kind(path: Path, dicom: Collection[Path]) -> str:
    """What to call a file whose name must not be told; empty for one that goes by its name."""
    claim = claim_of(path.name)
    if path in dicom or claim == "dicom":
        return "DICOM file"
    return "unreadable file or folder" if claim is None and not os.access(path, os.R_OK) else ""


def hashed_case_id(path: Path) -> str:
    """Case id of a file whose name must not be told: a hash of its content, or of its path where it cannot be read."""
    try:
        return dicom_case_id("", file_sha256(path))
    except OSError:
        return dicom_case_id("", absolute(path))
