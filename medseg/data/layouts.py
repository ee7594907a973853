"""Recognises how a dataset is laid out and reads it as it is, without renaming or converting a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from medseg.data import layout_msd, layout_nnunet, layout_pairs, layout_table
from medseg.data.dataset import Dataset
from medseg.errors import InputError

__all__ = ["LAYOUTS", "Layout", "read_dataset"]


@dataclass(frozen=True)
class Layout:
    """One way to lay out a dataset.

    Parameters
    ----------
    name : str
        What it is called.
    recognise : callable
        Whether a path looks like it; cheap, and never raises.
    read : callable
        Reads it, raising `InputError` where it is not what it claims to be.
    description : str
        What a user would need to have, in a clause.
    """

    name: str
    recognise: Callable[[Path], bool]
    read: Callable[[Path], Dataset]
    description: str


# The first that recognises a path reads it.
LAYOUTS: tuple[Layout, ...] = (
    Layout("table", layout_table.recognise, layout_table.read, "a CSV or YAML file with a row for each case"),
    Layout("msd", layout_msd.recognise, layout_msd.read, "a dataset.json that lists image and label of each case"),
    Layout("nnunet", layout_nnunet.recognise, layout_nnunet.read, "nnU-Net's dataset.json, imagesTr and labelsTr"),
    Layout("pairs", layout_pairs.recognise, layout_pairs.read, "a folder of images and one of labels or instances"),
)


def read_dataset(path: Path) -> Dataset:
    """Read a dataset in whichever layout it has.

    Parameters
    ----------
    path : Path
        A folder, or the file that describes it.

    Raises
    ------
    InputError
        When there is nothing there or no layout fits.
    """
    if not path.exists():
        raise InputError("there is no such file or folder", where=path, fix="Give the dataset's folder.")
    for layout in LAYOUTS:
        if layout.recognise(path):
            return layout.read(path)
    known = "; ".join(f"{layout.name}: {layout.description}" for layout in LAYOUTS)
    raise InputError("is not laid out in a way medseg knows", where=path, fix=f"Known layouts are {known}.")
