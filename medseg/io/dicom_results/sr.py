"""Structured reports of classes and objects: DICOM's measurement report, TID 1500, that refers to the DICOM SEG."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import highdicom as hd
from scipy import ndimage

from medseg.io.dicom_results.coding import algorithm_type, category_of, concept, long_string, type_of, with_a_class
from medseg.io.dicom_results.identity import seal, write_sealed
from medseg.io.dicom_results.proof import prove_sr
from medseg.io.dicom_results.seg import build_seg, tracking_uid
from medseg.io.dicom_results.source import SourceSeries, read_source
from medseg.io.dicom_results.sr_document import report_document
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
    evidence = [*(one.seg for one in every), *series.headers]
    document = report_document(groups, evidence, SERIES_NUMBER, series.first, model, verification)
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
