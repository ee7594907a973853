"""NIfTI-1 and NIfTI-2: reading scans and labels, and writing them so that they lie exactly where the source does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from medseg.errors import InputError, MedsegError
from medseg.io.files.atomic import atomic_path
from medseg.io.files.byte_stream import check_plausible, native, open_bytes, read_exactly, skip
from medseg.io.files.gzip_stream import write_gzip
from medseg.io.files.limits import check_size
from medseg.io.files.scratch import release
from medseg.io.intensities import as_intensities, as_labels
from medseg.types.geometry import Geometry
from medseg.types.labels import LabelMap, LabelTable, smallest_label_dtype
from medseg.types.scan import Scan, Source

Convert = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]

# NIfTI's codes for the unit of length, in mm; 0 is "unknown", which everybody takes for mm.
MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
LARGEST_EXTENSIONS = 1 << 26
INTENT_LABEL = 1002
LARGEST_NIFTI1_DIMENSION = 32767


@dataclass(frozen=True)
class _Opened:
    """A header that has been checked, before any voxel is read."""

    header: Any
    shape: tuple[int, int, int]
    channels: int
    geometry: Geometry
    warnings: tuple[str, ...]
    files: tuple[Path, ...]


def look(path: Path) -> tuple[str, tuple[Path, ...]]:
    """Check a header without reading voxels; say what it says, and list the files it takes."""
    opened = _open(path)
    size = "x".join(map(str, opened.shape)) + (f", {opened.channels} channels" if opened.channels > 1 else "")
    return f"NIfTI, {size}, {' x '.join(f'{s:.3g}' for s in opened.geometry.spacing)} mm", opened.files


def read_scan(path: Path) -> Scan:
    """Read a scan from ``.nii``, ``.nii.gz`` or a ``.hdr``/``.img`` pair.

    Whole numbers without scaling keep their type; all else becomes float32. A fourth (or fifth) axis is channels.
    """
    opened = _open(path)
    stored, slope, intercept = _read_stored(opened, path)
    array = as_intensities(stored, slope, intercept, where=path)
    channels_first = np.moveaxis(array.reshape((*opened.shape, opened.channels), order="F"), 3, 0)
    return Scan(channels_first, opened.geometry, None, Source("nifti", opened.files, warnings=opened.warnings))


def read_labels(path: Path) -> LabelMap:
    """Read a label map; values without names are called ``class-N``."""
    opened = _open(path)
    if opened.channels > 1:
        raise InputError(
            f"a label map has one value for each voxel, not {opened.channels}", where=path, fix="Give a 3D file."
        )
    stored, slope, intercept = _read_stored(opened, path)
    if (slope, intercept) != (1.0, 0.0):
        stored = as_intensities(stored, slope, intercept, where=path)
    array = as_labels(stored, where=path).reshape(opened.shape, order="F")
    return LabelMap(array, opened.geometry, LabelTable.unnamed(np.unique(array)))


def declares_labels(path: Path) -> bool:
    """Whether the header's intent code says that the file holds labels."""
    return int(_open(path).header["intent_code"]) == INTENT_LABEL


def write_labels(labels: LabelMap, path: Path, source: Source | None = None) -> None:
    """Write a label map, byte for byte the same for the same input, whole or not at all.

    A NIfTI source's orientation is copied bit by bit, so that both files have the very same affine in every reader.
    Labels that are not on its grid are a `GeometryMismatch`.
    """
    largest = max(int(labels.array.max(initial=0)), labels.table.largest)
    array = labels.array.astype(smallest_label_dtype(largest), copy=False)
    header = _header_like(array, labels.geometry, source)
    header.set_intent(INTENT_LABEL, name="medseg labels")
    _write(array, header, path)


def write_scan(scan: Scan, path: Path) -> None:
    """Write a scan's voxels as they are, channels as the fourth axis; see `write_labels` for the rest."""
    array = scan.array[0] if scan.channels == 1 else np.moveaxis(scan.array, 0, 3)
    _write(array, _header_like(array, scan.geometry, scan.source), path)


