"""Structured reports of classes and objects: DICOM's measurement report, TID 1500, that refers to the DICOM SEG."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import highdicom as hd
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from scipy import ndimage

from medseg.io.dicom.header import lenient
from medseg.io.dicom_results.coding import (
    SOFTWARE_VERSION,
    algorithm_type,
    category_of,
    concept,
    long_string,
    person_name,
    serial_number,
    title,
    type_of,
    with_a_class,
)
from medseg.io.dicom_results.identity import PROVISIONAL, derived_uid, seal, write_sealed
from medseg.io.dicom_results.predecessor import as_dataset
from medseg.io.dicom_results.proof import prove_sr
from medseg.io.dicom_results.seg import build_seg, tracking_uid
from medseg.io.dicom_results.source import SourceSeries, read_source
from medseg.io.dicom_results.sr_values import measurements_of, volume_measurement
from medseg.io.object_labels import object_labels
from medseg.types import AnyLabels, Instances, LabelClass, LabelMap, ModelIdentity, Source
from medseg.types.instances import InstanceMeasures
from medseg.types.overlapping import class_counts, class_map
from medseg.types.run import ClassVolume, Measured, Volumes
from medseg.types.verification import Verification
from medseg.types.volume_interval import VolumeInterval

SERIES_NUMBER = 9003
# Objects reported one by one; a report of more is read by nobody, and takes minutes to write.
MOST_OBJECTS = 200
# What a reader should look at twice; no standard code says either.
QUALITY = hd.sr.CodedConcept("quality", "99MEDSEG", "Quality flag")
NOTHING_FOUND = hd.sr.CodedConcept("nothing-found", "99MEDSEG", "Nothing found")
TOUCHES_EDGE = hd.sr.CodedConcept("touches-edge", "99MEDSEG", "Touches the edge of the scan, may be cut off")
PROCEDURES = {
    "CT": codes.LN.CTUnspecifiedBodyRegion,
    "MR": codes.LN.MRIUnspecifiedBodyRegion,
    "PT": codes.LN.PETUnspecifiedBodyRegion,
}


def write_sr(
    labels: AnyLabels,
    source: Source,
    path: Path,
    *,
    model: ModelIdentity,
    verification: Verification | None = None,
    volumes: Volumes | None = None,
    instances: Instances | None = None,
) -> Measured:
    """Write the volume of each class and object as a TID 1500 measurement report; return the classes' volumes.

    Where `volumes` and `instances` have the scan's values inside them and their diameters, these are measurements too.
    At most `MOST_OBJECTS` objects are reported, or none; see `reports_objects`.

    The report refers to the segments of the DICOM SEG that `write_seg` makes of the same labels, source and model, and
    for objects of that made of `object_labels`. It is complete; preliminary and unverified, or final and verified where
    a person vouches for it, who then is an observer beside the model. A class of which nothing was found is reported
    with zero volume and flagged, as is one that touches the edge of the scan.
    """
    labels = with_a_class(labels)
    series = read_source(labels.geometry, source)
    seg = seal(build_seg(labels, series, model), series.first)
    rows = {} if volumes is None else {row.class_name: row for row in volumes.rows}
    segments = _Segments(labels, seg, series, model)
    groups = [_group(segments, number, rows.get(entry.name)) for number, entry in enumerate(labels.table, start=1)]
    every = [segments]
    if instances is not None and reports_objects(instances):
        numbered = object_labels(instances)
        every.append(_Segments(numbered, seal(build_seg(numbered, series, model), series.first), series, model))
        groups += [_group(every[1], number, row.measures) for number, row in enumerate(instances.rows, start=1)]
    report = hd.sr.MeasurementReport(
        observation_context=observation_context(model, verification),
        procedure_reported=PROCEDURES.get(str(series.first.get("Modality")), codes.SCT.ImagingProcedure),
        imaging_measurements=groups or None,
        title=codes.DCM.ImagingMeasurementReport,
    )
    organization = _organization(series, verification)
    with lenient():
        document = hd.sr.ComprehensiveSR(
            evidence=[*(one.seg for one in every), *series.headers],
            content=report,
            series_instance_uid=PROVISIONAL["SeriesInstanceUID"],
            series_number=SERIES_NUMBER,
            sop_instance_uid=PROVISIONAL["SOPInstanceUID"],
            instance_number=1,
            manufacturer="medseg",
            is_complete=True,
            is_final=verification is not None,
            is_verified=verification is not None,
            verifying_observer_name=None if verification is None else person_name(verification.observer),
            verifying_organization=None if verification is None else organization,
            previous_versions=_predecessors(verification),
            series_description=title(model),
            manufacturer_model_name=long_string(model.name),
            software_versions=SOFTWARE_VERSION,
            device_serial_number=serial_number(model),
        )
    document.SpecificCharacterSet = "ISO_IR 192"
    if verification is not None:
        document.VerifyingObserverSequence[0].VerificationDateTime = verification.date_time
    return write_sealed(
        document, series.first, path, lambda part: prove_sr(part, *((one.labels, one.seg) for one in every))
    )


def reports_objects(instances: Instances) -> bool:
    """Whether there are objects, and few enough to be reported one by one."""
    return 0 < len(instances.rows) <= MOST_OBJECTS


@dataclass(frozen=True, eq=False)
class _Segments:
    """Labels, and the DICOM SEG made of them that a report refers to."""

    labels: AnyLabels
    seg: hd.seg.Segmentation
    series: SourceSeries
    model: ModelIdentity

    @cached_property
    def counts(self) -> Mapping[int, int]:
        """Voxels of each class, by its value."""
        return class_counts(self.labels)

    @cached_property
    def boxes(self) -> Mapping[int, tuple[slice, ...] | None]:
        """Bounding box of each class, by its value."""
        labels, values = self.labels, [entry.value for entry in self.labels.table]
        if isinstance(labels, LabelMap):
            found = ndimage.find_objects(labels.array, labels.table.largest)
            return {value: found[value - 1] for value in values}
        return {c.value: ndimage.find_objects(class_map(labels, c).array, c.value)[-1] for c in labels.table}


def _organization(series: SourceSeries, verification: Verification | None) -> str:
    """Where the person works who vouches for the report, which DICOM insists on: by default where the scan was made."""
    stated = "" if verification is None else verification.organization
    return long_string(stated or str(series.first.get("InstitutionName") or "") or "not stated")


def _predecessors(verification: Verification | None) -> list[Dataset] | None:
    if verification is None or verification.predecessor is None:
        return None
    return [as_dataset(verification.predecessor)]


def observation_context(model: ModelIdentity, verification: Verification | None) -> hd.sr.ObservationContext:
    """Who observed: the model as a device, and the person who vouches for it."""
    device = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=derived_uid("device", model.hash),
        name="medseg",
        manufacturer_name="medseg",
        model_name=f"{model.name} {model.version}",
        serial_number=serial_number(model),
    )
    person = None
    if verification is not None:
        with lenient():  # a name of one part is one
            observer = hd.sr.PersonObserverIdentifyingAttributes(name=person_name(verification.observer))
        person = hd.sr.ObserverContext(observer_type=codes.DCM.Person, observer_identifying_attributes=observer)
    return hd.sr.ObservationContext(
        observer_person_context=person,
        observer_device_context=hd.sr.ObserverContext(
            observer_type=codes.DCM.Device, observer_identifying_attributes=device
        ),
    )


def _group(
    segments: _Segments, number: int, measured: ClassVolume | InstanceMeasures | None
) -> hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    """Measurements of the segment of a number."""
    labels, seg, series, model = segments.labels, segments.seg, segments.series, segments.model
    entry: LabelClass = labels.table.classes[number - 1]
    box = segments.boxes[entry.value]
    volume_ml = float(segments.counts[entry.value] * labels.geometry.voxel_volume / 1000)
    flags = [NOTHING_FOUND] if box is None else [TOUCHES_EDGE] if _touches_edge(box, labels.geometry.shape) else []
    return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(
            uid=tracking_uid(series, entry, model), identifier=long_string(entry.name)
        ),
        referenced_segment=hd.sr.ReferencedSegment(
            sop_class_uid=seg.SOPClassUID,
            sop_instance_uid=seg.SOPInstanceUID,
            segment_number=number,
            source_series=hd.sr.SourceSeriesForSegmentation(series.first.SeriesInstanceUID),
        ),
        finding_category=concept(category_of(entry)),
        finding_type=concept(type_of(entry)),
        algorithm_id=None if algorithm_type(model, entry.value) == "MANUAL" else algorithm_of(model),
        measurements=[
            volume_measurement(volume_ml, _interval(measured)),
            *([] if measured is None else measurements_of(measured, str(series.first.get("Modality")))),
        ],
        qualitative_evaluations=[hd.sr.QualitativeEvaluation(name=QUALITY, value=flag) for flag in flags],
    )


def _interval(measured: ClassVolume | InstanceMeasures | None) -> VolumeInterval | None:
    """Interval of a volume in ml; an area of a 2D image is reported as a volume, without one."""
    return measured.interval if isinstance(measured, ClassVolume) and measured.unit == "volume_ml" else None


def algorithm_of(model: ModelIdentity) -> hd.sr.AlgorithmIdentification:
    """Name, version and hash of a model."""
    return hd.sr.AlgorithmIdentification(
        name=model.name, version=model.version, parameters=[f"package_sha256={model.hash}"]
    )


def _touches_edge(box: tuple[slice, ...], shape: tuple[int, ...]) -> bool:
    return any(n > 1 and (side.start == 0 or side.stop == n) for side, n in zip(box, shape, strict=True))
