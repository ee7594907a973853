"""Writes the demonstration's DICOM files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from medseg.types import Geometry


def write_series(array: npt.NDArray[np.int16], grid: Geometry, folder: Path, *, description: str) -> None:
    """Write an axial MR series, one file a slice, of voxels (X, Y, Z), not negative, on an axis-aligned RAS+ grid."""
    folder.mkdir(parents=True, exist_ok=True)
    # DICOM rows run towards the patient's left and columns towards posterior; the array's axes towards right and
    # anterior: turn both, and take the first voxel's place from there.
    turned = array[::-1, ::-1]
    x, y, _ = grid.shape
    for k in range(grid.shape[2]):
        corner = grid.to_world((x - 1, y - 1, k)) * (-1, -1, 1)
        data = _instance("series", k + 1, description, ("ORIGINAL", "PRIMARY", "M", "ND"))
        _image(data, turned[:, :, k].T, grid.spacing, corner, (1, 0, 0, 0, 1, 0))
        # Numbered against the direction of the slices, as some scanners do: only positions give the order.
        name = f"IM{grid.shape[2] - k:04d}"
        data.save_as(folder / name, enforce_file_format=True)


def write_localizer(path: Path, *, grid: Geometry) -> None:
    """Write a sagittal localizer image of the same study, which must not be taken for a scan."""
    data = _instance("localizer", 1, "localizer", ("ORIGINAL", "PRIMARY", "LOCALIZER"))
    side = 64
    pixels = np.add.outer(np.arange(side), np.arange(side)).astype(np.int16)
    corner = grid.to_world((grid.shape[0] // 2, grid.shape[1] - 1, grid.shape[2] - 1)) * (-1, -1, 1)
    _image(data, pixels, (2.0, 2.0, 5.0), corner, (0, 1, 0, 0, 0, -1))
    data.save_as(path, enforce_file_format=True)


def _instance(series: str, number: int, description: str, image_type: tuple[str, ...]) -> FileDataset:
    """Return an MR instance without its pixels; UIDs are always the same, so that results are too."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["medseg demo", series, str(number)])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.PatientName, data.PatientID, data.PatientBirthDate, data.PatientSex = "TEMPLATE^MNI152", "MNI152", "", "O"
    data.StudyInstanceUID = generate_uid(entropy_srcs=["medseg demo", "study"])
    data.SeriesInstanceUID = generate_uid(entropy_srcs=["medseg demo", series])
    data.FrameOfReferenceUID = generate_uid(entropy_srcs=["medseg demo", "frame of reference"])
    data.StudyID, data.AccessionNumber, data.ReferringPhysicianName = "1", "", ""
    data.StudyDate = data.SeriesDate = data.ContentDate = data.AcquisitionDate = "20240102"
    data.StudyTime = data.SeriesTime = data.ContentTime = data.AcquisitionTime = "101500"
    data.Modality, data.Manufacturer, data.BodyPartExamined = "MR", "medseg demo", "BRAIN"
    data.SeriesDescription, data.SeriesNumber, data.InstanceNumber = (
        description,
        1 if series == "series" else 99,
        number,
    )
    data.PositionReferenceIndicator, data.Laterality = "", ""
    data.ImageType = list(image_type)
    data.ScanningSequence, data.SequenceVariant, data.ScanOptions, data.MRAcquisitionType = "GR", "SP", "", "3D"
    data.EchoTime, data.RepetitionTime, data.EchoTrainLength = "3", "2000", "1"
    return data


def _image(
    data: pydicom.Dataset,
    pixels: npt.NDArray[np.int16],
    spacing: tuple[float, float, float],
    corner: npt.NDArray[np.float64],
    orientation: tuple[int, ...],
) -> None:
    """Add the pixels (rows, columns) and its place: spacing (column, row, slice) and corner in mm, LPS+."""
    data.Rows, data.Columns = pixels.shape
    data.PixelSpacing = [spacing[1], spacing[0]]
    data.SliceThickness = data.SpacingBetweenSlices = spacing[2]
    data.ImagePositionPatient = [round(float(value), 6) for value in corner]
    data.ImageOrientationPatient = list(orientation)
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
    data.PixelData = np.ascontiguousarray(pixels).astype("<u2").tobytes()
