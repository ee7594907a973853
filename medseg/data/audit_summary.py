"""What a dataset is as it was read: channels, classes, patients, spacings and sizes, for every audit to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medseg.counted import counted
from medseg.data.dataset import Dataset
from medseg.data.examine import Examined
from medseg.data.patient_groups import patients

# Classes listed in a terminal; there are more only where something is wrong, or in whole-body label sets.
MOST_CLASSES = 120
GROUPED_BY = {"names": "by their names", "pattern": "by split.group", None: "as the dataset says"}

Row = tuple[float, ...]


@dataclass(frozen=True)
class ClassCount:
    """A class: its value and name, voxels in all labels, labels that hold it, and labels that annotate it."""

    name: str
    value: int
    voxels: int
    cases: int
    annotated: int


@dataclass(frozen=True)
class Summary:
    """What a dataset is.

    - `spacing`, `shape`: smallest, median and largest along x, y, z after orientation to RAS; empty where no image can
      be read.
    - `read_as`, `ambiguous`: what was guessed of the files, and what else they could be.
    - `sides`: how many cases each part of the split has.
    """

    channels: tuple[tuple[str, str | None], ...]
    cases: int
    labeled: int
    patients: int
    grouped_by: str | None
    classes: tuple[ClassCount, ...]
    spacing: tuple[Row, Row, Row] | tuple[()]
    shape: tuple[Row, Row, Row] | tuple[()]
    sides: Mapping[str, int]
    read_as: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Say it in lines of text."""
        channels = ", ".join(name if modality is None else f"{name} ({modality})" for name, modality in self.channels)
        unlabeled = f", {self.cases - self.labeled} more without label" if self.cases > self.labeled else ""
        found = [*_confirm(self.read_as), *(f"Unclear: {text}." for text in self.ambiguous), f"Channels: {channels}."]
        if self.patients < self.labeled:
            cases = f"{counted(self.labeled, 'case')} of {counted(self.patients, 'patient')}"
            found.append(f"{cases}, {GROUPED_BY[self.grouped_by]}{unlabeled}.")
        else:
            found.append(f"{counted(self.labeled, 'case')}, each taken as a patient{unlabeled}.")
        if self.sides:
            found.append(f"Split: {', '.join(f'{count} {side}' for side, count in self.sides.items())}.")
        for one in self.classes[:MOST_CLASSES]:
            annotated = "" if one.annotated == self.labeled else f", of {self.labeled}, that annotate it"
            cases = f"{one.cases} of {counted(one.annotated, 'case')}{annotated}"
            found.append(f"Class {one.value} {one.name}: {one.voxels:,} voxels in {cases}.")
        if len(self.classes) > MOST_CLASSES:
            found.append(f"And {counted(len(self.classes) - MOST_CLASSES, 'class', 'classes')} more.")
        if self.spacing and self.shape:
            found.append(f"Spacing: {_range(self.spacing, '.3g')} mm.")
            found.append(f"Size: {_range(self.shape, '.0f')} voxels.")
        return found

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        ranges = {"spacing": self.spacing, "shape": self.shape}
        return {
            "read_as": list(self.read_as),
            "ambiguous": list(self.ambiguous),
            "channels": [{"name": name, "modality": modality} for name, modality in self.channels],
            "labeled": self.labeled,
            "patients": self.patients,
            "grouped_by": self.grouped_by,
            "classes": [vars(one) for one in self.classes],
            **{
                name: dict(zip(("smallest", "median", "largest"), map(list, rows), strict=False))
                for name, rows in ranges.items()
            },
            "split": dict(self.sides),
        }


def summarize(data: Dataset, examined: Sequence[Examined], side: Mapping[str, str]) -> Summary:
    """Sum up what was read of a dataset; `side` is the part of the split each case is in."""
    labels = [one.voxels for one in examined if one.voxels is not None]
    classes = tuple(
        ClassCount(
            entry.name,
            entry.value,
            sum(voxels.get(entry.name, 0) for voxels in labels),
            sum(voxels.get(entry.name, 0) > 0 for voxels in labels),
            sum(case.annotates(entry.name) for case in data.labeled),
        )
        for entry in data.table
    )
    read = [one for one in examined if one.spacing is not None and one.shape is not None]
    parts = list(side.values())
    return Summary(
        tuple((channel.name, channel.modality) for channel in data.channels),
        len(data.cases),
        len(data.labeled),
        patients(data),
        data.grouped_by,
        classes,
        _three(np.array([one.spacing for one in read])) if read else (),
        _three(np.array([one.shape for one in read])) if read else (),
        {part: parts.count(part) for part in dict.fromkeys(sorted(parts))},
        data.read_as,
        data.ambiguous,
    )


def _confirm(read_as: Sequence[str]) -> list[str]:
    """Ask whether what was guessed is right."""
    if not read_as:
        return []
    return [f"Read as {'; '.join(read_as)}. Is that right? If not, edit the table that --describe writes."]


def _three(rows: Any) -> tuple[Row, Row, Row]:
    low, middle, high = (tuple(float(v) for v in pick(rows, axis=0)) for pick in (np.min, np.median, np.max))
    return low, middle, high


def _range(rows: tuple[Row, Row, Row], form: str) -> str:
    low, middle, high = (" x ".join(format(value, form) for value in row) for row in rows)
    return low if low == high else f"{low} to {high}, median {middle}"
