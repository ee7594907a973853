"""NIfTI-1 and NIfTI-2: reading scans and labels, and writing them so that they lie exactly where the source does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.spatialimages import HeaderDataError

from medseg.errors import FormatLimitation, InputError
from medseg.io.channel_labels import labels_of_channels
from medseg.io.files.atomic import atomic_path
from medseg.io.files.byte_stream import native, open_bytes, read_exactly, skip
from medseg.io.files.gzip_stream import write_gzip
from medseg.io.files.scratch import release
from medseg.io.intensities import as_intensities, as_labels
from medseg.io.nifti_header import MM, Opened, open_header, voxel_offset
from medseg.types.geometry import Geometry
from medseg.types.labels import LabelMap, LabelTable, smallest_label_dtype
from medseg.types.overlapping import AnyLabels, OverlappingLabels
from medseg.types.scan import Scan, Source
from medseg.types.value_counts import value_counts

Convert = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]

INTENT_LABEL = 1002
ONE_A_CHANNEL = (
    "Give a 3D file; what takes one class a channel are convert, export, evaluate, medseg.read_any_labels and datasets "
    "with `overlapping: true`."
)
OVERLAPPING = "medseg classes"  # name of the intent of a file with one channel a class
LARGEST_NIFTI1_DIMENSION = 32767


def look(path: Path) -> tuple[str, tuple[Path, ...]]:
    """Check a header without reading voxels; say what it says, and list the files it takes."""
    opened = open_header(path)
    size = "x".join(map(str, opened.shape)) + (f", {opened.channels} channels" if opened.channels > 1 else "")
    return f"NIfTI, {size}, {' x '.join(f'{s:.3g}' for s in opened.geometry.spacing)} mm", opened.files


def read_scan(path: Path) -> Scan:
    """Read a scan from ``.nii``, ``.nii.gz`` or a ``.hdr``/``.img`` pair.

    Whole numbers without scaling keep their type; all else becomes float32. A fourth (or fifth) axis is channels.
    """
    opened = open_header(path)
    stored, slope, intercept = _read_stored(opened, path)
    array = as_intensities(stored, slope, intercept, where=path)
    channels_first = np.moveaxis(array.reshape((*opened.shape, opened.channels), order="F"), 3, 0)
    return Scan(
        channels_first,
        opened.geometry,
        None,
        Source("nifti", opened.files, warnings=opened.warnings, notes=opened.notes),
    )


def read_labels(path: Path) -> LabelMap:
    """Read a label map; values without names are called ``class-N``."""
    opened = open_header(path)
    if opened.channels > 1 and bytes(opened.header["intent_name"]).rstrip(b"\0") == OVERLAPPING.encode():
        raise FormatLimitation(
            "its classes may overlap, one in each channel, and a label map holds one class for each voxel",
            where=path,
            fix=ONE_A_CHANNEL,
        )
    if opened.channels > 1:
        raise InputError(
            f"a label map has one value for each voxel, not {opened.channels}", where=path, fix=ONE_A_CHANNEL
        )
    stored, slope, intercept = _read_stored(opened, path)
    if (slope, intercept) != (1.0, 0.0):
        stored = as_intensities(stored, slope, intercept, where=path)
    array = as_labels(stored, where=path).reshape(opened.shape, order="F")
    return LabelMap(array, opened.geometry, LabelTable.unnamed(np.flatnonzero(value_counts(array))))


def read_any_labels(path: Path, *, one_hot: bool = True) -> AnyLabels:
    """Read labels as `read_labels` does, and of a file with channels the mask of one class in each.

    - `one_hot`: whether a first channel that is set exactly where no other is may be the background.
    """
    opened = open_header(path)
    if opened.channels == 1:
        return read_labels(path)
    stored, slope, intercept = _read_stored(opened, path)
    flat = stored.reshape(opened.channels, -1)
    if (slope, intercept) != (1.0, 0.0):
        flat = as_intensities(flat, slope, intercept, where=path)
    channels = (as_labels(one, where=path).reshape(opened.shape, order="F") for one in flat)
    return labels_of_channels(channels, opened.geometry, path, may_have_background=one_hot)


def declares_labels(path: Path) -> bool:
    """Whether the header's intent code says that the file holds labels."""
    return int(open_header(path).header["intent_code"]) == INTENT_LABEL


def write_labels(labels: LabelMap, path: Path, source: Source | None = None, notice: str = "") -> None:
    """Write a label map, byte for byte the same for the same input, whole or not at all; a notice is its description.

    A NIfTI source's orientation is copied bit by bit, so that both files have the very same affine in every reader.
    Labels that are not on its grid are a `GeometryMismatch`.
    """
    largest = max(int(labels.array.max(initial=0)), labels.table.largest)
    array = labels.array.astype(smallest_label_dtype(largest), copy=False)
    header = _header_like(array, labels.geometry, source)
    header.set_intent(INTENT_LABEL, name="medseg labels")
    _write(array, _with_notice(header, notice), path)


