"""A verdict for every volume, and a thumbnail the right way up."""

import json
import re

import nibabel as nib
import numpy as np
import pytest
from dicom_phantom import grid, write_series
from PIL import Image
from scipy.ndimage import gaussian_filter

from medseg.cli.app import run
from medseg.draw.thumbnail import thumbnail
from medseg.review.inspect import inspect
from medseg.types import Geometry, Scan


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "in"
    write_series(place / "good", grid(), modality="MR", name="good")
    write_series(place / "gap", grid().without(4), name="gap")
    voxels = np.random.default_rng(0).permutation(3 * 40 * 50).reshape(3, 40, 50).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), place / "one.nii.gz")
    whole = (place / "one.nii.gz").read_bytes()
    (place / "cut.nii.gz").write_bytes(whole[:-30])
    (place / "notes.txt").write_text("hello")
    return place


def test_verdicts(folder):
    inspection = inspect([folder])
    verdicts = {volume.found.case_id.partition("-")[0]: volume for volume in inspection.volumes}
    valid = {name: volume.is_valid for name, volume in verdicts.items()}
    assert valid == {"mr": True, "ct": False, "one": True, "cut": False}
    assert "1 of 9 slices are missing" in verdicts["ct"].reason
    assert verdicts["ct"].fix
    assert verdicts["one"].values == (0, 5999)
    assert verdicts["mr"].geometry.shape == (14, 11, 9)
    assert inspection.exit_code == 3
    assert [left.path.name for left in inspection.skipped] == ["notes.txt"]


def test_headers_alone_trust_the_voxels(folder):
    verdicts = {v.found.case_id: v for v in inspect([folder], headers_only=True).volumes}
    assert verdicts["cut"].is_valid
    assert [v.is_valid for name, v in verdicts.items() if name.startswith("ct-")] == [False]
    (series,) = [v for name, v in verdicts.items() if name.startswith("mr-")]
    assert series.geometry.shape == (14, 11, 9)


def test_uneven_slices_when_allowed(folder):
    inspection = inspect([folder / "gap"], allow_uneven=True)
    assert inspection.exit_code == 0
    assert "resampled to 9 slices" in inspection.volumes[0].notes[0]


def test_command(folder, capsys, tmp_path):
    assert run(["inspect", str(folder), "--out", str(tmp_path / "png")]) == 3
    said = capsys.readouterr().out
    for part in ("2 of 4 volumes valid", "✓ one", "✗ cut", "1 of 9 slices are missing", "notes.txt: it is a text file"):
        assert part in " ".join(said.split())
    assert "Doe" not in said
    assert Image.open(tmp_path / "png" / "one.png").size == (14, 192)
    page = (tmp_path / "png" / "index.html").read_text()
    for part in ("2 of 4", "</span> one<", "</span> cut<", "1 of 9 slices are missing", "notes.txt", "data:image/png;"):
        assert part in page
    assert "Doe" not in re.sub('base64,[^"]*', "", page)
    assert "://" not in page
    assert run(["inspect", str(folder / "one.nii.gz")]) == 0
    assert run(["inspect", str(folder / "notes.txt")]) == 4
    assert run(["inspect", str(folder / "nowhere")]) == 2


