"""The header of a NIfTI file, read and checked before any voxel is."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from medseg.errors import InputError, MedsegError
from medseg.io.files.byte_stream import check_plausible, open_bytes
from medseg.io.files.limits import check_size
from medseg.types.geometry import Geometry

# NIfTI's codes for the unit of length, in mm; 0 is "unknown", which everybody takes for mm.
MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
# What nibabel would print of odd headers; what matters of them is looked at here.
SILENT = logging.Logger("nibabel headers", logging.CRITICAL + 1)
LARGEST_EXTENSIONS = 1 << 26
# How far pixdim may be from the voxel size of the sform, as a fraction of it: some programs round one of them.
PIXDIM_SLACK = 0.01


@dataclass(frozen=True)
class Opened:
    """A header that has been checked, before any voxel is read."""

    header: Any
    shape: tuple[int, int, int]
    channels: int
    geometry: Geometry
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    files: tuple[Path, ...]


def open_header(path: Path) -> Opened:
    """Read and check a header."""
    with open_bytes(path) as stream:
        header, pixdim = _parse(stream, path)
    warnings: list[str] = []
    notes: list[str] = []
    shape, channels = _shape(header, path)
    if _has_empty_sform(header) and int(header["qform_code"]) > 0:
        header["sform_code"] = 0
        notes.append("The sform is all zeros; the qform was used")
    geometry = _geometry(header, pixdim, shape, path, warnings)
    files: tuple[Path, ...] = (path,)
    if header["magic"].item().rstrip(b"\0") in (b"ni1", b"ni2"):
        files = (path, _pair(path))
    offset = voxel_offset(header, path)
    try:
        item = header.get_data_dtype().itemsize
    except (HeaderDataError, KeyError) as error:
        raise InputError(
            f"its data type is not one of NIfTI's ({error})",
            where=path,
            fix="Save it again with the tool that made it.",
        ) from error
    check_plausible(files[-1], offset + check_size((*shape, channels) if channels > 1 else shape, item, where=path))
    return Opened(header, shape, channels, geometry, tuple(warnings), tuple(notes), files)


def _parse(stream: IO[bytes], path: Path) -> tuple[Any, Any]:
    """The header, and its pixdim as written: nibabel makes zeros there ones."""
    start = stream.read(540)
    kind = nib.Nifti2Header if start[4:7] in (b"n+2", b"ni2") else nib.Nifti1Header
    block = start[: kind.template_dtype.itemsize]
    try:
        if start[4:7] not in (b"n+2", b"ni2") and start[344:347] not in (b"n+1", b"ni1"):
            raise ValueError("the magic bytes are missing")
        header = kind(block, check=False)
        pixdim = header["pixdim"].copy()
        _check_sizes(header, kind, path)
        header.check_fix(logger=SILENT)
        return header, pixdim
    except (ValueError, HeaderDataError, WrapStructError) as error:
        raise InputError(
            f"it is not a NIfTI file ({error})",
            where=path,
            fix="Check that the file is whole and is what its name says.",
        ) from error


def _check_sizes(header: Any, kind: Any, path: Path) -> None:
    """Raise where the header contradicts itself in a size of its own; nibabel would correct it without a word."""
    stated, bits = int(header["sizeof_hdr"]), int(header["bitpix"])
    try:
        needed = header.get_data_dtype().itemsize * 8
    except (HeaderDataError, KeyError):  # a data type that is not one of NIfTI's is refused below
        needed = bits
    if stated != kind.sizeof_hdr:
        what = f"its header says that it is {stated} bytes long, and is {kind.sizeof_hdr}"
    elif bits not in (0, needed):
        what = f"its header says {bits} bits a voxel, and its data type has {needed}"
    else:
        return
    raise InputError(what, where=path, fix="Save it again with the tool that made it.")


def _pair(path: Path) -> Path:
    """Path of the voxels that belong to a ``.hdr`` file."""
    name = path.name.removesuffix(".gz").removesuffix(".hdr")
    for suffix in (".img", ".img.gz"):
        if (candidate := path.with_name(name + suffix)).is_file():
            return candidate
    raise InputError("the .img file that holds its voxels is missing", where=path, fix="Keep .hdr and .img together.")


def _shape(header: Any, path: Path) -> tuple[tuple[int, int, int], int]:
    """Spatial shape and number of channels."""
    try:
        full = [int(n) for n in header.get_data_shape()]
    except (HeaderDataError, ValueError) as error:
        raise InputError(
            f"its dimensions are not valid ({error})", where=path, fix="Save it again with the tool that made it."
        ) from error
    if not 2 <= len(full) <= 7 or min(full) < 1:
        raise InputError(
            f"its dimensions {tuple(full)} are not those of a scan",
            where=path,
            fix="Save one 2D or 3D image, channels as the fourth dimension.",
        )
    x, y, z, *rest = [*full, 1][: max(3, len(full))]
    more = [n for n in rest if n > 1]
    if len(more) > 1:
        raise InputError(
            f"it has more than four dimensions: {tuple(full)}", where=path, fix="Write one file for each time point."
        )
    return (x, y, z), (more[0] if more else 1)


def voxel_offset(header: Any, path: Path) -> int:
    """Byte of the file the voxels start at."""
    offset = float(header["vox_offset"])
    smallest = 0 if header["magic"].item().startswith(b"ni") else header.template_dtype.itemsize
    if not smallest <= offset <= LARGEST_EXTENSIONS:
        raise InputError(f"its voxels cannot start at byte {offset:g}", where=path, fix="Write the file again.")
    return int(offset)


def _geometry(header: Any, pixdim: Any, shape: tuple[int, int, int], path: Path, warnings: list[str]) -> Geometry:
    """Where the voxels lie: the sform where there is one, else the qform, as nibabel decides."""
    sform, qform = int(header["sform_code"]), int(header["qform_code"])
    if sform <= 0 and qform <= 0:
        raise InputError(
            "its header gives no orientation of the patient (sform and qform codes are both 0)",
            where=path,
            fix="If you know the orientation, write it into the header: nibabel.Nifti1Image(data, affine).",
        )
    unit = int(header["xyzt_units"]) & 7
    if unit not in MM:
        raise InputError(
            f"its unit of length has the unknown code {unit}",
            where=path,
            fix="Save it again with the tool that made it.",
        )
    to_mm = np.array([[MM[unit]]] * 3 + [[1.0]])
    try:
        if sform <= 0 and not (np.abs(pixdim[1:4])[np.array(shape) > 1] > 0).all():
            raise ValueError("a voxel size in pixdim is 0, and there is no sform")
        geometry = Geometry(to_mm * header.get_best_affine(), shape)
        if sform > 0 and qform > 0:
            other = Geometry(to_mm * header.get_qform(), shape)
            apart = geometry.difference(other)
            if apart > 0.1 * min(geometry.spacing):
                turned = (
                    ""
                    if geometry.orientation == other.orientation
                    else (f" and call the axes {geometry.orientation} and {other.orientation}")
                )
                warnings.append(f"sform and qform put corners {apart:.3g} mm apart{turned}; the sform was used")
        if sform > 0 and not warnings:
            warnings += _contradicts_pixdim(pixdim, to_mm, geometry)
    except (HeaderDataError, ValueError, MedsegError) as error:
        what = error.what if isinstance(error, MedsegError) else f"its orientation is not valid ({error})"
        raise InputError(what, where=path, fix="Write the header again with the tool that made the file.") from error
    if MM[unit] != 1:
        warnings.append(
            f"Lengths in the header are in {'meters' if unit == 1 else 'micrometers'}; they were converted to mm"
        )
    return geometry


def _has_empty_sform(header: Any) -> bool:
    """Whether there is an sform by its code, and nothing in it."""
    return int(header["sform_code"]) > 0 and not any(np.any(header[row]) for row in ("srow_x", "srow_y", "srow_z"))


def _contradicts_pixdim(pixdim: Any, to_mm: Any, geometry: Geometry) -> list[str]:
    """Warn where the voxel size of the sform is not that of pixdim; one of the two was not written, or is wrong."""
    stated = np.abs(pixdim[1:4].astype(np.float64)) * to_mm[0]
    spacing = np.array(geometry.spacing)
    # Axes of one voxel need no size, and files of two dimensions have no third one.
    checked = (np.array(geometry.shape) > 1) & (stated > 0)
    if not (np.abs(stated - spacing) > PIXDIM_SLACK * spacing)[checked].any():
        return []
    sizes = [" x ".join(f"{size:.3g}" for size in sizes) for sizes in (spacing, stated)]
    return [f"Voxels are {sizes[0]} mm large by the sform and {sizes[1]} mm by pixdim; the sform was used"]
