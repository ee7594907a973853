"""Composites by the command line: a DICOM series and the NIfTI of it get the same labels, in the series' own grid."""

import numpy as np
import pydicom
import pytest
import yaml
from combine_packages import part
from small_series import OBLIQUE, small_series

from medseg.io.dicom_results.read_seg import read_seg
from medseg.io.read import read_labels
from medseg.prepare.regrid import regrid

KINDS = {
    "priority": {"parts": [{"model": "first"}, {"model": "other"}]},
    "average": {"parts": [{"model": "first"}, {"model": "second"}], "merge": "average"},
    "locator": {
        "parts": [{"model": "first"}, {"model": "other"}],
        "locator": {"part": "first", "classes": ["b"], "margin_mm": 2},
    },
    "grid": {"parts": [{"model": "first"}, {"model": "other"}], "grid": {"spacing": 2.0, "order": 3}},
}


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    for name, classes, seed in (("first", ("a", "b"), 1), ("second", ("a", "b"), 3), ("other", ("b", "c"), 7)):
        part(folder, name, classes, seed=seed, modality="MR")
    return folder


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """Noise on an oblique grid."""
    folder = tmp_path_factory.mktemp("series")
    source, geometry = small_series(folder, shape=(24, 20, 11), orientation=OBLIQUE, spacing=(1.2, 1.0, 2.5))
    rng = np.random.default_rng(0)
    for path in source.files:
        header = pydicom.dcmread(path)
        header.PixelData = rng.normal(1000, 300, (20, 24)).clip(0, 4000).astype(np.uint16).tobytes()
        header.save_as(path)
    return folder, geometry


@pytest.mark.parametrize("kind", KINDS)
def test_a_series_gets_the_labels_of_its_nifti(medseg, parts, series, quick, tmp_path, kind):
    scans, geometry = series
    (parts / f"{kind}.yaml").write_text(yaml.safe_dump({"title": kind, **KINDS[kind]}))
    model = tmp_path / "model"
    steps = [
        ("models", "import", "--composite", parts / f"{kind}.yaml", "--name", kind, "--out", model),
        ("convert", scans, "--out", tmp_path / "nifti", "--format", "nifti"),
        ("predict", scans, "--model", model, "--out", tmp_path / "a", "--format", "nifti,dicom-seg,rtstruct", *quick),
        ("predict", tmp_path / "nifti", "--model", model, "--out", tmp_path / "b", "--format", "nifti", *quick),
    ]
    for step in steps:
        done = medseg(*step)
        assert done.returncode == 0, done.stderr
    (folder,) = (path.parent for path in (tmp_path / "a").glob("*/labels.seg.dcm"))
    labels, of_nifti = (read_labels(one / "labels.nii.gz") for one in (folder, tmp_path / "b" / "image"))
    assert len(np.unique(labels.array)) > 1
    assert labels.geometry.matches(geometry)
    assert labels.geometry.matches(of_nifti.geometry)
    assert np.array_equal(labels.array, of_nifti.array)
    assert np.array_equal(regrid(read_seg(folder / "labels.seg.dcm"), labels.geometry).array, labels.array)
    seg = pydicom.dcmread(folder / "labels.seg.dcm")
    (algorithm,) = seg.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence
    assert algorithm.AlgorithmName == kind
    assert {path.stem for path in folder.glob("*.dcm")} == {"labels.seg", "labels.rtstruct"}
