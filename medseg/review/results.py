"""The results that are reviewed: what `medseg predict` left of each case, read anew whenever it changes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medseg.engine.journal import STATUS_FILE, Status, read_status
from medseg.errors import UsageError
from medseg.io.files.case_id import TAKEN

# Files a case's labels may be in, the best first: one on the scan's own grid, whole, before a DICOM object.
LABEL_FILES = (
    "labels.nii.gz", "labels.seg.nrrd", "labels.mha", "labels.seg.dcm", "labels.labelmap.dcm",
)  # fmt: skip


@dataclass(frozen=True)
class CaseResult:
    """What a model made of a case."""

    case_id: str
    folder: Path
    labels_path: Path
    model_sha256: str  # of the file of labels
    input_sha256: str
    content: Mapping[str, Any]  # of `status.json`


class Results:
    """A folder of results.

    Raises
    ------
    UsageError
        When there is no such folder.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise UsageError("there is no such folder", where=folder, fix="Give the --out of `medseg predict`.")
        self.folder = folder
        self._read: dict[str, tuple[tuple[int, int, int], CaseResult | None]] = {}

    def cases(self) -> dict[str, CaseResult]:
        """Return every case that has labels, by case id."""
        found = {name: self._case(name) for name in sorted(self._names())}
        return {name: result for name, result in found.items() if result is not None}

    def without_labels(self) -> dict[str, str]:
        """Return the state of every case that has a record and no labels to review: withheld or failed, by case id."""
        labeled = self.cases()
        records = {name: read_status(self.folder / name) for name in sorted(self._names()) if name not in labeled}
        return {name: record.state for name, record in records.items() if record is not None}

    def case(self, case_id: str) -> CaseResult | None:
        """Return one case; None where it has no labels. The id is looked up, and only then used as a folder's name."""
        return next((self._case(name) for name in self._names() if name == case_id), None)

    def _names(self) -> list[str]:
        names = [entry.name for entry in os.scandir(self.folder) if entry.is_dir()]
        return [name for name in names if name.lower() not in TAKEN and not name.startswith(".")]

    def _case(self, case_id: str) -> CaseResult | None:
        folder = self.folder / case_id
        try:
            found = (folder / STATUS_FILE).stat()
        except OSError:
            return None
        mark = (found.st_mtime_ns, found.st_size, found.st_ino)
        before = self._read.get(case_id)
        if before is None or before[0] != mark:
            before = self._read[case_id] = (mark, _result(folder, read_status(folder)))
        return before[1]


def _result(folder: Path, status: Status | None) -> CaseResult | None:
    if status is None or status.state != "done" or status.content.get("case_id") != folder.name:
        return None
    name = next((name for name in LABEL_FILES if name in status.outputs), None)
    if name is None:
        return None
    content = status.content
    return CaseResult(folder.name, folder, folder / name, status.outputs[name], content["input_sha256"], content)
