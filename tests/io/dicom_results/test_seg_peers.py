"""What dicom3tools and dcmqi say of the DICOM SEG medseg writes."""

import json

import numpy as np
import pytest
from peer_tools import call, dicom_errors
from small_labels import MODEL, TABLE, nrrd, some_labels, world
from small_series import AXIAL, CORONAL, OBLIQUE, SAGITTAL, small_multiframe, small_series

from medseg.io.dicom_results.seg import write_seg
from medseg.types import LabelMap

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("lean", [(0, 0, 0), (0, 0.9, 0)], ids=["upright", "tilted"])
def test_dciodvfy_finds_no_error(tmp_path, lean):
    source, geometry = small_series(tmp_path / "in", lean=lean)
    labels = some_labels(geometry)
    write_seg(labels, source, tmp_path / "some.dcm", model=MODEL)
    write_seg(LabelMap(0 * labels.array, geometry, TABLE), source, tmp_path / "none.dcm", model=MODEL)
    assert dicom_errors(tmp_path / "some.dcm") == []
    assert dicom_errors(tmp_path / "none.dcm") == []


def test_dciodvfy_finds_no_error_with_a_multi_frame_source(tmp_path):
    source, geometry = small_multiframe(tmp_path / "in" / "mr.dcm")
    write_seg(some_labels(geometry), source, tmp_path / "labels.dcm", model=MODEL)
    assert dicom_errors(tmp_path / "labels.dcm") == []


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, SAGITTAL, OBLIQUE])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reversed"])
def test_dcmqi_reads_the_same_voxels_in_the_same_place(tmp_path, orientation, reverse):
    source, geometry = small_series(tmp_path / "in", orientation=orientation, reverse=reverse)
    labels = some_labels(geometry)
    write_seg(labels, source, tmp_path / "labels.dcm", model=MODEL)
    (tmp_path / "out").mkdir()
    arguments = ("--inputDICOM", tmp_path / "labels.dcm", "--outputDirectory", tmp_path / "out", "--outputType", "nrrd")
    call("segimage2itkimage", *arguments)
    for number in (1, 2, 3):
        array, grid = nrrd(tmp_path / "out" / f"{number}.nrrd")
        assert world(LabelMap((array > 0).astype(np.uint8), grid, TABLE), 1) == world(labels, number)
    read = json.loads((tmp_path / "out" / "meta.json").read_text())["segmentAttributes"]
    assert [item["SegmentLabel"] for group in read for item in group] == ["liver", "Größe α", "never found"]
    assert read[0][0]["SegmentedPropertyTypeCodeSequence"]["CodeValue"] == "10200004"


def test_dcmqi_reads_an_object_without_findings(tmp_path):
    source, geometry = small_series(tmp_path / "in")
    nothing = LabelMap(np.zeros(geometry.shape, np.uint8), geometry, TABLE)
    write_seg(nothing, source, tmp_path / "labels.dcm", model=MODEL)
    (tmp_path / "out").mkdir()
    arguments = ("--inputDICOM", tmp_path / "labels.dcm", "--outputDirectory", tmp_path / "out", "--outputType", "nrrd")
    call("segimage2itkimage", *arguments)
    for number in (1, 2, 3):
        array, _ = nrrd(tmp_path / "out" / f"{number}.nrrd")
        assert not array.any()
