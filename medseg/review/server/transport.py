"""Scans and labels on their way to the browser and back: uncompressed NIfTI-1, axes nearest right, anterior, superior.

The page never turns an axis, so that it cannot turn one wrongly: both ways of the turn are here, exact permutations and
flips. Label values are the true ones.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.spatialimages import HeaderDataError

from medseg.errors import GeometryMismatch, InputError
from medseg.io.nifti_header import SILENT
from medseg.types import Geometry
from medseg.types.axis_order import nearest_ras

Array = npt.NDArray[Any]

HEADER_BYTES = 352  # of NIfTI-1, with the four bytes behind it that say whether there are extensions
MOST_HEADER_BYTES = 1 << 16  # header and extensions
WIDEST = 8  # bytes of a voxel, of any whole number that NIfTI-1 has
GZIP = b"\x1f\x8b"
INT16 = np.iinfo(np.int16)
UNSCALED = ((None, None), (1.0, 0.0))
NOT_WHOLE = "labels must be whole numbers without scaling"


def pack(array: Array, geometry: Geometry) -> memoryview:
    """Return voxels (X, Y, Z) on a grid as an uncompressed NIfTI-1 file with axes nearest RAS."""
    order = nearest_ras(geometry)
    turned, grid = order.apply(array), order.geometry(geometry)
    little = np.dtype(array.dtype).newbyteorder("<")
    header = nib.Nifti1Header()
    header.set_data_dtype(little)
    header.set_data_shape(turned.shape)
    header.set_sform(grid.affine, code=1)
    header["pixdim"][1:4] = grid.spacing
    header.set_xyzt_units("mm")
    header.set_slope_inter(1, 0)
    header["vox_offset"], header["magic"] = HEADER_BYTES, b"n+1"
    file = bytearray(HEADER_BYTES + turned.size * little.itemsize)
    file[: header.sizeof_hdr] = header.binaryblock
    np.ndarray(turned.shape, little, file, HEADER_BYTES, order="F")[...] = turned
    return memoryview(file).toreadonly()


def pack_image(array: Array, geometry: Geometry) -> memoryview:
    """Return a scan's voxels (C, X, Y, Z) for the screen: int16 where that holds them, else float32; C is averaged."""
    shown = array[0] if len(array) == 1 else array.astype(np.float32).mean(axis=0)
    if shown.dtype.kind in "biu" and shown.size and shown.min() >= INT16.min and shown.max() <= INT16.max:
        return pack(shown.astype(np.int16, copy=False), geometry)
    return pack(shown.astype(np.float32, copy=False), geometry)


def packed_voxels(file: memoryview) -> Array:
    """Voxels (X, Y, Z) of a file that `pack` made, axes nearest RAS; none is copied."""
    header = nib.Nifti1Header(bytes(file[:348]))
    return np.ndarray(header.get_data_shape(), header.get_data_dtype(), file, HEADER_BYTES, order="F")


@dataclass(frozen=True, eq=False)
class Drawn:
    """Labels as they came from the browser, turned back to the order of the scan's own file."""

    labels: Array  # uint8 or uint16 (X, Y, Z)
    ids: Array | None  # int32 (X, Y, Z): of objects, where the file has a second volume


def unpack(body: bytes, geometry: Geometry) -> Drawn:
    """Read a NIfTI-1 file of labels for a case's grid; gzip is inflated no further than the grid has voxels.

    A fourth axis of two holds the labels and the ids of objects.

    Raises
    ------
    InputError
        When it is no such file, damaged, or holds values that are no labels.
    GeometryMismatch
        When its shape or affine is not that of the case, axes nearest RAS.
    """
    order = nearest_ras(geometry)
    grid = order.geometry(geometry)
    raw = _inflated(body, MOST_HEADER_BYTES + 2 * WIDEST * geometry.voxel_count)
    header = _header(raw)
    shape, dtype = header.get_data_shape(), header.get_data_dtype()
    if shape not in (grid.shape, (*grid.shape, 1), (*grid.shape, 2)):
        fix = "Send labels on the grid that GET gives."
        raise GeometryMismatch(f"a grid of {shape} is not the case's, {grid.shape}", fix=fix)
    grid.match(_grid(header, grid.shape), what="the case's grid and that of the labels")
    offset, count = int(header["vox_offset"]), int(np.prod(shape))
    if dtype.kind not in "iuf" or dtype.itemsize > WIDEST or header.get_slope_inter() not in UNSCALED:
        raise InputError(NOT_WHOLE, fix="Send uint8 or uint16.")
    if not HEADER_BYTES <= offset <= MOST_HEADER_BYTES or len(raw) != offset + count * dtype.itemsize:
        fix = "Send the whole file."
        raise InputError(f"a file of {len(raw):,} bytes does not hold {count:,} voxels", fix=fix)
    volumes = np.frombuffer(raw, dtype, count, offset).reshape((*grid.shape, -1), order="F")
    # As files have it, the first axis fastest: whatever reads it slice by slice reads it in order.
    labels = np.empty(geometry.shape, np.uint8 if dtype == np.uint8 else np.uint16, order="F")
    order.apply(labels)[...] = _within(volumes[..., 0], 65535)
    if volumes.shape[3] == 1:
        return Drawn(labels, None)
    ids = np.empty(geometry.shape, np.int32, order="F")
    order.apply(ids)[...] = _within(volumes[..., 1], 2**31 - 1)
    return Drawn(labels, ids)


