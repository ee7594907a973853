"""A structured report of two time points: DICOM's measurement report, TID 1500, with each measurement's time point.

What is one object, or one class, at both times has one tracking UID in both groups, as a viewer that follows lesions
expects.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isclose
from pathlib import Path

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from medseg.errors import FormatLimitation
from medseg.io.dicom.inflated import read_dicom
from medseg.io.dicom_results.coding import category_of, concept, long_string, type_of
from medseg.io.dicom_results.identity import derived_uid, write_sealed
from medseg.io.dicom_results.proof import FIX, VOLUME, items_of
from medseg.io.dicom_results.source import SourceSeries, read_source
from medseg.io.dicom_results.sr import algorithm_of
from medseg.io.dicom_results.sr_document import report_document
from medseg.io.dicom_results.sr_values import volume_measurement
from medseg.types import LabelClass, ModelIdentity, Source
from medseg.types.follow_up import FollowUp, ObjectChange, TrackedObject
from medseg.types.overlapping import AnyLabels

SERIES_NUMBER = 9005
SLICES = 2  # the array axis along which the slices of a DICOM series lie
CHANGE = hd.sr.CodedConcept("change", "99MEDSEG", "Change since the earlier scan")
NAMES = ("Earlier scan", "Later scan")
ORDER = "126073"  # DCM: Time Point Order

Volumes = dict[tuple[str, int], float]  # ml, by tracking UID and time point, 1 or 2; of several parts, their sum


@dataclass(frozen=True, eq=False)
class ReportedTime:
    """Labels of one time point, the DICOM series they were made of and what made them."""

    labels: AnyLabels
    source: Source
    model: ModelIdentity


def write_follow_up_sr(follow_up: FollowUp, times: tuple[ReportedTime, ReportedTime], path: Path) -> None:
    """Write one report with the measurements of both time points, in the study of the later scan.

    The file is read back, and refused where a volume is not the one that was to be written.
    """
    series = (
        read_source(times[0].labels.geometry, times[0].source),
        read_source(times[1].labels.geometry, times[1].source),
    )
    first = series[1].first
    seed = (series[0].first.SeriesInstanceUID, first.SeriesInstanceUID)
    expected: Volumes = {}
    groups = []
    for at in (0, 1):
        for entry, uid, group in _groups(follow_up, times[at], series[at], at, seed):
            groups.append(group)
            expected[uid, at + 1] = expected.get((uid, at + 1), 0.0) + entry
    evidence = [*series[1].headers, *series[0].headers]
    document = report_document(groups, evidence, SERIES_NUMBER, first, times[1].model)
    write_sealed(document, first, path, lambda part: _prove(part, expected, first))


def read_volumes(path: Path) -> Volumes:
    """Read the volumes a report of two time points states."""
    found: Volumes = {}
    for group in items_of(read_dicom(path)):
        below = list(group.get("ContentSequence") or ())
        uids = [str(item.UID) for item in below if item.ValueType == "UIDREF"]
        orders = [_number(item) for item in below if item.ValueType == "NUM" and _code(item) == ORDER]
        for item in below:
            if item.ValueType == "NUM" and _code(item) == VOLUME and uids and orders:
                key = (uids[0], int(orders[0]))
                found[key] = found.get(key, 0.0) + _number(item)
    return found


def _groups(
    follow_up: FollowUp, time: ReportedTime, series: SourceSeries, at: int, seed: tuple[str, str]
) -> Iterator[tuple[float, str, Dataset]]:
    """Volume, tracking UID and measurement group of each class, and of each object that is there at this time."""
    entries = {entry.name: entry for entry in time.labels.table}
    for one in follow_up.classes:
        if one.class_name not in entries:
            continue
        volume = one.size.after_ml if at else one.size.before_ml
        uid = str(derived_uid("follow", *seed, "class", one.class_name))
        evaluation: list[str] = [one.size.verdict] if at else []
        measurements = [volume_measurement(volume)]
        group = _group(entries[one.class_name], one.class_name, uid, at, time.model, measurements, evaluation)
        yield float(f"{volume:.6g}"), uid, group
    for change in follow_up.objects:
        uid = str(derived_uid("follow", *seed, "object", change.class_name, change.number))
        for part in change.after if at else change.before:
            name = f"{change.class_name} {change.number}"
            measurements = [volume_measurement(part.volume_ml), *_axes(part, series)]
            group = _group(
                entries[change.class_name], name, uid, at, time.model, measurements, _words_of(change, at),
                images=_images(part, series),
            )  # fmt: skip
            yield float(f"{part.volume_ml:.6g}"), uid, group


def _words_of(change: ObjectChange, at: int) -> list[str]:
    """What became of it, at the time that it is to be seen: of what is gone, the earlier."""
    return [change.title] if at or not change.after else []


def _group(
    entry: LabelClass,
    name: str,
    uid: str,
    at: int,
    model: ModelIdentity,
    measurements: list[hd.sr.Measurement],
    words: list[str],
    images: list[hd.sr.SourceImageForMeasurementGroup] | None = None,
) -> Dataset:
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid=uid, identifier=long_string(name)),
        time_point_context=hd.sr.TimePointContext(time_point=NAMES[at], time_point_order=at + 1),
        finding_category=concept(category_of(entry)),
        finding_type=concept(type_of(entry)),
        algorithm_id=algorithm_of(model) if model.hash else None,
        measurements=measurements,
        qualitative_evaluations=[hd.sr.QualitativeEvaluation(name=CHANGE, value=_word(text)) for text in words],
        source_images=images,
    )


def _word(text: str) -> hd.sr.CodedConcept:
    """What became of an object as a code of medseg's own; no standard has one for all of them."""
    return hd.sr.CodedConcept(text.replace(",", "").replace(" ", "-")[:16].rstrip("-"), "99MEDSEG", long_string(text))


