"""A whole head by the command line: both hippocampi with their sides, or withheld where it is none."""

import csv
import json

import nibabel as nib
import numpy as np
import pytest
from shared_data import DATA

HEADS = DATA / "heads"
pytestmark = pytest.mark.needs_data("data/heads")


OPTIONS = ("--model", "hippocampus", "--engine", "torch", "--set", "segment.precision=float32", "--json")


@pytest.mark.slow
def test_what_is_no_t1_head_is_withheld(medseg, tmp_path):
    done = medseg("predict", HEADS / "odd_ct_phantom_head", "--out", tmp_path, *OPTIONS)
    assert done.returncode == 3, done.stderr
    [case] = json.loads(done.stdout)["cases"]
    assert case["state"] == "withheld"
    assert "its intensities do not follow the template's" in case["error"]
    assert case["fix"].startswith("Give a whole head in T1-weighted MR, or a crop")
    assert not (tmp_path / case["case_id"] / "labels.nii.gz").exists()


@pytest.mark.slow
def test_a_hippocampus_drawn_over_fluid_is_withheld(medseg, tmp_path):
    """One side is so thin beside its wide ventricle that the network, which learned of the healthy, draws the usual."""
    done = medseg("predict", HEADS / "synthetic_head_01" / "image.nii.gz", "--out", tmp_path, *OPTIONS)
    assert done.returncode == 3, done.stderr
    [case] = json.loads(done.stdout)["cases"]
    assert "right: 3" in case["error"]
    assert "% of the labels are as dark as fluid" in case["error"]


def test_a_whole_head_gives_both_hippocampi_with_their_sides(medseg, tmp_path):
    scan = HEADS / "adult_rorden_T1_head_2mm" / "image.nii.gz"
    done = medseg("predict", scan, "--out", tmp_path, *OPTIONS)
    assert done.returncode == 0, done.stderr
    [case] = json.loads(done.stdout)["cases"]
    folder = tmp_path / case["case_id"]
    status = json.loads((folder / "status.json").read_text())
    volumes = {name: value["volume_ml"] for name, value in status["volumes"].items()}
    assert list(volumes) == [f"{s} {p} hippocampus" for s in ("left", "right") for p in ("anterior", "posterior")]
    assert all(1.2 < value < 2.4 for value in volumes.values())
    assert any("asymmetry" in note for note in status["notes"])
    assert any("a header that exchanges them cannot be noticed" in note for note in status["notes"])
    labels = nib.load(folder / "labels.nii.gz")
    assert np.array_equal(labels.affine, nib.load(scan).affine)
    array = np.asarray(labels.dataobj)
    for values, sign in (((1, 2), -1), ((3, 4), 1)):  # RAS+: left is negative
        center = nib.affines.apply_affine(labels.affine, np.argwhere(np.isin(array, values)).mean(0))
        assert sign * center[0] > 15
    with (folder / "measurements.csv").open() as stream:
        assert {row["class"] for row in csv.DictReader(stream)} == set(volumes)
