"""Puts together the RT Structure Set of a label map, element by element, as PS3.3 A.19 asks."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RTStructureSetStorage

from medseg.io.dicom.header import lenient
from medseg.io.dicom.plane import LPS
from medseg.io.dicom_results.coding import (
    SOFTWARE_VERSION,
    algorithm_type,
    concept,
    long_string,
    notice,
    person_name,
    serial_number,
    title,
    type_of,
)
from medseg.io.dicom_results.contours import trace
from medseg.io.dicom_results.identity import PROVISIONAL, source_moment
from medseg.io.dicom_results.source import TYPE_2, SourceSeries, reference
from medseg.types import AnyLabels, LabelClass, LabelMap, ModelIdentity
from medseg.types.overlapping import class_map
from medseg.types.verification import Verification

SERIES_NUMBER = 9002
MOST_EXPLICIT = 0xFFFE
# Of the study a structure set refers to; retired, and still what every reader expects there.
DETACHED_STUDY_MANAGEMENT = "1.2.840.10008.3.1.2.3.1"


@lenient()
def build_rtstruct(
    labels: AnyLabels, series: SourceSeries, model: ModelIdentity, verification: Verification | None = None
) -> Dataset:
    """Build the object, not yet sealed: one structure for each class, in the order of the table."""
    dataset = _frame(series, model)
    if verification is not None:
        dataset.ApprovalStatus, dataset.ReviewerName = "APPROVED", person_name(verification.observer)
        dataset.ReviewDate, dataset.ReviewTime = verification.date_time[:8], verification.date_time[8:14]
    dataset.ReferencedFrameOfReferenceSequence = [_referenced(series)]
    dataset.StructureSetROISequence, dataset.ROIContourSequence, dataset.RTROIObservationsSequence = [], [], []
    for number, entry in enumerate(labels.table, start=1):
        dataset.StructureSetROISequence.append(_structure(entry, number, series, model))
        dataset.ROIContourSequence.append(_contours(entry, number, class_map(labels, entry), series))
        dataset.RTROIObservationsSequence.append(_observation(entry, number))
    if any(_is_long(contour) for item in dataset.ROIContourSequence for contour in item.get("ContourSequence") or ()):
        # Where kinds are explicit, two bytes state the length of a list of numbers.
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return dataset


def _is_long(contour: Dataset) -> bool:
    """Whether the points of a contour take more bytes than an element of explicit kind can state."""
    return sum(len(str(value)) + 1 for value in contour.ContourData) > MOST_EXPLICIT


def _frame(series: SourceSeries, model: ModelIdentity) -> Dataset:
    """Everything but the structures."""
    header, dataset = series.first, Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = RTStructureSetStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = PROVISIONAL["SOPInstanceUID"]
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for keyword in (*TYPE_2, "StudyInstanceUID", "FrameOfReferenceUID"):
        dataset[keyword] = header[keyword]
    dataset.PositionReferenceIndicator = header.get("PositionReferenceIndicator") or ""
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = "RTSTRUCT", SERIES_NUMBER, 1
    dataset.OperatorsName = person_name(model.reviewer)
    dataset.SeriesDescription = title(model)
    dataset.Manufacturer, dataset.ManufacturerModelName = "medseg", long_string(model.name)
    dataset.DeviceSerialNumber, dataset.SoftwareVersions = serial_number(model), SOFTWARE_VERSION
    dataset.StructureSetLabel, dataset.StructureSetName = "medseg", long_string(str(model))
    dataset.StructureSetDescription = notice(model)
    dataset.StructureSetDate, dataset.StructureSetTime = source_moment(header)
    dataset.ApprovalStatus = "UNAPPROVED"
    return dataset


def _referenced(series: SourceSeries) -> Dataset:
    header, frame, study, referenced = series.first, Dataset(), Dataset(), Dataset()
    frame.FrameOfReferenceUID = header.FrameOfReferenceUID
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = DETACHED_STUDY_MANAGEMENT, header.StudyInstanceUID
    referenced.SeriesInstanceUID = header.SeriesInstanceUID
    referenced.ContourImageSequence = [reference(instance) for instance in series.headers]
    study.RTReferencedSeriesSequence = [referenced]
    frame.RTReferencedStudySequence = [study]
    return frame


def _structure(entry: LabelClass, number: int, series: SourceSeries, model: ModelIdentity) -> Dataset:
    item = Dataset()
    item.ROINumber, item.ROIName = number, long_string(entry.name)
    item.ReferencedFrameOfReferenceUID = series.first.FrameOfReferenceUID
    item.ROIGenerationAlgorithm = algorithm_type(model, entry.value)
    item.ROIGenerationDescription = long_string(str(model))
    return item


def _contours(entry: LabelClass, number: int, labels: LabelMap, series: SourceSeries) -> Dataset:
    item = Dataset()
    item.ROIDisplayColor, item.ReferencedROINumber = list(entry.color), number
    contours = []
    mask = labels.array == entry.value
    for k in np.flatnonzero(mask.any(axis=(0, 1))).tolist():
        image = series.reference_to(k)
        for polygon in trace(mask[:, :, k]):
            points = labels.geometry.to_world(np.column_stack([polygon, np.full(len(polygon), k)])) @ LPS
            contour = Dataset()
            contour.ContourImageSequence = [image]
            contour.ContourGeometricType = "CLOSED_PLANAR"
            contour.NumberOfContourPoints = len(points)
            contour.ContourData = [f"{value:.4f}" for value in points.ravel()]
            contours.append(contour)
    if contours:
        item.ContourSequence = contours
    return item


def _observation(entry: LabelClass, number: int) -> Dataset:
    item = Dataset()
    item.ObservationNumber = item.ReferencedROINumber = number
    item.RTROIInterpretedType, item.ROIInterpreter = "", ""
    item.RTROIIdentificationCodeSequence = [concept(type_of(entry))]
    return item
