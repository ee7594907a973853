"""References as a dataset's own table lists them, and which classes each of them annotates.

In a case whose reference does not annotate a class, the class may be anywhere in the background: it is not measured
there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medseg.data import layout_table
from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.layouts import read_dataset
from medseg.errors import InputError
from medseg.evaluation.files.label_files import LabelFile
from medseg.io.files.case_id import stem
from medseg.io.files.patient_names import public_name


@dataclass(frozen=True)
class ReferenceDataset:
    """A dataset that references belong to.

    - `lists_files`: whether its table says which files they are; otherwise they are those found in the folder given.
    """

    data: Dataset
    lists_files: bool

    @property
    def names(self) -> dict[int, str]:
        """Names of the classes, by value."""
        return {entry.value: entry.name for entry in self.data.table}

    def files(self, *, keep_names: bool) -> list[LabelFile]:
        """Return the label file of each case that has one."""
        return [_label_file(case, keep_names) for case in self.data.labeled]

    def with_annotated(self, files: Sequence[LabelFile]) -> list[LabelFile]:
        """Files with the values of the classes that they do not annotate."""
        by_path = {_place(case.reference): case for case in self.data.labeled if case.reference is not None}
        of_file = [by_path.get(_place(item.path)) for item in files]
        return [
            item
            if case is None
            else replace(
                item,
                not_annotated=frozenset(c.value for c in self.data.table if not case.annotates(c.name)),
            )
            for item, case in zip(files, of_file, strict=True)
        ]


def reference_dataset(references: Path) -> ReferenceDataset | None:
    """Find the table that references belong to: themselves, or one in their folder or the one above; None without one.

    Raises
    ------
    InputError
        When it lists references that are no label maps in the values of its classes, or cannot be read.
    """
    if layout_table.recognize(references):
        return ReferenceDataset(_plain(read_dataset(references), references), lists_files=True)
    folder = references.resolve().parent
    # A table above that is of something else, or says nothing of this, must not end a measurement.
    if not any(b"annotated" in _bytes(folder / name) for name in layout_table.FILES):
        return None
    data = read_dataset(folder)
    if all(case.annotated is None for case in data.cases):
        return None
    return ReferenceDataset(_plain(data, folder), lists_files=False)


def _plain(data: Dataset, where: Path) -> Dataset:
    """The dataset, where each of its references is one file of its classes' values."""
    what = (
        "a file for each class or object" if any(case.parts for case in data.cases)
        else "'values' that differ from its classes" if data.values
        else "colors for values" if data.colors
        else "plain arrays for labels" if data.arrays is not None
        else "regions of several values" if data.regions
        else "frames of 4-D files" if any(case.frame for case in data.cases)
        else "voxels to ignore" if data.ignore_label is not None
        else None
    )  # fmt: skip
    if what is not None:
        raise InputError(
            f"its table says that references have {what}, which is not measured",
            where=where,
            fix="Give a folder of label files with the classes' own values; `annotated` in a dataset.yaml beside them "
            "says which of them each has.",
        )
    return data


def _label_file(case: DatasetCase, keep_names: bool) -> LabelFile:
    assert case.reference is not None
    names = (case.case_id, stem(case.reference.name))
    return LabelFile(case.reference, tuple(dict.fromkeys((*names, *map(public_name, names)))), keep_names=keep_names)


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _place(path: Path | None) -> str:
    return os.path.realpath(path or "")
