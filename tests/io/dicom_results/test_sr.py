"""Structured reports: right volumes, right references, flags, and the same file every time."""

import time

import highdicom as hd
import pydicom
import pytest
from peer_tools import call
from pydicom.sr.codedict import codes
from small_labels import MODEL, TABLE, no_labels, some_labels
from small_series import small_multiframe, small_series

from medseg.io.dicom_results.seg import write_seg
from medseg.io.dicom_results.sr import NOTHING_FOUND, QUALITY, TOUCHES_EDGE, write_sr


def groups(path) -> list:
    report = hd.sr.srread(path)
    return report.content.get_volumetric_roi_measurement_groups()


def test_volumes_and_references(tmp_path):
    source, geometry = small_series(tmp_path / "in")
    labels = some_labels(geometry)
    write_seg(labels, source, tmp_path / "labels.seg.dcm", model=MODEL)
    write_sr(labels, source, tmp_path / "labels.sr.dcm", model=MODEL)
    seg = pydicom.dcmread(tmp_path / "labels.seg.dcm")
    for number, group in enumerate(groups(tmp_path / "labels.sr.dcm"), start=1):
        (volume,) = group.get_measurements(name=codes.SCT.Volume)
        assert volume.value == pytest.approx((labels.array == number).sum() * 0.8 * 0.6 * 2.5 / 1000, rel=1e-5)
        assert volume.unit.value == "ml"
        assert group.referenced_segment.referenced_sop_instance_uid == seg.SOPInstanceUID
        assert group.tracking_uid == seg.SegmentSequence[number - 1].TrackingUID
        assert group.tracking_identifier == TABLE.classes[number - 1].name
    report = pydicom.dcmread(tmp_path / "labels.sr.dcm")
    assert (report.VerificationFlag, report.PreliminaryFlag, report.PatientID) == ("UNVERIFIED", "PRELIMINARY", "P1")
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    listed = {item.ReferencedSOPInstanceUID for series in evidence for item in series.ReferencedSOPSequence}
    assert seg.SOPInstanceUID in listed


def test_flags(tmp_path):
    source, geometry = small_series(tmp_path / "in")
    labels = some_labels(geometry)
    labels.array[0, 5, 3] = 2
    write_sr(labels, source, tmp_path / "labels.sr.dcm", model=MODEL)
    flags = [
        [evaluation.value for evaluation in group.get_qualitative_evaluations(name=QUALITY)]
        for group in groups(tmp_path / "labels.sr.dcm")
    ]
    assert flags == [[], [TOUCHES_EDGE], [NOTHING_FOUND]]


def test_the_same_input_gives_the_same_file(tmp_path):
    source, geometry = small_series(tmp_path / "in")
    write_sr(some_labels(geometry), source, tmp_path / "a.dcm", model=MODEL)
    time.sleep(1.1)
    write_sr(some_labels(geometry), source, tmp_path / "b.dcm", model=MODEL)
    assert (tmp_path / "a.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes()


@pytest.mark.peers
def test_dsrdump_and_dcmqi_read_it(tmp_path):
    source, geometry = small_series(tmp_path / "in")
    write_sr(some_labels(geometry), source, tmp_path / "some.dcm", model=MODEL)
    write_sr(no_labels(geometry), source, tmp_path / "none.dcm", model=MODEL)
    source, geometry = small_multiframe(tmp_path / "mr.dcm")
    write_sr(some_labels(geometry), source, tmp_path / "multi.dcm", model=MODEL)
    for name in ("some", "none", "multi"):
        assert '"Volume")=' in call("dsrdump", tmp_path / f"{name}.dcm")
        call("tid1500reader", "--inputDICOM", tmp_path / f"{name}.dcm", "--outputMetadata", tmp_path / f"{name}.json")
        assert '"Volume"' in (tmp_path / f"{name}.json").read_text()