def largest_body(geometry: Geometry) -> int:
    """Bytes that a request with labels of this grid may have; no more are read."""
    return MOST_HEADER_BYTES + 2 * WIDEST * geometry.voxel_count


def _inflated(body: bytes, limit: int) -> bytes:
    """Inflate gzip, of a body that is, up to a limit."""
    if not body.startswith(GZIP):
        return body
    inflate = zlib.decompressobj(wbits=31)
    try:
        start = inflate.decompress(body, HEADER_BYTES)
        # The header says how much there is; what says more than the grid has is refused before memory is spent on it.
        header = _header(start)
        expected = int(header["vox_offset"]) + _size(header)
        if expected > limit:
            raise InputError(
                f"a file of {expected:,} bytes is larger than the case's grid", fix="Send the case's grid."
            )
        raw = start + inflate.decompress(inflate.unconsumed_tail, max(1, expected + 1 - len(start)))
    except zlib.error as error:
        raise InputError(f"the compressed data is damaged ({error})", fix="Send it again.") from error
    if len(raw) == expected and not inflate.eof:  # what is left can only be gzip's own end
        inflate.decompress(inflate.unconsumed_tail, 1)
    if len(raw) != expected or not inflate.eof or inflate.unused_data:
        raise InputError("the compressed data is not of the length that its header says", fix="Send the whole file.")
    return raw


def _header(raw: bytes) -> Any:
    try:
        header = nib.Nifti1Header(raw[:348], check=False)
        if int(header["sizeof_hdr"]) != header.sizeof_hdr:  # which nibabel would correct
            raise HeaderDataError("another size")
        header.check_fix(logger=SILENT)
        if len(raw) < HEADER_BYTES or bytes(header["magic"]) not in (b"n+1", b"n+1\0"):
            raise HeaderDataError("no single file")
        header.get_data_dtype()
        header.get_data_shape()
    except (HeaderDataError, nib.wrapstruct.WrapStructError, ValueError, KeyError, TypeError) as error:
        raise InputError("this is no NIfTI-1 file", fix="Send labels as GET gives them.") from error
    return header


def _size(header: Any) -> int:
    return int(np.prod([int(n) for n in header.get_data_shape()], dtype=object)) * int(header.get_data_dtype().itemsize)


def _grid(header: Any, shape: tuple[int, int, int]) -> Geometry:
    try:
        return Geometry(header.get_best_affine(), shape)
    except HeaderDataError as error:
        raise GeometryMismatch("the affine is none", fix="Send the affine that GET gives.") from error
    except InputError as error:
        raise GeometryMismatch(error.what, fix="Send the affine that GET gives.") from error


def _within(values: Array, most: int) -> Array:
    if values.dtype.kind == "f":  # as programs write them that reckon in floats
        if not np.array_equal(values, np.rint(values)):  # NaN equals nothing
            raise InputError(NOT_WHOLE, fix="Send uint8 or uint16.")
        if values.size and (values.min() < 0 or values.max() > most):
            raise InputError(f"values must lie between 0 and {most}", fix="Send label values as GET gives them.")
        return values
    could_be = np.iinfo(values.dtype)
    if (could_be.min < 0 or could_be.max > most) and values.size and (values.min() < 0 or values.max() > most):
        raise InputError(f"values must lie between 0 and {most}", fix="Send label values as GET gives them.")
    return values