def write_probabilities(shares: npt.NDArray[Any], geometry: Geometry, path: Path, source: Source | None = None) -> None:
    """Write numbers between 0 and 1 as bytes of 255ths, which every reader scales back; otherwise as `write_labels`.

    Shape (X, Y, Z) or (K, X, Y, Z), where K becomes the fourth axis. Of an array in a file, one slice at a time is in
    memory.
    """
    array = shares if shares.ndim == 3 else np.moveaxis(shares, 0, 3)
    header = _header_like(np.broadcast_to(np.uint8(0), array.shape), geometry, source)
    header.set_slope_inter(1 / 255, 0)

    def in_255ths(plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
        stored = np.rint(plane.astype(np.float32) * 255).astype(np.uint8)
        release(shares)
        return stored

    _write(array, header, path, in_255ths)


def _open(path: Path) -> _Opened:
    """Read and check a header."""
    with open_bytes(path) as stream:
        header = _parse(stream, path)
    warnings: list[str] = []
    shape, channels = _shape(header, path)
    geometry = _geometry(header, shape, path, warnings)
    files: tuple[Path, ...] = (path,)
    if header["magic"].item().rstrip(b"\0") in (b"ni1", b"ni2"):
        files = (path, _pair(path))
    offset = _offset(header, path)
    try:
        item = header.get_data_dtype().itemsize
    except (HeaderDataError, KeyError) as error:
        raise InputError(
            f"its data type is not one of NIfTI's ({error})",
            where=path,
            fix="Save it again with the tool that made it.",
        ) from error
    check_plausible(files[-1], offset + check_size((*shape, channels) if channels > 1 else shape, item, where=path))
    return _Opened(header, shape, channels, geometry, tuple(warnings), files)


def _parse(stream: IO[bytes], path: Path) -> Any:
    start = stream.read(540)
    kind = nib.Nifti2Header if start[4:7] in (b"n+2", b"ni2") else nib.Nifti1Header
    block = start[: kind.template_dtype.itemsize]
    try:
        if start[4:7] not in (b"n+2", b"ni2") and start[344:347] not in (b"n+1", b"ni1"):
            raise ValueError("the magic bytes are missing")
        return kind(block)
    except (ValueError, HeaderDataError, WrapStructError) as error:
        raise InputError(
            f"it is not a NIfTI file ({error})",
            where=path,
            fix="Check that the file is whole and is what its name says.",
        ) from error


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


def _offset(header: Any, path: Path) -> int:
    offset = float(header["vox_offset"])
    smallest = 0 if header["magic"].item().startswith(b"ni") else header.template_dtype.itemsize
    if not smallest <= offset <= LARGEST_EXTENSIONS:
        raise InputError(f"its voxels cannot start at byte {offset:g}", where=path, fix="Write the file again.")
    return int(offset)


def _geometry(header: Any, shape: tuple[int, int, int], path: Path, warnings: list[str]) -> Geometry:
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
    except (HeaderDataError, ValueError, MedsegError) as error:
        what = error.what if isinstance(error, MedsegError) else f"its orientation is not valid ({error})"
        raise InputError(what, where=path, fix="Write the header again with the tool that made the file.") from error
    if MM[unit] != 1:
        warnings.append(
            f"Lengths in the header are in {'meters' if unit == 1 else 'micrometers'}; they were turned into mm"
        )
    return geometry


def _read_stored(opened: _Opened, path: Path) -> tuple[npt.NDArray[Any], float, float]:
    """Voxels as stored, flat and in file order, with slope and intercept (1 and 0 where the header names none)."""
    header = opened.header
    try:
        slope, intercept = header.get_slope_inter()
    except HeaderDataError as error:
        raise InputError(
            f"its slope and intercept are not valid ({error})",
            where=path,
            fix="Save it again with the tool that made it.",
        ) from error
    stored = np.empty(opened.geometry.voxel_count * opened.channels, dtype=header.get_data_dtype())
    with open_bytes(opened.files[-1]) as stream:
        skip(stream, _offset(header, path), opened.files[-1])
        read_exactly(stream, stored.view(np.uint8), opened.files[-1])
    return native(stored) if stored.dtype.fields is None else stored, slope or 1.0, intercept or 0.0


def _header_like(array: npt.NDArray[Any], geometry: Geometry, source: Source | None) -> Any:
    """Return a header for an array on a grid; the source file's own orientation fields where it is NIfTI."""
    if source is not None and source.format == "nifti" and source.files and source.files[0].is_file():
        opened = _open(source.files[0])
        geometry.match(opened.geometry, what="labels and the scan they were made from", where=source.files[0])
        header = type(opened.header)(endianness="<")
        flat = array.ndim == 3 and array.shape[2] == 1 and len(opened.header.get_data_shape()) == 2
        header.set_data_shape(array.shape[:2] if flat else array.shape)
        header.set_data_dtype(array.dtype)
        for field in ("sform_code", "qform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y",
                      "qoffset_z", "srow_x", "srow_y", "srow_z"):  # fmt: skip
            header[field] = opened.header[field]
        header["pixdim"][:4] = opened.header["pixdim"][:4]
        unit = int(opened.header["xyzt_units"]) & 7
        header["xyzt_units"] = unit if MM[unit] != 1 else 2
        return header
    header = nib.Nifti2Header() if max(array.shape) > LARGEST_NIFTI1_DIMENSION else nib.Nifti1Header()
    header.set_data_shape(array.shape)
    header.set_data_dtype(array.dtype)
    header.set_sform(geometry.affine, code=1)
    # A qform cannot hold a sheared grid; a reader that prefers it must not find a wrong one.
    header.set_qform(geometry.affine, code=0 if geometry.is_sheared else 1)
    header.set_xyzt_units("mm")
    return header


def _write(array: npt.NDArray[Any], header: Any, path: Path, convert: Convert = np.asarray) -> None:
    if not path.name.endswith((".nii", ".nii.gz")):
        raise InputError("a NIfTI file's name must end in .nii or .nii.gz", where=path, fix="Rename it.")
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    single = type(header)(header.binaryblock, endianness="<")
    single["magic"] = b"n+2" if isinstance(single, nib.Nifti2Header) else b"n+1"
    single["vox_offset"] = single.template_dtype.itemsize + 4
    single["descrip"] = b"medseg"
    with atomic_path(path) as part, part.open("wb") as raw:
        if path.name.endswith(".gz"):
            with write_gzip(raw) as packed:
                _pour(single, little, packed.write, convert)
        else:
            _pour(single, little, raw.write, convert)


def _pour(header: Any, array: npt.NDArray[Any], write: Callable[[bytes], object], convert: Convert) -> None:
    """Write header and voxels, x fastest, a slice at a time."""
    write(header.binaryblock + b"\0\0\0\0")
    for index in np.ndindex(*array.shape[2:][::-1]):
        write(convert(array[(slice(None), slice(None), *index[::-1])]).tobytes(order="F"))
