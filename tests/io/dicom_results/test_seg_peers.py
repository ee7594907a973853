"""What dcmqi says of the DICOM SEG medseg writes of slices from last to first, and without findings."""

import json

import numpy as np
import pytest
from peer_tools import call
from small_labels import TABLE, no_labels, nrrd, world, written
from small_series import AXIAL, CORONAL, OBLIQUE, SAGITTAL

from medseg.io.dicom_results.seg import write_seg
from medseg.types import LabelMap

pytestmark = pytest.mark.peers


def masks(path):
    out = path.parent / "out"
    out.mkdir()
    call("segimage2itkimage", "--inputDICOM", path, "--outputDirectory", out, "--outputType", "nrrd")
    return {number: nrrd(out / f"{number}.nrrd") for number in (1, 2, 3)}


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, SAGITTAL, OBLIQUE])
def test_dcmqi_reads_the_same_voxels_in_the_same_place(tmp_path, orientation):
    path, labels, _ = written(write_seg, tmp_path, orientation=orientation, reverse=True)
    for number, (array, grid) in masks(path).items():
        assert world(LabelMap((array > 0).astype(np.uint8), grid, TABLE), 1) == world(labels, number)
    read = json.loads((tmp_path / "out" / "meta.json").read_text())["segmentAttributes"]
    assert [item["SegmentLabel"] for group in read for item in group] == ["liver", "Größe α", "never found"]
    assert read[0][0]["SegmentedPropertyTypeCodeSequence"]["CodeValue"] == "10200004"


def test_dcmqi_reads_an_object_without_findings(tmp_path):
    for array, _ in masks(written(write_seg, tmp_path, no_labels)[0]).values():
        assert not array.any()
