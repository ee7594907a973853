"""From a DICOM series to the probability of each class as DICOM, by the command line."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medseg.io.dicom_results.read_seg import read_seg
from medseg.models.package import load_package
from medseg.prepare.regrid import regrid
from medseg.types import Geometry

MODEL = "hippocampus"
FORMAT = "dicom-seg-fractional"


@pytest.fixture(scope="module")
def series(scans: Path) -> Path:
    return scans / "console-export" / "DICOM"


@pytest.fixture(scope="module")
def folder(medseg, series: Path, quick, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fractional")
    formats = ("--format", f"nifti,{FORMAT}", "--save", "probabilities")
    done = medseg("predict", series, "--model", MODEL, "--out", out, *formats, *quick)
    assert done.returncode == 0, done.stderr
    [case] = [path for path in out.iterdir() if path.is_dir()]
    return case


def test_a_scan_that_is_not_dicom_cannot_have_it_and_says_so(medseg, scans, quick, tmp_path):
    scan = scans / "research" / "left-hippocampus.nii.gz"
    done = medseg("predict", scan, "--model", MODEL, "--out", tmp_path, "--format", FORMAT, *quick)
    assert done.returncode == 4
    assert "dicom-seg-fractional can be written for DICOM scans only" in done.stderr
    assert "--format nifti,dicom-seg" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_fraction_is_the_class_s_score_where_the_series_has_it(folder):
    hd = pytest.importorskip("highdicom")
    seg = hd.seg.segread(folder / "labels.fractional.dcm")
    assert (seg.SegmentationType, seg.SegmentationFractionalType) == ("FRACTIONAL", "PROBABILITY")
    classes = load_package(MODEL).card.classes
    assert [segment.SegmentLabel for segment in seg.SegmentSequence] == [c.name for c in classes]
    probabilities = nib.load(folder / "probabilities.nii.gz")
    shares, grid = probabilities.get_fdata(), Geometry(probabilities.affine, probabilities.shape[:3])
    for number in range(1, len(classes) + 1):
        volume = seg.get_volume(segment_numbers=[number], rescale_fractional=True)
        lps = np.indices(volume.spatial_shape).reshape(3, -1).T @ volume.affine[:3, :3].T + volume.affine[:3, 3]
        place = grid.to_voxel(lps * [-1, -1, 1])
        voxels = np.rint(place).astype(int)
        assert np.abs(place - voxels).max() < 1e-2
        back = np.zeros(grid.shape)  # slices without any of a class are not in the object
        back[tuple(voxels.T)] = volume.array.reshape(-1)
        # Half a step of a byte, and half a step of the map of probabilities, which is kept in bytes too.
        assert np.abs(back - shares[..., number]).max() <= 1 / 255 + 1e-3
        assert back.max() > 0.9


def test_read_back_it_gives_the_labels(folder):
    written = nib.load(folder / "labels.nii.gz")
    labels, grid = np.asarray(written.dataobj), Geometry(written.affine, written.shape)
    shares = nib.load(folder / "probabilities.nii.gz").get_fdata()
    certain = shares.max(axis=3) > 0.52
    back = regrid(read_seg(folder / "labels.fractional.dcm"), grid)
    assert (labels > 0).sum() > 1000
    assert np.array_equal(back.array[certain], labels[certain])


@pytest.mark.slow
def test_the_format_by_itself_has_scores_and_leaves_no_map(medseg, series, folder, quick, tmp_path):
    done = medseg("predict", series, "--model", MODEL, "--out", tmp_path, "--format", FORMAT, *quick)
    assert done.returncode == 0, done.stderr
    [case] = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert (case / "labels.fractional.dcm").read_bytes() == (folder / "labels.fractional.dcm").read_bytes()
    status = json.loads((case / "status.json").read_text())
    assert not any("no probabilities" in note for note in status["notes"])
    assert set(status["read_back"]["labels.fractional.dcm"]["dice"].values()) == {1.0}
    files = {"labels.fractional.dcm", "measurements.csv", "preview.png", "status.json"}
    assert {path.name for path in case.iterdir()} == files
    computed = status["computed"]
    assert (computed["device"], computed["windows"]["skipped"]) == ("cpu", 0)
    assert computed["windows"]["computed"] > 0
    assert computed["precision"] in ("float32", "bfloat16")
    assert computed["engine"].split()[0] in ("torch", "openvino", "onnxruntime")
    assert computed["why"]
