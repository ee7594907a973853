"""NRRD and MetaImage through SimpleITK: reading scans and labels, and writing them."""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk  # noqa: N813 - its own documentation's name for it

from medseg.errors import FormatLimitation, InputError
from medseg.io.channel_labels import labels_of_channels
from medseg.io.files.atomic import atomic_path
from medseg.io.intensities import as_intensities, as_labels
from medseg.io.itk_grid import SPACES, StatedGrid, stated_grid
from medseg.io.itk_header import ItkFormat, TextHeader, check_data, read_header
from medseg.io.mitk_labels import GROUPS, read_groups
from medseg.io.nifti import ONE_A_CHANNEL
from medseg.io.slicer_segments import layers_of, read_segments, segment_fields, stacked
from medseg.isolation.apart import apart
from medseg.types.geometry import Geometry
from medseg.types.labels import LabelMap, LabelTable
from medseg.types.overlapping import AnyLabels, OverlappingLabels
from medseg.types.scan import Scan, Source

IMAGE_IO: dict[ItkFormat, str] = {"nrrd": "NrrdImageIO", "meta": "MetaImageIO"}
SEGMENT_KEY = re.compile(rf"Segment\d+_[A-Za-z]+|{re.escape(GROUPS)}")
# Where in its code ITK found an error.
ITK_PLACE = re.compile(r"^ITK ERROR: |\b\w+\(0x[0-9a-f]+\): |\[nrrd\] \w+: |\bReadImageInformation: ")
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
LEAST_FREE = 1 << 20  # bytes; a disk with less is full


def look(path: Path, kind: ItkFormat) -> tuple[str, tuple[Path, ...]]:
    """Check a header without reading voxels; say what it says, and list the files it takes."""
    reader, header, stated = _open(path, kind)
    geometry, components = _layout(reader, stated, path)
    size = "x".join(map(str, geometry.shape)) + (f", {components} channels" if components > 1 else "")
    name = "NRRD" if kind == "nrrd" else "MetaImage"
    return f"{name}, {size}, {' x '.join(f'{s:.3g}' for s in geometry.spacing)} mm", header.files


@apart
def read_scan(path: Path, kind: ItkFormat) -> Scan:
    """Read a NRRD (attached or detached) or MetaImage file; components and a fourth dimension are channels."""
    array, geometry, warnings, files, _ = _read(path, kind)
    return Scan(as_intensities(array, where=path), geometry, None, Source(kind, files, warnings=warnings))


@apart
def read_labels(path: Path, kind: ItkFormat) -> LabelMap:
    """Read a label map, with names and colors where 3D Slicer (``.seg.nrrd``; codes too) or MITK wrote them.

    Segments that share a voxel are a `FormatLimitation`; `read_any_labels` reads them.
    """
    array, geometry, _, _, fields = _read(path, kind)
    layers = as_labels(array, where=path)
    named = _named(layers, fields, geometry, path)
    if named is not None:
        return _not_overlapping(named, path)
    if len(layers) > 1:
        raise InputError(f"a label map has one value for each voxel, not {len(layers)}", where=path, fix=ONE_A_CHANNEL)
    return LabelMap(layers[0], geometry, LabelTable.unnamed(np.unique(layers[0])))


@apart
def read_any_labels(path: Path, kind: ItkFormat) -> AnyLabels:
    """Read labels as `read_labels` does, and those that overlap, in layers or one channel a class, as such."""
    array, geometry, _, _, fields = _read(path, kind)
    layers = as_labels(array, where=path)
    named = _named(layers, fields, geometry, path)
    if named is not None:
        return named if named.overlap else _not_overlapping(named, path)
    if len(layers) > 1:
        return labels_of_channels(layers, geometry, path)
    return LabelMap(layers[0], geometry, LabelTable.unnamed(np.unique(layers[0])))


def _named(
    layers: npt.NDArray[Any], fields: dict[str, str], geometry: Geometry, path: Path
) -> OverlappingLabels | None:
    """What 3D Slicer's or MITK's description says of the layers; None without one."""
    if fields.keys() - {GROUPS}:
        return read_segments(layers, fields, geometry, where=path)
    return read_groups(layers, fields[GROUPS], geometry, where=path) if GROUPS in fields else None


def _not_overlapping(labels: OverlappingLabels, path: Path) -> LabelMap:
    if labels.overlap:
        several = next(values for values in labels.classes_of if len(values) > 1)
        names = " and ".join(f"'{labels.table.name_of(value)}'" for value in several[:2])
        raise FormatLimitation(
            f"{names} overlap; a label map holds one class for each voxel",
            where=path,
            fix="Save the overlapping segments as files of their own.",
        )
    return labels.folded()


def write_scan(scan: Scan, path: Path) -> None:
    """Write a scan as ``.nrrd`` or ``.mha``, compressed; channels become components."""
    array = scan.array[0] if scan.channels == 1 else np.moveaxis(scan.array, 0, 3)
    _write(array, scan.geometry, path, {})


def write_labels(labels: AnyLabels, path: Path, notice: str = "") -> None:
    """Write labels as ``.mha`` or ``.nrrd``; NRRD carries 3D Slicer's segment names, colors and codes.

    Labels that may overlap, of NRRD only, are written in as many layers as needed. A notice becomes a field of the
    header.
    """
    layers = layers_of(labels)
    fields = {} if path.suffix == ".mha" else segment_fields(labels, layers)
    fields |= {"medseg_notice": notice} if notice else {}
    if isinstance(labels, LabelMap):
        _write(labels.array, labels.geometry, path, fields)
    else:
        _write(stacked(labels, layers), labels.geometry, path, fields, kind="list")