def write_overlapping(labels: OverlappingLabels, path: Path, source: Source | None = None, notice: str = "") -> None:
    """Write one channel for each class of the table, in its order: 1 inside the class; otherwise as `write_labels`."""
    shape = (*labels.geometry.shape, len(labels.table))
    header = _header_like(np.broadcast_to(np.uint8(0), shape), labels.geometry, source)
    header.set_intent(INTENT_LABEL, name=OVERLAPPING)
    _with_notice(header, notice)
    # Of all channels, one at a time is in memory.
    _write_channels((labels.mask(entry.value).view(np.uint8) for entry in labels.table), header, path)


def write_scan(scan: Scan, path: Path, notice: str = "") -> None:
    """Write a scan's voxels as they are, channels as the fourth axis; see `write_labels` for the rest."""
    array = scan.array[0] if scan.channels == 1 else np.moveaxis(scan.array, 0, 3)
    _write(array, _with_notice(_header_like(array, scan.geometry, scan.source), notice), path)


def write_probabilities(
    probabilities: npt.NDArray[Any], geometry: Geometry, path: Path, source: Source | None = None, notice: str = ""
) -> None:
    """Write numbers between 0 and 1 as bytes of 255ths, which every reader scales back; otherwise as `write_labels`.

    Shape (X, Y, Z) or (K, X, Y, Z), where K becomes the fourth axis. Of an array in a file, one slice at a time is in
    memory.
    """
    array = probabilities if probabilities.ndim == 3 else np.moveaxis(probabilities, 0, 3)
    header = _header_like(np.broadcast_to(np.uint8(0), array.shape), geometry, source)
    header.set_slope_inter(1 / 255, 0)
    _with_notice(header, notice)

    def in_255ths(plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
        stored = np.rint(plane.astype(np.float32) * 255).astype(np.uint8)
        release(probabilities)
        return stored

    _write(array, header, path, in_255ths)


def _read_stored(opened: Opened, path: Path) -> tuple[npt.NDArray[Any], float, float]:
    """Voxels as stored, flat and in file order, with slope and intercept (1 and 0 where the header names none)."""
    header = opened.header
    try:
        if np.isinf(header["scl_slope"]):
            raise HeaderDataError("the slope is infinite")
        slope, intercept = header.get_slope_inter()
    except HeaderDataError as error:
        raise InputError(
            f"its slope and intercept are not valid ({error})",
            where=path,
            fix="Save it again with the tool that made it.",
        ) from error
    stored = np.empty(opened.geometry.voxel_count * opened.channels, dtype=header.get_data_dtype())
    with open_bytes(opened.files[-1]) as stream:
        skip(stream, voxel_offset(header, path), opened.files[-1])
        read_exactly(stream, stored.view(np.uint8), opened.files[-1])
    return native(stored) if stored.dtype.fields is None else stored, slope or 1.0, intercept or 0.0


def _with_notice(header: Any, notice: str) -> Any:
    """Return the header with a notice, where there is one, as its description."""
    if notice:
        header["descrip"] = f"medseg: {notice}".encode("ascii", "replace")[:79]
    return header


def _header_like(array: npt.NDArray[Any], geometry: Geometry, source: Source | None) -> Any:
    """Return a header for an array on a grid; the source file's own orientation fields where it is NIfTI."""
    if source is not None and source.format == "nifti" and source.files and source.files[0].is_file():
        opened = open_header(source.files[0])
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
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    _write_channels((little,), header, path, convert)


def _write_channels(arrays: Iterable[npt.NDArray[Any]], header: Any, path: Path, convert: Convert = np.asarray) -> None:
    """Write header and arrays, one after the other, each little-endian and with x fastest."""
    if not path.name.endswith((".nii", ".nii.gz")):
        raise InputError("a NIfTI file's name must end in .nii or .nii.gz", where=path, fix="Rename it.")
    single = type(header)(header.binaryblock, endianness="<")
    single["magic"] = b"n+2" if isinstance(single, nib.Nifti2Header) else b"n+1"
    single["vox_offset"] = single.template_dtype.itemsize + 4
    if not single["descrip"]:
        single["descrip"] = b"medseg"
    with atomic_path(path) as part, part.open("wb") as raw:
        if path.name.endswith(".gz"):
            with write_gzip(raw) as packed:
                _pour(single, arrays, packed.write, convert)
        else:
            _pour(single, arrays, raw.write, convert)


def _pour(header: Any, arrays: Iterable[npt.NDArray[Any]], write: Callable[[bytes], object], convert: Convert) -> None:
    """Write header and voxels, x fastest, a slice at a time."""
    write(header.binaryblock + b"\0\0\0\0")
    for array in arrays:
        for index in np.ndindex(*array.shape[2:][::-1]):
            write(convert(array[(slice(None), slice(None), *index[::-1])]).tobytes(order="F"))
