"""Every DICOM format written for real series of several makers and read back, where the data are at hand."""

import numpy as np
import pytest
from peer_tools import dicom_errors
from shared_data import DATA
from small_labels import MODEL, TABLE

from medseg.io.dicom_results.read_seg import read_seg
from medseg.io.dicom_results.rtstruct import read_rtstruct
from medseg.io.discover import discover
from medseg.io.formats import Labeled, write
from medseg.io.read import read_scan
from medseg.prepare.regrid import regrid
from medseg.types import Geometry, LabelMap

FOLDERS = ["dicom/clinical_mr", "dicom/enhanced_mr", "dicom/seg_examples/segmentations", "sarcoma/dicom/STS_003"]
pytestmark = [pytest.mark.slow, pytest.mark.needs_data("data/dicom", "data/sarcoma")]


def ring_and_block(geometry: Geometry) -> LabelMap:
    """A block through all slices, and a tube with a hole through the middle ones."""
    x, y, z = geometry.shape
    i, j, k = np.ogrid[:x, :y, :z]
    radius = np.hypot(i - 0.65 * x, j - 0.6 * y) / min(x, y)
    array = np.zeros(geometry.shape, np.uint8)
    array[x // 4 : x // 2, y // 4 : y // 2] = 1
    array[(radius < 0.15) & (radius > 0.05) & (k > z // 4) & (k < z // 2 + 2)] = 2
    return LabelMap(array, geometry, TABLE)


def series_of(folder):
    return [found for found in discover([DATA / folder]).found if found.format == "dicom"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_series_that_can_be_read_can_be_written_for(folder, tmp_path):
    assert series_of(folder)
    for found in series_of(folder):
        scan = read_scan(found)
        labels = ring_and_block(scan.geometry)
        out = tmp_path / found.case_id
        for name in ("dicom-seg", "dicom-seg-labelmap", "rtstruct", "sr", "sc"):
            assert all(path.is_file() for path in write(name, Labeled(labels, scan.source, MODEL), out)[0])
        for name in ("labels.seg.dcm", "labels.labelmap.dcm"):
            assert np.array_equal(regrid(read_seg(out / name), scan.geometry).array, labels.array)
        assert np.array_equal(read_rtstruct(out / "labels.rtstruct.dcm", scan).array, labels.array)


@pytest.mark.peers
@pytest.mark.parametrize("folder", FOLDERS)
def test_dciodvfy_finds_no_error(folder, tmp_path):
    for found in series_of(folder):
        scan = read_scan(found)
        for name in ("dicom-seg", "rtstruct", "sr", "sc"):
            for path in write(name, Labeled(ring_and_block(scan.geometry), scan.source, MODEL), tmp_path)[0]:
                assert path.suffix == ".json" or dicom_errors(path) == [], found.description
