"""A training dataset before any voxel is read: which files make a case, what its channels and classes are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from medseg.errors import InputError
from medseg.types import LabelTable
from medseg.types.scan import FoundScan

MOST_MASKS = 7  # 128 combinations: more than a byte of parts, less what marks ignored voxels, cannot be trained


@dataclass(frozen=True)
class Channel:
    """One input channel.

    - `modality`: DICOM's word (``"MR"``, ``"CT"``, ``"PT"``, ...) where it is known.
    """

    name: str
    modality: str | None = None


@dataclass(frozen=True)
class ReferencePart:
    """A file of a reference that is kept in several: the mask of one class, or of one object.

    - `value`: of the class in the dataset's table; None where each file is an object.
    """

    path: Path
    value: int | None = None


@dataclass(frozen=True)
class ArrayKeys:
    """Which arrays of `.npz` and HDF5 files hold image and label.

    A key of None is that of a `.npy` file, or the only one of another.
    """

    image: str | None = None
    label: str | None = None


@dataclass(frozen=True)
class DatasetCase:
    """The files of one case.

    - `images`: one file or DICOM series folder for each channel, in the dataset's order, or a single one that holds all
      channels.
    - `group`: cases of one group (one patient, say) are never split. None means the case stands alone.
    - `split`: where the dataset itself puts the case. Cases of its test part are neither trained on nor validated with.
    - `folds`: for folds that the dataset gives, the part of each that the case is in; None for neither.
    - `found`: the volumes of each channel, where they were found among DICOM files; `images` are then their first
      files.
    - `parts`: the files of the reference, where it is kept in one for each class or object; `reference` is then the
      first of them.
    - `annotated`: names of the classes that the reference annotates; None where it annotates all.
    - `frame`: of 4-D images and references, the number of the volume that is the case, from 1; None where all are read.
    """

    case_id: str
    images: tuple[Path, ...]
    reference: Path | None = None
    group: str | None = None
    split: Literal["train", "validation", "test"] | None = None
    found: tuple[FoundScan, ...] = ()
    parts: tuple[ReferencePart, ...] = ()
    folds: tuple[Literal["train", "validation"] | None, ...] = ()
    annotated: tuple[str, ...] | None = None
    frame: int | None = None

    def annotates(self, name: str) -> bool:
        """Whether the reference would hold a class if the class were there."""
        return self.annotated is None or name in self.annotated

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file and series folder the case is made of."""
        images = tuple(file for scan in self.found for file in scan.files) or self.images
        if self.parts:
            return (*images, *(part.path for part in self.parts))
        return images if self.reference is None or self.reference in images else (*images, self.reference)


