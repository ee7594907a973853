"""Labels of classes that may share voxels: which combination of classes each voxel has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from medseg.errors import FormatLimitation, InputError
from medseg.types.geometry import Geometry
from medseg.types.labels import LabelClass, LabelMap, LabelTable, smallest_label_dtype
from medseg.types.value_counts import value_counts

if TYPE_CHECKING:
    import nibabel as nib

MOST_COMBINATIONS = 65535


@dataclass(frozen=True, eq=False)
class OverlappingLabels:
    """Any number of classes for each voxel.

    A voxel holds the number of a combination of classes, so that ten classes take no more memory than one, and
    whatever moves a label map moves these (`moved`).

    Parameters
    ----------
    combinations : ndarray of uint8 or uint16, shape (X, Y, Z)
        Numbers of combinations, 0 where there is no class.
    geometry : Geometry
        Where the voxels lie.
    table : LabelTable
        The classes.
    classes_of : tuple of tuple of int
        Values of the classes in each combination; the first, of number 0, has none.

    Raises
    ------
    InputError
        When array, geometry, classes_of and table disagree.

    Examples
    --------
    >>> liver, tumor = np.zeros((2, 4, 4, 2), bool)
    >>> liver[:2] = tumor[1:3] = True
    >>> classes = LabelClass(1, "liver"), LabelClass(2, "tumor")
    >>> grid = Geometry(np.eye(4), (4, 4, 2))
    >>> labels = OverlappingLabels.of_masks(zip(classes, (liver, tumor), strict=True), grid)
    >>> labels
    OverlappingLabels(shape=(4, 4, 2), spacing=(1, 1, 1) mm, orientation='RAS', classes={1: 'liver', 2: 'tumor'})
    >>> int(labels.mask(1).sum()), int(labels.mask(2).sum()), labels.overlap
    (16, 16, True)
    """

    combinations: npt.NDArray[Any]
    geometry: Geometry
    table: LabelTable
    classes_of: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if self.combinations.shape != self.geometry.shape or self.combinations.dtype not in (np.uint8, np.uint16):
            raise InputError(
                f"combinations of shape {self.combinations.shape} and type {self.combinations.dtype} do not fit a grid "
                f"of shape {self.geometry.shape}",
                fix="Give uint8 or uint16 of the grid's shape.",
            )
        known = {entry.value for entry in self.table}
        if not self.classes_of or self.classes_of[0] or any(set(values) - known for values in self.classes_of):
            raise InputError(
                "the combinations name classes that are not in the label table",
                fix="Give the table every class, and combination 0 none.",
            )

    def __repr__(self) -> str:
        return f"OverlappingLabels({self.geometry.summary}, classes={ {c.value: c.name for c in self.table} })"

    @classmethod
    def of_masks(
        cls, masks: Iterable[tuple[LabelClass, npt.NDArray[np.bool_]]], geometry: Geometry
    ) -> OverlappingLabels:
        """Return the labels of one mask for each class, shape (X, Y, Z) each; one at a time is looked at."""
        layers, classes = Layers(geometry.shape), []
        for entry, mask in masks:
            classes.append(entry)
            layers.add(entry.value, mask)
        return layers.labels(geometry, LabelTable(tuple(classes)))

    @classmethod
    def of_bits(cls, bits: npt.NDArray[Any], geometry: Geometry, table: LabelTable, values: tuple[int, ...]) -> Self:
        """Return the labels of an array in which bit ``k`` says whether a voxel has the class of ``values[k]``."""
        classes_of = tuple(
            tuple(sorted(value for k, value in enumerate(values) if number >> k & 1))
            for number in range(1 << len(values))
        )
        return cls(bits, geometry, table, classes_of)

    @classmethod
    def of_map(cls, labels: LabelMap) -> OverlappingLabels:
        """Return a label map as labels that may overlap, and do not."""
        present = np.flatnonzero(np.bincount(labels.array.ravel(), minlength=1)).tolist()
        values = [0, *(value for value in present if value)]
        number = np.zeros(max(values) + 1, smallest_label_dtype(len(values)))
        number[values] = np.arange(len(values))
        named = {entry.value: entry for entry in labels.table}
        classes = named | {v: c for c in LabelTable.unnamed(values) for v in [c.value] if v not in named}
        classes_of = ((), *((value,) for value in values[1:]))
        return cls(number[labels.array], labels.geometry, LabelTable(tuple(classes.values())), classes_of)

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """Where there is any class, shape (X, Y, Z)."""
        present: npt.NDArray[np.bool_] = self.combinations != 0
        return present

    @property
    def overlap(self) -> bool:
        """Whether any voxel has more than one class."""
        return bool(self._lookup([len(values) > 1 for values in self.classes_of])[self.combinations].any())

    def numbers_of(self, value: int) -> tuple[int, ...]:
        """Numbers of the combinations that a class is part of."""
        return tuple(number for number, values in enumerate(self.classes_of) if value in values)

    def mask(self, value: int) -> npt.NDArray[np.bool_]:
        """Where a class is, shape (X, Y, Z)."""
        inside: npt.NDArray[np.bool_] = self._lookup([value in values for values in self.classes_of])[self.combinations]
        return inside

    def alone(self, entry: LabelClass) -> LabelMap:
        """One class as a label map of its own, with its own value."""
        mask = self.mask(entry.value)
        return LabelMap(mask * smallest_label_dtype(entry.value)(entry.value), self.geometry, LabelTable((entry,)))

    def counts(self) -> dict[int, int]:
        """Voxels of each class of the table, by its value."""
        of_number = np.bincount(self.combinations.ravel(), minlength=len(self.classes_of))
        return {
            entry.value: int(of_number[[*self.numbers_of(entry.value)]].sum() if self.numbers_of(entry.value) else 0)
            for entry in self.table
        }

    def folded(self) -> LabelMap:
        """One class for each voxel: the smallest of those it has, so that no class hides another it lies in.

        For what shows one color a voxel. What is measured or written must come from the labels themselves.
        """
        counts = self.counts()
        top = [min(values, key=lambda value: (counts[value], -value), default=0) for values in self.classes_of]
        lookup = np.array(top, smallest_label_dtype(self.table.largest))
        return LabelMap(lookup[self.combinations], self.geometry, self.table)

    def as_map(self) -> LabelMap:
        """The numbers of the combinations as a label map without names, for what moves label maps."""
        return LabelMap(self.combinations, self.geometry, LabelTable(()))

    def moved(self, change: Callable[[LabelMap], LabelMap]) -> OverlappingLabels:
        """Apply what moves the voxels of a label map and changes none of its values."""
        moved = change(self.as_map())
        return OverlappingLabels(moved.array, moved.geometry, self.table, self.classes_of)

    def with_classes(self, table: LabelTable, new_value: Mapping[int, int] | None = None) -> OverlappingLabels:
        """Return the same labels with other names and, where they are given, other values of the classes."""
        changed = new_value or {}
        classes_of = tuple(tuple(changed.get(value, value) for value in values) for values in self.classes_of)
        return OverlappingLabels(self.combinations, self.geometry, table, classes_of)

    def to_nibabel(self) -> nib.Nifti1Image:
        """Return a nibabel image with one channel of 0 and 1 for each class of the table, (X, Y, Z, classes)."""
        from nibabel import Nifti1Image

        channels = np.stack([self.mask(entry.value).view(np.uint8) for entry in self.table], axis=-1)
        image = Nifti1Image(channels, self.geometry.affine)
        image.header.set_xyzt_units("mm")
        return image

    def separate(self) -> LabelMap | None:
        """Return them as a label map; None where classes share voxels."""
        return None if self.overlap else self.folded()

    def _lookup(self, of_number: list[bool]) -> npt.NDArray[np.bool_]:
        lookup = np.zeros(np.iinfo(self.combinations.dtype).max + 1, bool)
        lookup[: len(of_number)] = of_number
        return lookup


AnyLabels = LabelMap | OverlappingLabels


def moved(labels: AnyLabels, change: Callable[[LabelMap], LabelMap]) -> AnyLabels:
    """Apply what moves the voxels of a label map, and changes none of its values, to either kind of labels."""
    return labels.moved(change) if isinstance(labels, OverlappingLabels) else change(labels)


def class_map(labels: AnyLabels, entry: LabelClass) -> LabelMap:
    """Return a label map that has all of a class under its own value, whatever else shares its voxels."""
    return labels.alone(entry) if isinstance(labels, OverlappingLabels) else labels


def class_counts(labels: AnyLabels) -> dict[int, int]:
    """Voxels of each class of the table, by its value."""
    if isinstance(labels, OverlappingLabels):
        return labels.counts()
    counts = value_counts(labels.array)
    return {entry.value: int(counts[entry.value]) for entry in labels.table}


class Layers:
    """Gathers masks of classes, in whole or slice by slice, into the combinations that voxels have.

    - `classes_of`: values of the classes in each combination so far; the first has none.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.array = np.zeros(shape, np.uint16)
        self.classes_of: list[tuple[int, ...]] = [()]
        self._numbers: dict[tuple[int, ...], int] = {(): 0}

    def add(self, value: int, mask: npt.NDArray[np.bool_], at: tuple[slice | int | EllipsisType, ...] = (...,)) -> None:
        """Add a class where the mask is set, in the part of the array that the mask is of."""
        target = self.array[at]
        before = target[mask]
        lookup = np.arange(len(self.classes_of), dtype=np.int64)
        for number in np.unique(before).tolist():
            lookup[number] = self._number(tuple(sorted({*self.classes_of[number], value})))
        target[mask] = lookup[before]

    def labels(self, geometry: Geometry, table: LabelTable) -> OverlappingLabels:
        """Return what was gathered."""
        array = self.array.astype(smallest_label_dtype(len(self.classes_of)), copy=False)
        return OverlappingLabels(array, geometry, table, tuple(self.classes_of))

    def _number(self, values: tuple[int, ...]) -> int:
        if values not in self._numbers:
            if len(self.classes_of) > MOST_COMBINATIONS:
                raise FormatLimitation(
                    f"its classes overlap in more than {MOST_COMBINATIONS:,} ways",
                    fix="Read or write fewer classes at a time.",
                )
            self._numbers[values] = len(self.classes_of)
            self.classes_of.append(values)
        return self._numbers[values]
