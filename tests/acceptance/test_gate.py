"""The gate by the command line: a scan of another kind is withheld, and made and marked with --anyway."""

import csv
import json

import nibabel as nib
import numpy as np
import pydicom
import pytest
from scipy.ndimage import gaussian_filter

from medseg.demo.dicom import write_series
from medseg.types import Geometry

MARK = "not what the model is for"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory):
    """A DICOM series of a box half as long again as a hippocampus crop, and a label map of the right size."""
    folder = tmp_path_factory.mktemp("gate")
    array = gaussian_filter(np.random.default_rng(0).normal(size=(32, 40, 15)), 2) * 3000 + 500
    write_series(
        array.astype(np.int16), Geometry(np.diag([2.0, 2, 2, 1]), array.shape), folder / "series", description="T1"
    )
    mask = (gaussian_filter(np.random.default_rng(1).normal(size=(36, 50, 36)), 3) > 0).astype(np.uint8)
    nib.save(nib.Nifti1Image(mask, np.eye(4)), folder / "mask.nii.gz")
    return folder


def test_what_is_not_for_the_model_is_withheld_with_the_reason_and_the_way_out(medseg, quick, folder, tmp_path):
    done = medseg("predict", folder, "--model", "hippocampus", "--out", tmp_path / "out", "--json", *quick)
    assert done.returncode == 3, done.stderr
    cases = {case["source"]: case for case in json.loads(done.stdout)["cases"]}
    assert {case["state"] for case in cases.values()} == {"withheld"}
    series, mask = (next(c for s, c in cases.items() if ("mask" in s) is m) for m in (False, True))
    assert "covers 64 x 80 x 30 mm; the model is for 31 x 40 x 24 mm to 42 x 58 x 45 mm" in series["error"]
    assert "different intensities, as a mask or label map has" in mask["error"]
    assert series["fix"].startswith("Give a whole head in T1-weighted MR, or a crop of about 36 x 50 x 36 mm around")
    assert mask["fix"].startswith("Give the scan that these labels are of; or add --anyway")
    for case in cases.values():
        files = {path.name for path in (tmp_path / "out" / case["case_id"]).iterdir()}
        assert files == {"status.json"}
    assert (tmp_path / "out" / "report.html").read_text().count("covers 64 x 80 x 30 mm") >= 1
    again = medseg("predict", folder, "--model", "hippocampus", "--out", tmp_path / "out", "--json", *quick)
    assert again.returncode == 3


def test_anyway_makes_it_and_marks_every_output(medseg, quick, folder, tmp_path):
    options = ("--model", "hippocampus", "--format", "nifti,nrrd,dicom-seg,rtstruct,sr", "--anyway", "--json", *quick)
    options = (*options, "--save", "probabilities,entropy")
    done = medseg("predict", folder / "series", "--out", tmp_path, *options)
    assert done.returncode == 0, done.stderr
    [case] = json.loads(done.stdout)["cases"]
    assert case["state"] == "done"
    assert any("Not what the model is for: the scan covers" in text for text in case["warnings"])
    assert case["review_priority"] >= 4
    results = tmp_path / case["case_id"]
    status = json.loads((results / "status.json").read_text())
    assert status["warnings"] == case["warnings"]
    for name in ("labels.seg.dcm", "labels.rtstruct.dcm", "labels.sr.dcm"):
        assert MARK in pydicom.dcmread(results / name).SeriesDescription
    assert MARK in pydicom.dcmread(results / "labels.seg.dcm").ContentDescription
    assert pydicom.dcmread(results / "labels.rtstruct.dcm").StructureSetDescription == MARK
    for name in ("labels.nii.gz", "probabilities.nii.gz", "entropy.nii.gz"):
        assert MARK in nib.load(results / name).header["descrip"].item().decode()
    with (results / "measurements.csv").open(newline="") as stream:
        assert {row["mark"] for row in csv.DictReader(stream)} == {MARK}
    [run_case] = json.loads((tmp_path / "run.json").read_text())["cases"]
    assert any("Not what the model is for: the scan covers" in text for text in run_case["warnings"])
    assert MARK.encode() in (results / "labels.seg.nrrd").read_bytes()[:4000]
    assert MARK in (tmp_path / "report.html").read_text().lower()


@pytest.mark.parametrize(("options", "state", "code"), [((), "withheld", 3), (("--anyway",), "failed", 4)])
def test_volumes_in_time_are_withheld_and_cannot_be_made(medseg, quick, tmp_path, options, state, code):
    array = gaussian_filter(np.random.default_rng(0).normal(size=(36, 50, 36, 3)), (2, 2, 2, 0)) * 3000 + 500
    nib.save(nib.Nifti1Image(array.astype(np.float32), np.eye(4)), tmp_path / "bold.nii.gz")
    arguments = ("--model", "hippocampus", "--out", tmp_path / "out", "--json", *options, *quick)
    done = medseg("predict", tmp_path / "bold.nii.gz", *arguments)
    [case] = json.loads(done.stdout)["cases"]
    assert (case["state"], done.returncode) == (state, code)
    assert "3 channels" in case["error"]
    if state == "withheld":
        assert case["fix"].startswith("Give T1 alone, as one scan")
        assert "--anyway" not in case["fix"]  # no network of one channel can be shown three
