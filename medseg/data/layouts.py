"""Recognizes how a dataset is laid out and reads it as it is, without renaming or converting a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from medseg.data import layout_dicom, layout_msd, layout_nnunet, layout_pairs, layout_table
from medseg.data.dataset import Dataset
from medseg.data.description import DatasetDescription
from medseg.errors import ConfigError, InputError, UsageError


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
    Layout("table", layout_table.recognize, layout_table.read, "a CSV or YAML file with a row for each case"),
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
    for layout in LAYOUTS:
        if layout.recognize(path):
            if given is None:
                return layout.read(path)
            if layout.describe is None:
                raise ConfigError(
                    f"a dataset of layout '{layout.name}' has its own description",
                    where="dataset",
                    fix=f"Remove 'dataset' and change {path.name}.",
                )
            return layout.describe(path, given)
    known = "; ".join(f"{layout.name}: {layout.description}" for layout in LAYOUTS)
    raise InputError("is not laid out in a way that medseg recognizes", where=path, fix=f"Known layouts are {known}.")
