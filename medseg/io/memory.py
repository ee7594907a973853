"""Scans that are in memory already: arrays, torch tensors, nibabel and SimpleITK images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError, UsageError
from medseg.io.intensities import as_intensities
from medseg.types.geometry import Geometry
from medseg.types.labels import LabelMap
from medseg.types.overlapping import OverlappingLabels
from medseg.types.scan import Scan

WHERE = "the image in memory"
# ITK's world is LPS+.
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@runtime_checkable
class ArrayLike(Protocol):
    """A NumPy array, or what becomes one, such as a torch tensor."""

    def __array__(self, *arguments: Any) -> npt.NDArray[Any]:
        """Return the values."""


@runtime_checkable
class NibabelImage(Protocol):
    """What nibabel loads: axes (X, Y, Z) or (X, Y, Z, C), with an affine in RAS+ mm."""

    @property
    def dataobj(self) -> Any:
        """The values, scaled."""

    @property
    def affine(self) -> Any:
        """Voxel indices to world."""


@runtime_checkable
class ItkImage(Protocol):
    """A SimpleITK image of two or three dimensions, with origin and direction in LPS+ mm."""

    def GetDirection(self) -> Any:  # noqa: N802
        """Direction cosines, row by row."""

    def GetOrigin(self) -> Any:  # noqa: N802
        """World position of the first voxel."""

    def GetSpacing(self) -> Any:  # noqa: N802
        """Distance between voxels along each axis."""


def scan_in_memory(image: ArrayLike | NibabelImage | ItkImage, affine: npt.ArrayLike | None = None) -> Scan:
    """Return an image as a scan; an array or tensor, (X, Y, Z) or (C, X, Y, Z), needs its affine to RAS+ mm."""
    if isinstance(image, ItkImage | NibabelImage):
        if affine is not None:
            raise UsageError("an affine was given for an image that has its own", fix="Omit the affine.")
        return _from_itk(image) if isinstance(image, ItkImage) else _from_nibabel(image)
    is_list = isinstance(image, Sequence) and all(isinstance(one, Sequence) for one in image)
    is_none = isinstance(image, str | bytes | LabelMap | OverlappingLabels) or _holds_paths(image)
    if is_none or not (is_list or isinstance(image, ArrayLike)):
        raise UsageError(
            f"a scan cannot be made of type {type(image).__name__}",
            fix="Give a path, a medseg.Scan, a nibabel or SimpleITK image, or an array or tensor with its affine.",
        )
    if affine is None:
        raise UsageError(
            "an array does not say where its voxels lie",
            fix="Give its affine too: segment(array, affine=...), voxel indices to world mm, RAS+.",
        )
    try:
        array = _values(image)
    except (TypeError, ValueError, RuntimeError) as error:  # a sparse tensor, lists of several lengths
        raise InputError(f"it is no array ({error})", where=WHERE, fix="Give a dense array of numbers.") from None
    return _scan(array[np.newaxis] if array.ndim == 3 else array, affine)


def _values(image: Any) -> npt.NDArray[Any]:
    """The values of an array or tensor; those of a type that NumPy lacks, such as bfloat16, as float32 holds them."""
    values = image.detach().cpu() if hasattr(image, "detach") else image
    if str(getattr(values, "dtype", "")).startswith(("torch.bfloat16", "torch.float8")):
        values = values.float()
    return np.asarray(values)


def _holds_paths(image: object) -> bool:
    return isinstance(image, Sequence) and any(isinstance(one, str | bytes | Path) for one in image)


def _from_nibabel(image: NibabelImage) -> Scan:
    array = np.asanyarray(image.dataobj)
    shape = (*array.shape, 1, 1, 1)[:3]
    return _scan(np.moveaxis(array.reshape((*shape, -1)), 3, 0), image.affine)


def _from_itk(image: Any) -> Scan:
    import SimpleITK as sitk  # noqa: N813 - its own documentation's name for it

    dimension = image.GetDimension()
    if dimension not in (2, 3):
        raise InputError(f"it has {dimension} dimensions", where=WHERE, fix="Give one image for each time point.")
    if image.GetPixelIDValue() >= sitk.sitkLabelUInt8:  # SimpleITK ends the process over such an array
        raise InputError("it is a label map of SimpleITK", where=WHERE, fix="Give sitk.LabelMapToLabel(image).")
    affine = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(dimension, dimension)
    affine[:dimension, :dimension] = direction * np.array(image.GetSpacing())
    affine[:dimension, 3] = image.GetOrigin()
    # Its arrays are ([Z,] Y, X [, component]).
    array = sitk.GetArrayFromImage(image)
    size = (*image.GetSize(), 1)[:3]
    return _scan(array.reshape((*size[::-1], -1)).transpose(3, 2, 1, 0), LPS_TO_RAS @ affine)


def _scan(array: npt.NDArray[Any], affine: Any) -> Scan:
    if array.ndim != 4:
        raise InputError(
            f"an array of shape {array.shape} is not a scan", where=WHERE, fix="Give (X, Y, Z) or (C, X, Y, Z)."
        )
    if 0 in array.shape:
        raise InputError(
            f"an array of shape {array.shape[int(array.shape[0] == 1) :]} holds no voxels",
            where=WHERE,
            fix="Give at least one along each axis.",
        )
    x, y, z = array.shape[1:]
    try:
        geometry = Geometry(affine, (x, y, z))
    except InputError as error:
        fix = "Give affine=, four rows of four numbers: voxel indices to world mm, RAS+."
        raise InputError(error.what, where=WHERE, fix=fix) from None
    return Scan(as_intensities(array, where=WHERE), geometry)