def _axes(part: TrackedObject, series: SourceSeries) -> list[hd.sr.Measurement]:
    """Return both axes; of the long one, where it lies in its image, unless it was measured across the images."""
    drawn = None
    if part.axes.plane[0] == SLICES:
        image = hd.sr.SourceImageForRegion(*_reference(part, series))
        drawn = [
            hd.sr.CoordinatesForMeasurement(hd.sr.GraphicTypeValues.POLYLINE, _within(part, series), source_image=image)
        ]
    return [
        hd.sr.Measurement(
            name=name, value=float(f"{mm:.6g}"), unit=codes.UCUM.Millimeter, referenced_coordinates=coordinates
        )
        for name, mm, coordinates in (
            (codes.SCT.LongAxis, part.axes.long_mm, drawn),
            (codes.SCT.ShortAxis, part.axes.short_mm, None),
        )
    ]


def _within(part: TrackedObject, series: SourceSeries) -> npt.NDArray[np.float64]:
    """Ends in pixels from the upper left corner of the image, where the middle of its first pixel is 0.5, 0.5."""
    columns, rows = series.planes[0].size
    ends: npt.NDArray[np.float64] = np.clip(np.array([end[:2] for end in part.axes.ends]) + 0.5, 0, [columns, rows])
    return ends


def _images(part: TrackedObject, series: SourceSeries) -> list[hd.sr.SourceImageForMeasurementGroup]:
    return [hd.sr.SourceImageForMeasurementGroup(*_reference(part, series))]


def _reference(part: TrackedObject, series: SourceSeries) -> tuple[str, str, list[int] | None]:
    """SOP class, instance and frame of the slice in which an object was measured, or which its long axis begins in."""
    k = part.axes.plane[1] if part.axes.plane[0] == SLICES else max(0, round(part.axes.ends[0][SLICES]))
    if series.slices is not None:  # the labels lie on a resampled grid: the nearest slice
        k = int(np.abs(np.array(series.slices) - k).argmin())
    k = min(k, len(series.planes) - 1)
    header = series.instance_of(k)
    frames = None if series.frames is None else [series.frames[k] + 1]
    return header.SOPClassUID, header.SOPInstanceUID, frames


def _prove(path: Path, expected: Volumes, first: Dataset) -> None:
    stated, report = read_volumes(path), read_dicom(path, stop_before_pixels=True)
    same = all(report.get(key) == first.get(key) for key in ("StudyInstanceUID", "PatientID"))
    same = same and stated.keys() == expected.keys()
    if not same or not all(isclose(stated[key], ml, rel_tol=1e-5, abs_tol=1e-9) for key, ml in expected.items()):
        raise FormatLimitation("read back, the report does not state the volumes that were to be written", fix=FIX)


def _number(item: Dataset) -> float:
    return float(item.MeasuredValueSequence[0].NumericValue)


def _code(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue)
