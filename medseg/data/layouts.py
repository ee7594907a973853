"""Recognizes how a dataset is laid out and reads it as it is, without renaming or converting a file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from medseg.data import layout_dicom, layout_found, layout_msd, layout_nnunet, layout_pairs, layout_table
from medseg.data.dataset import Dataset
from medseg.data.description import DatasetDescription
from medseg.data.json_beside import not_read, refuse_unreadable
from medseg.data.not_recognized import not_recognized
from medseg.data.partial_labels import with_annotated
from medseg.data.tables_beside import lists_of_cases, with_tables_beside
from medseg.errors import ConfigError, UsageError

log = logging.getLogger("medseg.data")


@dataclass(frozen=True)
class Layout:
    """A dataset layout.

    - `recognize`: whether a path looks like it; cheap, and never raises.
    - `read`: reads it, raising `InputError` where it is not what it claims to be.
    - `description`: what a user would need to have, in a clause.
    - `describe`: reads it with a person's description, where its own files do not tell enough.
    """

    name: str
    recognize: Callable[[Path], bool]
    read: Callable[[Path], Dataset]
    description: str
    describe: Callable[[Path, DatasetDescription], Dataset] | None = None


# The first that recognizes a path reads it.
LAYOUTS: tuple[Layout, ...] = (
    Layout(
        "table",
        layout_table.recognize,
        layout_table.read,
        "a CSV or YAML file with a row for each case",
        layout_table.read,
    ),
    Layout("msd", layout_msd.recognize, layout_msd.read, "a dataset.json that lists image and label of each case"),
    Layout("nnunet", layout_nnunet.recognize, layout_nnunet.read, "nnU-Net's dataset.json, imagesTr and labelsTr"),
    Layout(
        "pairs",
        layout_pairs.recognize,
        layout_pairs.read,
        "a folder of images and one of labels or instances",
        layout_pairs.read,
    ),
    Layout(
        "found",
        layout_found.recognize,
        layout_found.read,
        "images and labels whose names or folders say which is which and whose it is",
        layout_found.read,
    ),
    Layout(
        "dicom",
        layout_dicom.recognize,
        layout_dicom.read,
        "a folder of DICOM series with RTSTRUCT or SEG",
        layout_dicom.read,
    ),
)


def read_dataset(path: Path, given: DatasetDescription | None = None) -> Dataset:
    """Read a dataset in whichever layout it has."""
    if not path.exists():
        raise UsageError("there is no such file or folder", where=path, fix="Give the dataset's folder.")
    if path.is_dir() and (inner := _described_inside(path)) is not None:
        data = read_dataset(inner, given)
        return replace(data, ambiguous=(*data.ambiguous, f"the dataset is the folder {inner.name} in {path.name}"))
    for layout in LAYOUTS:
        if layout.name == "msd":  # a table, which comes before, says all itself
            refuse_unreadable(path)
        if layout.recognize(path):
            if given is None:
                return _told(with_annotated(layout.read(path)))
            if layout.describe is None:
                raise ConfigError(
                    f"a dataset of layout '{layout.name}' has its own description",
                    where="dataset",
                    fix=f"Remove 'dataset' and change {path.name}.",
                )
            return _told(
                with_annotated(
                    replace(layout.describe(path, given), annotated=given.annotated, overlapping=given.overlapping)
                )
            )
    raise not_recognized(path)


def _described_inside(path: Path) -> Path | None:
    """The one folder inside that has a dataset's own description, where the folder itself has none; None without.

    Raises `UsageError` for several, whose classes of one value would be taken for the same.
    """
    if any(layout.recognize(path) for layout in LAYOUTS if layout.name in ("table", "msd", "nnunet", "pairs")):
        return None
    folders = [file.parent for file in sorted(path.glob("*/dataset.json")) if not file.parent.name.startswith(".")]
    found = [folder for folder in folders if layout_msd.recognize(folder) or layout_nnunet.recognize(folder)]
    if len(found) > 1:
        raise UsageError(
            f"it holds {len(found)} datasets, each with its own classes: {', '.join(inner.name for inner in found)}",
            where=path,
            fix="Give one of them, or a table of the cases of all.",
        )
    return found[0] if found else None


def _told(data: Dataset) -> Dataset:
    """Show what was guessed, for a person to say whether it is right."""
    if data.layout in ("pairs", "found", "dicom"):
        data = with_tables_beside(data)
        data = replace(data, ambiguous=(*data.ambiguous, *not_read(data.folder), *_several_tables(data.folder)))
    if data.read_as:
        log.info("%s; is that right? `medseg audit --describe` writes it as a table to edit.", "; ".join(data.read_as))
    for text in data.ambiguous:
        log.warning("%s: %s.", data.name, text)
    return data


def _several_tables(folder: Path) -> tuple[str, ...]:
    files = [file.name for file in lists_of_cases(folder)]
    if len(files) < 2:
        return ()
    return (f"{', '.join(files)} each list cases, and none is read; give one of them instead of the folder",)