def test_command_json(folder, capsys):
    assert run(["inspect", str(folder), "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    by_id = {volume["case_id"]: volume for volume in told["volumes"]}
    assert by_id["one"]["verdict"] == "valid"
    assert by_id["one"]["shape"] == [3, 40, 50]
    assert by_id["one"]["affine"] == np.eye(4).tolist()
    assert by_id["cut"]["verdict"] == "rejected"
    assert by_id["cut"]["fix"]
    assert told["skipped"] == [
        {"path": str(folder / "notes.txt"), "reason": "it is a text file, not a scan", "fix": None, "corrupt": False}
    ]


def test_which_series_a_model_would_take(tmp_path, capsys):
    for name, modality in (("a", "MR"), ("b", "CT")):
        edit = lambda ds, k: setattr(ds, "StudyInstanceUID", "2.25.1")  # noqa: E731
        write_series(tmp_path / "study", grid(), modality=modality, name=name, edit=edit)
    assert run(["inspect", str(tmp_path / "study"), "--model", "hippocampus", "--json"]) == 0
    fits = {one["modality"]: one["fit"] for one in json.loads(capsys.readouterr().out)["volumes"]}
    assert fits["MR"].startswith("taken for the model")
    assert fits["CT"] == "not taken for the model: CT, not MR"


def test_command_draws_thumbnails(folder, capsys):
    assert run(["inspect", str(folder / "one.nii.gz"), "--thumbnails"]) == 0
    assert "▀▀▀" in capsys.readouterr().out


@pytest.mark.parametrize("orientation", ["axial", "coronal", "sagittal"])
def test_thumbnail_has_head_or_front_up_and_right_on_the_left(tmp_path, orientation):
    """Brightness grows to the patient's right, front and head: so it does to the left and up in the thumbnail."""
    write_series(tmp_path, grid(orientation, columns=32, rows=32), modality="MR")
    (report,) = inspect([tmp_path]).volumes
    image = np.asarray(report.thumbnail.convert("L")).astype(int)
    assert image[:8].mean() > image[-8:].mean()
    assert image[:, :8].mean() > image[:, -8:].mean()


def test_thumbnail_keeps_proportions():
    geometry = Geometry(np.diag([1, 1, 4, 1]), (40, 20, 10))
    scan = Scan(np.random.default_rng(0).random((1, 40, 20, 10), np.float32), geometry)
    assert thumbnail(scan, 64).size == (64, 32)


def test_nothing_that_was_found_is_written_over(tmp_path, capsys):
    scan, photo = tmp_path / "in" / "scan.nii.gz", tmp_path / "photos" / "photo.png"
    scan.parent.mkdir()
    photo.parent.mkdir()
    nib.save(nib.Nifti1Image(np.zeros((8, 8, 8), np.int16), np.eye(4)), scan)
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(photo)
    (scan.parent / "notes.txt").write_text("precious")
    before = [scan.read_bytes(), photo.read_bytes()]
    for taken in (scan, scan.parent / "notes.txt"):
        assert run(["inspect", str(scan.parent), "--manifest", str(taken)]) == 2
        assert f"{taken.name}: it would take the place of the file that it is made from" in capsys.readouterr().err
    assert run(["inspect", str(photo.parent), "--out", str(photo.parent)]) == 2
    assert "photo.png: it would take the place of the file" in capsys.readouterr().err
    assert [scan.read_bytes(), photo.read_bytes()] == before
    assert (scan.parent / "notes.txt").read_text() == "precious"
    assert run(["inspect", str(scan.parent), "--manifest", str(tmp_path / "cases.csv")]) == 0
    assert run(["inspect", str(scan.parent), "--manifest", str(tmp_path / "cases.csv")]) == 0  # its own may be replaced


def test_what_a_model_says_of_files_that_are_no_dicom_too(tmp_path):
    smooth = gaussian_filter(np.random.default_rng(0).normal(size=(36, 50, 36)), 2)
    for name, array in {
        "crop": smooth,
        "labels": (smooth > 0.05) * 1.0,
        "times": np.stack([smooth] * 3, -1),
        "small": smooth[:8],
    }.items():
        nib.save(nib.Nifti1Image((array * 1000).astype(np.float32), np.eye(4)), tmp_path / f"{name}.nii.gz")
    write_series(tmp_path / "dicom", grid(), modality="CT")
    said = {v.found.case_id.partition("-")[0]: v.fit for v in inspect(tmp_path, model="hippocampus").volumes}
    assert said["crop"] == "Nothing speaks against it for hippocampus before a network is run"
    assert "hippocampus would withhold it: the scan has no more than 8 different intensities" in said["labels"]
    assert "hippocampus would withhold it: the scan has 3 channels or times" in said["times"]
    assert "hippocampus would withhold it: the scan covers 8 x 50 x 36 mm" in said["small"]
    assert said["ct"].startswith("taken, the only one of its study: CT, not MR")
    assert said["ct"].endswith("hippocampus would withhold it: the scan is CT; the model is for MR")
    assert {v.fit for v in inspect(tmp_path).volumes} == {""}
