"""Label maps, the table that names their values, and the model that made them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from medseg.errors import ConfigError, InputError
from medseg.types.geometry import Geometry
from medseg.types.kinds import check_kinds

if TYPE_CHECKING:
    import nibabel as nib


@dataclass(frozen=True)
class Code:
    """A coded concept, as DICOM writes it, for instance ``Code("10200004", "SCT", "Liver")``."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True)
class LabelClass:
    """One class of a label map."""

    value: int  # in the array, 1 or more; 0 is always background
    name: str
    category: Code | None = None  # DICOM's segmented property category, for instance Anatomical Structure
    code: Code | None = None  # DICOM's segmented property type, as a rule of SNOMED CT
    color: tuple[int, int, int] = (255, 0, 0)  # recommended display color, sRGB 0-255
    is_thing: bool = False  # the class consists of countable objects; False for stuff


@dataclass(frozen=True)
class LabelTable:
    """The classes of a label map, in order of their values.

    Raises
    ------
    ConfigError
        When two classes share a value or a name, or a value is not between 1 and 65535.
    """

    classes: tuple[LabelClass, ...]

    def __post_init__(self) -> None:
        values = [c.value for c in self.classes]
        names = [c.name for c in self.classes]
        if len(set(values)) < len(values) or len(set(names)) < len(names):
            raise ConfigError("two classes share a value or a name", fix="Give each class its own.")
        if any(not 1 <= v <= 65535 for v in values):
            raise ConfigError(
                "class values must lie between 1 and 65535; 0 is background", fix="Number the classes from 1."
            )
        object.__setattr__(self, "classes", tuple(sorted(self.classes, key=lambda c: c.value)))

    def __iter__(self) -> Iterator[LabelClass]:
        return iter(self.classes)

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def largest(self) -> int:
        """The largest value, 0 for an empty table."""
        return max((c.value for c in self.classes), default=0)

    def name_of(self, value: int) -> str:
        """Name of a value; ``class-N`` for one the table does not have."""
        return next((c.name for c in self.classes if c.value == value), f"class-{value}")

    @classmethod
    def unnamed(cls, values: npt.ArrayLike) -> LabelTable:
        """Return a table for a label map that came without one; classes are called ``class-N``."""
        present = sorted({int(v) for v in np.asarray(values).ravel()} - {0})
        return cls(tuple(LabelClass(v, f"class-{v}", color=PALETTE[(v - 1) % len(PALETTE)]) for v in present))


# Class between touching objects that a network learns so as to keep them apart; no result has it.
BORDER = "border"

# Okabe & Ito's eight colors less black: distinguished by people with every common kind of color vision.
PALETTE: tuple[tuple[int, int, int], ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)


def smallest_label_dtype(largest: int) -> type[np.uint8] | type[np.uint16]:
    """The smaller of uint8 and uint16 that holds the value."""
    return np.uint8 if largest <= 255 else np.uint16


@dataclass(frozen=True, eq=False)
class LabelMap:
    """One class for each voxel.

    Parameters
    ----------
    array : ndarray of uint8 or uint16, shape (X, Y, Z)
        Class values; 0 is background.
    geometry : Geometry
        Where the voxels lie.
    table : LabelTable
        What the values mean.

    Raises
    ------
    InputError
        When array and geometry disagree or the array is not of whole numbers.

    Examples
    --------
    >>> array = np.zeros((4, 4, 2), np.uint8)
    >>> labels = LabelMap(array, Geometry(np.eye(4), array.shape), LabelTable((LabelClass(1, "liver"),)))
    >>> labels
    LabelMap(shape=(4, 4, 2), spacing=(1, 1, 1) mm, orientation='RAS', classes={1: 'liver'})
    >>> int(np.asarray(labels).max())
    0
    """

    array: npt.NDArray[Any]
    geometry: Geometry
    table: LabelTable

    def __post_init__(self) -> None:
        check_kinds(self, array=np.ndarray, geometry=Geometry, table=LabelTable)
        if self.array.shape != self.geometry.shape:
            raise InputError(
                f"labels of shape {self.array.shape} do not fit a grid of shape {self.geometry.shape}",
                fix="Give the geometry of these labels.",
            )
        if self.array.dtype not in (np.uint8, np.uint16):
            raise InputError(
                f"labels must be uint8 or uint16, not {self.array.dtype}",
                fix="Convert with `numpy.ndarray.astype(numpy.uint8)`.",
            )

    def __repr__(self) -> str:
        return f"LabelMap({self.geometry.summary}, classes={ {c.value: c.name for c in self.table} })"

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Class values, (X, Y, Z), so that NumPy takes a label map for an array."""
        return np.array(self.array, dtype=dtype, copy=copy)

    def to_nibabel(self) -> nib.Nifti1Image:
        """Return a nibabel image with the same voxels and affine; it has no place for the names of the classes."""
        from nibabel import Nifti1Image

        image = Nifti1Image(self.array, self.geometry.affine)
        image.header.set_xyzt_units("mm")
        return image


@dataclass(frozen=True)
class ModelIdentity:
    """Which model made a result, as written into files that others read."""

    name: str
    version: str
    hash: str  # SHA-256 of the package, hexadecimal
    reviewer: str = ""
    mark: str = ""  # what every file must say of a result that was to be withheld; see `medseg.infer.gate`
    corrected: tuple[int, ...] = ()  # values of the classes that a person changed after the model
    drawn: tuple[int, ...] = ()  # values of the classes that are a person's alone, the model having found none of them

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.hash[:12]})"