def _open(path: Path, kind: ItkFormat) -> tuple[Any, TextHeader, StatedGrid]:
    header = read_header(path, kind)
    if kind == "nrrd":
        _check_space(header, path)
    stated = stated_grid(header, kind)
    _geometry(stated.affine, (1, 1, 1), path)  # its numbers are those of a scan
    reader = sitk.ImageFileReader()
    reader.SetImageIO(IMAGE_IO[kind])
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise InputError(f"its header is not valid{_reason(error)}", where=path, fix="Save it again.") from error
    return reader, header, stated


def _text(value: str) -> str:
    """A header's text; bytes that are no UTF-8, halves of surrogate pairs to Python, are read as Windows' letters."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    return value


def _read(
    path: Path, kind: ItkFormat
) -> tuple[npt.NDArray[Any], Geometry, tuple[str, ...], tuple[Path, ...], dict[str, str]]:
    """Voxels (C, X, Y, Z) as stored, and all that is known of them."""
    reader, header, stated = _open(path, kind)
    geometry, components = _layout(reader, stated, path)
    check_data(path, header)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise InputError(f"its voxels cannot be read{_reason(error)}", where=path, fix="Save it again.") from error
    # Only what names segments is used; other keys of damaged files may hold bytes SimpleITK itself cannot take back.
    fields = {key: _text(image.GetMetaData(key)) for key in image.GetMetaDataKeys() if SEGMENT_KEY.fullmatch(key)}
    array = sitk.GetArrayFromImage(image)
    # ITK's arrays are ([T,] Z, Y, X [, component]).
    if image.GetNumberOfComponentsPerPixel() == 1:
        array = array[..., np.newaxis]
    shape = geometry.shape[::-1]
    last_first = (
        array.reshape(-1, *shape, array.shape[-1])
        if reader.GetDimension() == 4
        else array.reshape(1, *shape, array.shape[-1])
    )
    channels = (
        last_first.transpose(0, 4, 3, 2, 1).reshape(components, *geometry.shape)
        if len(last_first) > 1
        else last_first[0].transpose(3, 2, 1, 0)
    )
    return channels, geometry, stated.warnings, header.files, fields


def _check_space(header: TextHeader, path: Path) -> None:
    if header.fields.get("space", "").lower() not in SPACES:
        raise InputError(
            f"its header gives no orientation of the patient (space: {header.fields.get('space', 'none')})",
            where=path,
            fix="If you know, add the line 'space: left-posterior-superior' (or the correct one) to it.",
        )
    if units := {u.lower() for u in header.fields.get("space units", "").replace('"', " ").split()} - {"mm"}:
        raise InputError(f"its lengths are in {', '.join(sorted(units))}, not mm", where=path, fix="Save it in mm.")


def _layout(reader: Any, stated: StatedGrid, path: Path) -> tuple[Geometry, int]:
    """Grid and number of channels, from ITK's reading of the header."""
    dimension = reader.GetDimension()
    if dimension not in (2, 3, 4):
        raise InputError(f"it has {dimension} dimensions", where=path, fix="Write one file for each time point.")
    spatial = min(dimension, 3)
    direction = np.array(reader.GetDirection()).reshape(dimension, dimension)[:spatial, :spatial]
    affine = np.eye(4)
    affine[:spatial, :spatial] = direction * np.array(reader.GetSpacing())[:spatial]
    affine[:spatial, 3] = reader.GetOrigin()[:spatial]
    stated.check(affine, dimension, path)
    size = [*reader.GetSize(), 1]
    geometry = _geometry(affine, (size[0], size[1], size[2] if dimension > 2 else 1), path)
    times = size[3] if dimension == 4 else 1
    return geometry, times * reader.GetNumberOfComponents()


def _geometry(affine: npt.NDArray[Any], shape: tuple[int, int, int], path: Path) -> Geometry:
    try:
        return Geometry(LPS_TO_RAS @ affine, shape)
    except InputError as error:
        raise InputError(error.what, where=path, fix="Save it again with the tool that made it.") from error


def _write(
    array: npt.NDArray[Any], geometry: Geometry, path: Path, fields: dict[str, str], kind: str = "vector"
) -> None:
    """Write an image; `kind` is NRRD's word for what its channels are, of which ITK knows only one."""
    if path.suffix not in (".nrrd", ".mha"):
        raise InputError("the name must end in .nrrd or .mha", where=path, fix="Rename it.")
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose(2, 1, 0, *range(3, array.ndim))),
                                   isVector=array.ndim == 4)  # fmt: skip
    lps = LPS_TO_RAS @ geometry.affine
    spacing = np.array(geometry.spacing)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    for key, value in fields.items():
        image.SetMetaData(key, value)
    with atomic_path(path) as part:
        try:
            sitk.WriteImage(image, str(part), useCompression=True)
        except RuntimeError as error:
            if shutil.disk_usage(part.parent).free >= LEAST_FREE:
                raise
            # ITK says that it could not write, and not why.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        if kind != "vector":
            header, end, voxels = part.read_bytes().partition(b"\n\n")
            part.write_bytes(header.replace(b"kinds: vector", f"kinds: {kind}".encode()) + end + voxels)


def _reason(error: RuntimeError) -> str:
    """The last line of ITK's message, which is the one that says something, in parentheses; nothing where none does."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = ITK_PLACE.sub("", lines[-1]) if lines else ""
    return "" if not reason or reason.startswith("Reason: ") else f" ({reason})"
