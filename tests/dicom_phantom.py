"""DICOM series of a phantom whose every voxel tells where in the patient it lies.

The phantom is a field over the world: `encode` gives a value for each point, in mm, RAS+. A series samples it on any
grid. Whoever reads the series can then check each voxel against the place he believes it to have (`check`): a slice
missing, an axis reversed, a step too long or an offset all give wrong values somewhere.

>>> paths = write_series(folder, grid(orientation="oblique"))
>>> check(load_scan(folder))
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.tag import Tag
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
)

Array = npt.NDArray[Any]
STORAGE = {"CT": CTImageStorage, "MR": MRImageStorage, "PT": PositronEmissionTomographyImageStorage}
ENHANCED = {"CT": EnhancedCTImageStorage, "MR": EnhancedMRImageStorage}
# Directions of columns and rows, LPS+, as in the image orientation (patient) attribute.
ORIENTATIONS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "axial": ((1, 0, 0), (0, 1, 0)),
    "coronal": ((1, 0, 0), (0, 0, -1)),
    "sagittal": ((0, 1, 0), (0, 0, -1)),
    "oblique": ((0.9397, 0.3420, 0), (-0.2962, 0.8138, 0.5)),
}


def encode(world: Array) -> Array:
    """Value of the phantom at world points, mm RAS+, shape (..., 3); 0 to about 5000 within 120 mm of the origin."""
    value: Array = 2500 + np.asarray(world) @ np.array([4.1, 5.3, 7.7])
    return value


def uid(*parts: object) -> str:
    """Return a valid UID that depends on nothing but its parts."""
    return "2.25." + str(int(hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:30], 16))


@dataclass(frozen=True)
class Grid:
    """Where the pixels of a series lie, in DICOM's terms: mm, LPS+.

    `row` and `column` are directions; `spacing` is between rows, then between columns; `positions`, shape (slices, 3),
    are the centers of each slice's first pixel.
    """

    columns: int
    rows: int
    row: tuple[float, float, float]
    column: tuple[float, float, float]
    spacing: tuple[float, float]
    positions: Array

    def world(self, k: int) -> Array:
        """World points, mm RAS+, of a slice's pixels, shape (rows, columns, 3)."""
        y, x = np.meshgrid(np.arange(self.rows), np.arange(self.columns), indexing="ij")
        lps = (
            self.positions[k]
            + x[..., None] * np.array(self.row) * self.spacing[1]
            + y[..., None] * np.array(self.column) * self.spacing[0]
        )
        return lps * [-1, -1, 1]

    def without(self, *slices: int) -> "Grid":
        """Return the grid without some of its slices."""
        return replace(self, positions=np.delete(self.positions, slices, axis=0))


def grid(
    orientation: str = "axial",
    *,
    columns: int = 14,
    rows: int = 11,
    slices: int = 9,
    spacing: tuple[float, float] = (1.5, 1.25),
    step: float = 2.5,
    tilt: float = 0.0,
    reverse: bool = False,
) -> Grid:
    """Make a grid around the origin.

    Slices are `step` mm apart along their normal, or along the table where the gantry is tilted, by `tilt` degrees.
    """
    row, column = (np.array(d, dtype=float) for d in ORIENTATIONS[orientation])
    along = np.cross(row, column) * step
    if tilt:
        angle = np.radians(tilt)
        column = column * np.cos(angle) - np.cross(row, column) * np.sin(angle)
    start = -0.5 * (row * spacing[1] * columns + column * spacing[0] * rows + along * slices) + [3.0, -7.0, 11.0]
    numbers = np.arange(slices)[::-1] if reverse else np.arange(slices)
    positions = np.round(start + numbers[:, None] * along, 4)
    return Grid(columns, rows, tuple(row), tuple(column), spacing, positions)


def mixed_spacing(**options: Any) -> Grid:
    """Steps of 4 mm, then of 7 mm, as in head CT of old."""
    where = grid(slices=12, step=4, **options)
    where.positions[6:] += np.arange(1, 7)[:, None] * (where.positions[1] - where.positions[0]) * 0.75
    return where


def truth(geometry: Any) -> Array:
    """Value of the phantom at every voxel of a grid."""
    return encode(geometry.to_world(np.moveaxis(np.indices(geometry.shape), 0, -1)))


def check(scan: Any, *, slack: float = 0.51, channel: int = 0) -> None:
    """Assert that every voxel of a scan has the value of the place where the scan says it lies."""
    off = np.abs(scan.array[channel] - truth(scan.geometry))
    assert off.max() <= slack, f"voxel {np.unravel_index(off.argmax(), off.shape)} is off by {off.max():.1f}"


