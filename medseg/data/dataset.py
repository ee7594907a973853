"""A training dataset before any voxel is read: which files make a case, what its channels and classes are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from medseg.errors import InputError
from medseg.types import LabelTable

__all__ = ["Channel", "Dataset", "DatasetCase"]


@dataclass(frozen=True)
class Channel:
    """One input channel.

    Parameters
    ----------
    name : str
        What the dataset calls it, for instance ``"T1"``.
    modality : str, optional
        DICOM's word (``"MR"``, ``"CT"``, ``"PT"``, ...) where it is known.
    """

    name: str
    modality: str | None = None


@dataclass(frozen=True)
class DatasetCase:
    """The files of one case.

    Parameters
    ----------
    case_id : str
        Unique within the dataset and safe as a file name.
    images : tuple of Path
        One file or DICOM series folder for each channel, in the dataset's order, or a single one that holds all
        channels.
    reference : Path, optional
        The labels; None for a case that cannot be trained on.
    group : str, optional
        Cases of one group (one patient, say) are never parted by a split. None means the case stands alone.
    split : {"train", "validation", "test"}, optional
        Where the dataset itself puts the case. Cases of its test part are neither trained on nor validated with.
    """

    case_id: str
    images: tuple[Path, ...]
    reference: Path | None = None
    group: str | None = None
    split: Literal["train", "validation", "test"] | None = None


@dataclass(frozen=True)
class Dataset:
    """Cases that share channels and classes.

    Parameters
    ----------
    name : str
        What the dataset calls itself.
    folder : Path
        Where it lies.
    layout : str
        How it is laid out, for instance ``"msd"``.
    channels : tuple of Channel
        What each image channel is.
    table : LabelTable
        The classes to learn; background is implied.
    cases : tuple of DatasetCase
        In order of case id.
    dimensions : {2, 3}
        2 for pictures, 3 for volumes.
    licence, description : str
        As the dataset states them; empty where it does not.
    ignore_label : int, optional
        Value of reference voxels of which nothing is said.
    references : {"classes", "instances"}
        What a reference's values are: classes, or the numbers of objects of the table's only class.
    values : mapping of int to int
        From values in reference files to the table's, where they differ; those not listed stay.
    structures : mapping of int to str
        For references drawn as RTSTRUCT: from a value of the table to the pattern its structures' names match.
    resample_channels : bool
        Whether channels on other grids are brought onto the first one's; an error otherwise.
    border_mm : float, optional
        For references that number objects: how wide the rim of each is that becomes the table's last class.

    Raises
    ------
    InputError
        When there is no case, or two cases share an id.
    """

    name: str
    folder: Path
    layout: str
    channels: tuple[Channel, ...]
    table: LabelTable
    cases: tuple[DatasetCase, ...]
    dimensions: Literal[2, 3] = 3
    licence: str = ""
    description: str = ""
    ignore_label: int | None = None
    references: Literal["classes", "instances"] = "classes"
    values: Mapping[int, int] = field(default_factory=dict)
    structures: Mapping[int, str] = field(default_factory=dict)
    resample_channels: bool = False
    border_mm: float | None = None

    def __post_init__(self) -> None:
        if not self.cases:
            raise InputError("the dataset lists no case", where=self.folder)
        ids = [case.case_id for case in self.cases]
        twice = next((case_id for case_id in ids if ids.count(case_id) > 1), None)
        if twice is not None:
            raise InputError(f"two cases are called '{twice}'", where=self.folder, fix="Give each case its own name.")
        object.__setattr__(self, "cases", tuple(sorted(self.cases, key=lambda case: case.case_id)))

    @property
    def labelled(self) -> tuple[DatasetCase, ...]:
        """Cases that have a reference."""
        return tuple(case for case in self.cases if case.reference is not None)
