"""Small DICOM series whose every voxel's place in the patient is known, made in a few milliseconds."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from dicom_phantom import ORIENTATIONS, sequence
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from medseg.types import Geometry, Source

AXIAL, CORONAL, SAGITTAL = (ORIENTATIONS[name] for name in ("axial", "coronal", "sagittal"))
OBLIQUE = ((0.8, 0.48, 0.36), (-0.6, 0.64, 0.48))


def small_series(
    folder: Path,
    *,
    shape: tuple[int, int, int] = (13, 11, 6),
    orientation: tuple[Sequence[float], Sequence[float]] = AXIAL,
    spacing: tuple[float, float, float] = (0.8, 0.6, 2.5),
    lean: Sequence[float] = (0.0, 0.0, 0.0),
    reverse: bool = False,
    **elements: object,
) -> tuple[Source, Geometry]:
    """Write a series; slices step along the normal, plus `lean` mm (LPS) a slice; return it and its grid.

    Files are named against the order of the slices, so that nothing can rely on names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    row, column = np.asarray(orientation[0], float), np.asarray(orientation[1], float)
    step = np.cross(row, column) * spacing[2] * (-1 if reverse else 1) + np.asarray(lean)
    origin = np.array([-20.0, -15.0, 30.0])
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    files = []
    for k in range(shape[2]):
        header = _header(study, series, frame, shape, spacing)
        header.ImagePositionPatient = [f"{v:.6f}" for v in origin + k * step]
        header.ImageOrientationPatient = [f"{v:.8f}" for v in (*row, *column)]
        header.InstanceNumber = k + 1
        header.PixelData = np.full((shape[1], shape[0]), 100 + k, np.uint16).tobytes()
        for keyword, value in elements.items():
            setattr(header, keyword, value)
        files.append(folder / f"{shape[2] - k:04d}")
        header.save_as(files[-1], enforce_file_format=True)
    return Source("dicom", tuple(files), study, series, frame), _grid(row, column, step, origin, spacing, shape)


def small_multiframe(
    path: Path, *, shape: tuple[int, int, int] = (13, 11, 6), spacing: tuple[float, float, float] = (0.8, 0.6, 2.5)
) -> tuple[Source, Geometry]:
    """Write one Enhanced MR object whose frames are stored from last to first slice, each with its orientation."""
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    header = _header(study, series, frame, shape, spacing)
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    del header.PixelSpacing, header.SliceThickness
    row, column = np.asarray(AXIAL[0]), np.asarray(AXIAL[1])
    step, origin = np.array([0, 0, spacing[2]]), np.array([-20.0, -15.0, 30.0])
    measures = sequence(PixelSpacing=[spacing[1], spacing[0]], SliceThickness=spacing[2])
    header.SharedFunctionalGroupsSequence = sequence(PixelMeasuresSequence=measures)
    header.PerFrameFunctionalGroupsSequence = [
        sequence(
            PlanePositionSequence=sequence(ImagePositionPatient=[float(v) for v in origin + k * step]),
            PlaneOrientationSequence=sequence(ImageOrientationPatient=[*row, *column]),
        )[0]
        for k in reversed(range(shape[2]))
    ]
    header.NumberOfFrames = shape[2]
    header.InstanceNumber = 1
    header.PixelData = np.zeros(shape[::-1], np.uint16).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    header.save_as(path, enforce_file_format=True)
    return Source("dicom", (path,), study, series, frame), _grid(row, column, step, origin, spacing, shape)


def _grid(row, column, step, origin, spacing, shape) -> Geometry:
    affine = np.eye(4)
    affine[:3] = np.diag([-1, -1, 1]) @ np.stack([row * spacing[0], column * spacing[1], step, origin], axis=1)
    return Geometry(affine, shape)


def _header(study: str, series: str, frame: str, shape: tuple[int, int, int], spacing: tuple[float, ...]) -> Dataset:
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = MRImageStorage
    header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    header.StudyInstanceUID, header.SeriesInstanceUID, header.FrameOfReferenceUID = study, series, frame
    header.PatientName, header.PatientID, header.PatientBirthDate, header.PatientSex = "Doe^Jane", "P1", "19700203", "F"
    header.StudyDate, header.StudyTime, header.StudyID = "20240203", "101112", "1"
    header.AccessionNumber, header.ReferringPhysicianName, header.PositionReferenceIndicator = "A1", "", ""
    header.Modality, header.Manufacturer, header.SeriesNumber = "MR", "Maker", 3
    header.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    header.Columns, header.Rows = shape[:2]
    header.PixelSpacing, header.SliceThickness = [spacing[1], spacing[0]], spacing[2]
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 12, 11, 0
    return header