def write_series(
    folder: Path,
    where: Grid,
    *,
    modality: str = "CT",
    name: str = "series",
    slopes: Sequence[float] | float = 1.0,
    intercept: float = -1024.0,
    signed: bool = True,
    bits: int = 16,
    numbers: Sequence[int] | None = None,
    values: Callable[[Array], Array] = encode,
    edit: Callable[[Dataset, int], None] | None = None,
) -> list[Path]:
    """Write a series of single-frame files, whose UIDs come from its name; paths in the order of the grid's positions.

    File names tell nothing of that order. `slopes` is one for all or one for each slice; pixels are clipped to what
    fits; `numbers` are instance numbers; `edit` may change each data set before it is written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = len(where.positions)
    slopes = [float(slopes)] * count if isinstance(slopes, (int, float)) else list(slopes)
    paths = []
    for k in range(count):
        ds = _image(STORAGE[modality], modality, name, uid(name, k), where, signed, bits)
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.InstanceNumber = numbers[k] if numbers is not None else k + 1
        ds.ImagePositionPatient = [round(float(v), 4) for v in where.positions[k]]
        ds.ImageOrientationPatient = [round(float(v), 8) for v in (*where.row, *where.column)]
        ds.PixelSpacing = list(where.spacing)
        ds.SliceThickness = 2.5
        ds.RescaleSlope, ds.RescaleIntercept = f"{slopes[k]:.10g}"[:16], f"{intercept:.10g}"
        stored = _stored(values(where.world(k)), slopes[k], intercept, signed, bits)
        ds.PixelData = stored.tobytes()
        if edit is not None:
            edit(ds, k)
        paths.append(folder / f"{hashlib.sha256(f'{name}{k}'.encode()).hexdigest()[:12]}.dcm")
        ds.save_as(paths[-1], enforce_file_format=True)
    return paths


def write_enhanced(
    path: Path,
    where: Grid,
    *,
    modality: str = "MR",
    name: str = "enhanced",
    frames: Sequence[tuple[int, int]] | None = None,
    slope: float = 1.0,
    intercept: float = 0.0,
    values: Callable[[Array], Array] = encode,
    edit: Callable[[Dataset], None] | None = None,
) -> Path:
    """Write an enhanced multi-frame object; `frames` are slice and temporal position of each, in the file's order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = frames if frames is not None else [(k, 1) for k in range(len(where.positions))]
    organization = uid(name, "dimensions")
    ds = _image(ENHANCED[modality], modality, name, uid(name, "object"), where, signed=False, bits=16)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    ds.InstanceNumber = 1
    ds.NumberOfFrames = len(frames)
    ds.DimensionOrganizationSequence = sequence(DimensionOrganizationUID=organization)
    content = {"DimensionOrganizationUID": organization, "FunctionalGroupPointer": Tag("FrameContentSequence")}
    ds.DimensionIndexSequence = [
        sequence(DimensionIndexPointer=Tag(pointer), **content)[0]
        for pointer in ("TemporalPositionIndex", "InStackPositionNumber")
    ]
    direction = [round(float(v), 8) for v in (*where.row, *where.column)]
    ds.SharedFunctionalGroupsSequence = sequence(
        PlaneOrientationSequence=sequence(ImageOrientationPatient=direction),
        PixelMeasuresSequence=sequence(PixelSpacing=list(where.spacing), SliceThickness=2.5),
    )
    per_frame, pixels = [], []
    for k, time in frames:
        groups = Dataset()
        groups.PlanePositionSequence = sequence(ImagePositionPatient=[round(float(v), 4) for v in where.positions[k]])
        groups.FrameContentSequence = sequence(
            StackID="1", InStackPositionNumber=k + 1, TemporalPositionIndex=time, DimensionIndexValues=[time, k + 1]
        )
        groups.PixelValueTransformationSequence = sequence(
            RescaleSlope=slope, RescaleIntercept=intercept, RescaleType="US"
        )
        per_frame.append(groups)
        pixels.append(_stored(values(where.world(k)) + 100 * (time - 1), slope, intercept, False, 16))
    ds.PerFrameFunctionalGroupsSequence = DicomSequence(per_frame)
    ds.PixelData = np.stack(pixels).tobytes()
    if edit is not None:
        edit(ds)
    ds.save_as(path, enforce_file_format=True)
    return path


def sequence(**attributes: Any) -> DicomSequence:
    """A sequence of one item."""
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return DicomSequence([item])


def _image(storage: str, modality: str, name: str, instance: str, where: Grid, signed: bool, bits: int) -> FileDataset:
    """Everything but place and pixels."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = storage, instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", Dataset(), file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = storage, instance, modality
    ds.StudyInstanceUID, ds.SeriesInstanceUID = uid(name, "study"), uid(name, "series")
    ds.FrameOfReferenceUID = uid(name, "frame of reference")
    ds.PatientName, ds.PatientID = "Doe^Jane", "MRN-4711"
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = "20240229"
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = "101500"
    ds.Rows, ds.Columns = where.rows, where.columns
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = 8 if bits <= 8 else 16
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits - 1, int(signed)
    return ds


def _stored(real: Array, slope: float, intercept: float, signed: bool, bits: int) -> Array:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    dtype = np.dtype(f"<{'i' if signed else 'u'}{1 if bits <= 8 else 2}")
    return np.clip(np.rint((real - intercept) / slope), low, high).astype(dtype)