@dataclass(frozen=True)
class Dataset:
    """Cases that share channels and classes.

    - `table`: the classes to learn; background is implied.
    - `ignore_label`: value of reference voxels that are not annotated.
    - `references`: what a reference's values are: classes, or the numbers of objects of the table's only class.
    - `values`: from values in reference files to the table's, where they differ; those not listed stay.
    - `structures`: for references drawn as RTSTRUCT: from a value of the table to the pattern its structures' names
      match.
    - `resample_channels`: whether channels on other grids are brought onto the first one's; an error otherwise.
    - `regions`: for classes that are regions which may overlap: from a class's value to the reference values it covers;
      in a label map later ones lie on top. Empty where classes exclude each other.
    - `overlapping`: whether classes may share voxels in any way, so that results keep all that a voxel has; of regions,
      the last one lies on top otherwise.
    - `masks`: whether a reference holds a mask for each class instead of values, one a channel, layer, segment,
      structure or file; `regions` are then numbers of combinations: bit ``k`` is the table's class ``k``.
    - `annotated`: from a pattern of case names to the classes that those annotate, where these are not all.
    - `arrays`: for files of plain arrays: which of them are image and label.
    - `colors`: for references that are color images: from a color, red, green, blue, to the value it means.
    - `read_as`: what was seen and how it is read, where the files themselves do not say so; for a person to confirm.
    - `ambiguous`: of that, what could be read otherwise, and how to.
    - `grouped_by`: what cases were grouped by where the dataset did not say, their names or a pattern.
    - `border_mm`: for references that number objects: how wide the rim of each is that becomes the table's last class.
    """

    name: str
    folder: Path
    layout: str
    channels: tuple[Channel, ...]
    table: LabelTable
    cases: tuple[DatasetCase, ...]
    dimensions: Literal[2, 3] = 3
    license: str = ""
    description: str = ""
    ignore_label: int | None = None
    references: Literal["classes", "instances"] = "classes"
    values: Mapping[int, int] = field(default_factory=dict)
    structures: Mapping[int, str] = field(default_factory=dict)
    resample_channels: bool = False
    regions: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    border_mm: float | None = None
    grouped_by: Literal["names", "pattern"] | None = None
    arrays: ArrayKeys | None = None
    colors: Mapping[tuple[int, int, int], int] = field(default_factory=dict)
    read_as: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()
    annotated: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    overlapping: bool = False
    masks: bool = False

    def __post_init__(self) -> None:
        if not self.cases:
            raise InputError(
                "the dataset lists no case",
                where=self.folder,
                fix="Give the folder that holds its scans, or list its cases.",
            )
        ids = [case.case_id for case in self.cases]
        twice = next((case_id for case_id, count in Counter(ids).items() if count > 1), None)
        if twice is not None:
            raise InputError(f"two cases are called '{twice}'", where=self.folder, fix="Give each case its own name.")
        if self.overlapping and not self.regions:
            object.__setattr__(self, "masks", True)
            self._check_masks()
            object.__setattr__(self, "regions", _combinations(self.table))
        if self.overlapping:  # none lies on top, so that outputs have the order of the table
            object.__setattr__(self, "regions", dict(sorted(self.regions.items())))
        self._check_regions()
        object.__setattr__(self, "cases", tuple(sorted(self.cases, key=lambda case: case.case_id)))

    @property
    def labeled(self) -> tuple[DatasetCase, ...]:
        """Cases that have a reference."""
        return tuple(case for case in self.cases if case.reference is not None)

    @property
    def parts(self) -> tuple[int, ...]:
        """Values a reference holds beside background: the classes', or those that regions are made of."""
        if not self.regions:
            return tuple(c.value for c in self.table)
        return tuple(sorted({part for values in self.regions.values() for part in values}))

    @property
    def n_outputs(self) -> int:
        """Outputs of a network for each voxel: one for each region, or for each class and the background."""
        return len(self.table) + (not self.regions)

    @property
    def package_name(self) -> str:
        """The dataset's name as a model package may have it."""
        known = (c if c.isascii() and (c.isalnum() or c in "_.-") else "-" for c in self.name.strip().lower())
        return "".join(known).strip("-._") or "model"

    def reference_values(self, value: int) -> tuple[int, ...]:
        """Values, in references and in label maps, of voxels that belong to a class."""
        return self.regions.get(value, (value,))

    def _check_masks(self) -> None:
        """Refuse what a mask for each class cannot be, or cannot be trained on."""
        if len(self.table) > MOST_MASKS:
            raise InputError(
                f"at most {MOST_MASKS} classes that overlap can be trained together, not {len(self.table)}",
                where=self.folder,
                fix="Train fewer, or state `overlapping: false`, where the smaller class lies on top.",
            )
        if self.references == "instances" or self.colors or self.ignore_label is not None:
            raise InputError(
                "classes that overlap are masks, which have no numbered objects, colors or value to ignore",
                where=self.folder,
                fix="Omit `references`, `colors` and `ignore`, or state `overlapping: false`.",
            )

    def _check_regions(self) -> None:
        """Refuse regions of which a label map, holding the value of the last one at each voxel, would lose one."""
        if not self.regions:
            return
        if set(self.regions) != {c.value for c in self.table}:
            raise InputError(
                "either every class is a region or none is",
                where=self.folder,
                fix="List each region as the values it joins, such as [1, 2], or each class as one value.",
            )
        for part in () if self.overlapping else self.parts:
            inside = [value for value, covered in self.regions.items() if part in covered]
            kept = [value for value, covered in self.regions.items() if inside[-1] in covered]
            if kept != inside:
                top = self.table.name_of(inside[-1])
                raise InputError(
                    f"where a reference holds {part}, a label map would hold {inside[-1]} ('{top}'), which lies in "
                    "other regions",
                    where=self.folder,
                    fix="List larger regions first, and give each a value that it covers and later ones do not.",
                )


def _combinations(table: LabelTable) -> dict[int, tuple[int, ...]]:
    """Numbers of the combinations that each class is part of: bit ``k`` of a number is the table's class ``k``."""
    numbers = range(1, 1 << len(table))
    return {entry.value: tuple(n for n in numbers if n >> k & 1) for k, entry in enumerate(table)}
