"""Whatever can be read is written, at the same place, with what was decided."""

import json
import re

import nibabel as nib
import numpy as np
import pydicom
import pytest
from dicom_phantom import check, grid, write_series
from small_labels import MODEL, some_labels

from medseg.cli.app import run
from medseg.io import itk, nifti
from medseg.io.convert import FORMATS, convert
from medseg.io.dicom_results.rtstruct import write_rtstruct
from medseg.io.dicom_results.seg import write_seg
from medseg.io.read import load_scan, read_labels
from medseg.types import Geometry, LabelMap, LabelTable


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("orientation", ["axial", "oblique"])
def test_series_to_any_format(tmp_path, format, orientation):
    write_series(tmp_path / "in", grid(orientation, tilt=15 if orientation == "axial" else 0))
    result = convert([tmp_path / "in"], tmp_path / "out", format=format)
    assert result.exit_code == 0
    (one,) = result.converted
    assert one.path == tmp_path / "out" / one.case_id / f"image{FORMATS[format]}"
    check(load_scan(one.path))
    record = json.loads(one.path.with_name("conversion.json").read_text())
    assert record["written"] == one.path.name
    assert len(record["files"]) == 9
    assert record["modality"] == "CT"
    assert [*record["warnings"], *record["notes"]] == list(one.notes)


@pytest.mark.parametrize("format", FORMATS)
def test_channels(tmp_path, format):
    array = np.random.default_rng(0).integers(0, 99, (4, 5, 6, 2)).astype(np.int16)
    nib.save(nib.Nifti1Image(array, np.diag([1, 2, 3, 1])), tmp_path / "a.nii")
    (one,) = convert([tmp_path / "a.nii"], tmp_path / "out", format=format).converted
    scan = load_scan(one.path)
    np.testing.assert_array_equal(scan.array, np.moveaxis(array, 3, 0))
    np.testing.assert_allclose(scan.geometry.affine, np.diag([1, 2, 3, 1]))


@pytest.mark.parametrize("format", FORMATS)
def test_study_with_seg_and_rtstruct(tmp_path, format):
    study = tmp_path / "study"
    write_series(study / "ct", grid())
    scan = load_scan(study / "ct")
    labels = some_labels(scan.geometry)
    write_seg(labels, scan.source, study / "seg.dcm", model=MODEL)
    write_rtstruct(labels, scan.source, study / "rt.dcm", model=MODEL)
    (study / "rt.json").unlink(missing_ok=True)
    result = convert([study], tmp_path / "out", format=format)
    assert result.exit_code == 0
    written = {one.case_id.partition("-")[0]: one.path for one in result.converted}
    assert set(written) == {"ct", "seg", "rtstruct"}
    contours = read_labels(written["rtstruct"])
    np.testing.assert_array_equal(contours.array, labels.array)
    assert contours.geometry.matches(scan.geometry)
    segments = read_labels(written["seg"])
    for value in (1, 2):
        here = segments.geometry.to_world(np.argwhere(segments.array == value))
        truth = scan.geometry.to_world(np.argwhere(labels.array == value))
        np.testing.assert_allclose(here[np.lexsort(here.round(2).T)], truth[np.lexsort(truth.round(2).T)], atol=0.01)
    classes = json.loads(written["seg"].with_name("conversion.json").read_text())["classes"]
    assert classes == {"1": "liver", "2": "Größe α", "3": "never found"}


def test_contours_without_their_series(tmp_path):
    write_series(tmp_path / "ct", grid())
    scan = load_scan(tmp_path / "ct")
    write_rtstruct(some_labels(scan.geometry), scan.source, tmp_path / "rt" / "rt.dcm", model=MODEL)
    result = convert([tmp_path / "rt"], tmp_path / "out")
    assert result.exit_code == 4
    assert "Give the folder of that series too" in result.converted[0].error


def test_what_fails_is_logged_without_the_names_of_files(tmp_path):
    write_series(tmp_path / "Quimby" / "ct", grid().without(3))
    scan = load_scan(tmp_path / "Quimby" / "ct", allow_uneven=True)
    path = tmp_path / "Quimby" / "Quimby.dcm"
    write_seg(some_labels(scan.geometry), scan.source, path, model=MODEL)
    seg = pydicom.dcmread(path)
    del seg.SOPInstanceUID
    seg.save_as(path)
    result = convert([tmp_path / "Quimby"], tmp_path / "out")
    assert result.exit_code == 4
    assert str(path) in result.converted[1].error
    assert not any("Quimby" in one.case_id for one in result.converted)
    log = (tmp_path / "out" / "medseg.log").read_text()
    assert "slices are missing" in log
    assert "its DICOM header is damaged" in log
    assert "Quimby" not in log


def test_labels_are_told_by_what_files_say(tmp_path):
    labels = LabelMap(np.ones((3, 4, 5), np.uint8), Geometry(np.eye(4), (3, 4, 5)), LabelTable.unnamed([1]))
    nifti.write_labels(labels, tmp_path / "in" / "a.nii.gz")
    itk.write_labels(labels, tmp_path / "in" / "b.seg.nrrd")
    itk.write_labels(labels, tmp_path / "in" / "d.seg.nrrd")
    whole = (tmp_path / "in" / "d.seg.nrrd").read_bytes()
    (tmp_path / "in" / "d.seg.nrrd").write_bytes(whole.replace(b"Segment0_", b"Segment5_"))
    nib.save(nib.Nifti1Image(np.ones((3, 4, 5), np.uint8), np.eye(4)), tmp_path / "in" / "c.nii.gz")
    names = {one.case_id: one.path.name for one in convert([tmp_path / "in"], tmp_path / "out").converted}
    assert names == {"a": "labels.nii.gz", "b": "labels.nii.gz", "c": "image.nii.gz", "d": "labels.nii.gz"}
    told = convert([tmp_path / "in" / "c.nii.gz"], tmp_path / "out", content="labels")
    assert told.converted[0].path.name == "labels.nii.gz"


def test_command(tmp_path, capsys):
    write_series(tmp_path / "in", grid())
    (tmp_path / "in" / "bad.nii").write_bytes(b"")
    assert run(["convert", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--format", "nrrd", "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["converted"][0]["path"].endswith("image.nrrd")
    assert "bad.nii: it is empty" in told["corrupt"][0]
    assert run(["convert", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--format", "png"]) == 2
    assert run(["convert", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--content", "what"]) == 2
    assert run(["convert", str(tmp_path / "in" / "bad.nii"), "--out", str(tmp_path / "out")]) == 4


def test_uneven_slices(tmp_path, capsys):
    write_series(tmp_path / "in", grid().without(3))
    assert run(["convert", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 4
    assert re.search(r"^ct-\w+: .*\. \[E-input\]$", capsys.readouterr().err, re.MULTILINE)
    assert run(["convert", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--allow-uneven"]) == 0
    (path,) = (tmp_path / "out").rglob("image.nii.gz")
    check(load_scan(path))
    assert "resampled to 9 slices" in json.loads(path.with_name("conversion.json").read_text())["warnings"][0]


def test_no_input_is_written_over(tmp_path):
    """An input that lies where a case's own result would: a folder converted into itself."""
    array = np.random.default_rng(0).integers(0, 99, (4, 5, 6)).astype(np.int16)
    for name in ("image", "other"):
        (tmp_path / name).mkdir()
        nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / name / f"{name}.nii.gz")
    before = (tmp_path / "image" / "image.nii.gz").read_bytes()
    result = convert([tmp_path], tmp_path)
    assert result.exit_code == 3
    assert {one.case_id: one.path is not None for one in result.converted} == {"image": False, "other": True}
    assert "it would take the place of the file" in next(one.error for one in result.converted if one.error)
    assert (tmp_path / "image" / "image.nii.gz").read_bytes() == before
    assert not (tmp_path / "image" / "conversion.json").exists()
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "image.nii.gz").symlink_to(tmp_path / "image" / "image.nii.gz")
    (tmp_path / "other.nii.gz").symlink_to(tmp_path / "other" / "image.nii.gz")
    (tmp_path / "other" / "image.nii.gz").write_bytes(before)
    assert convert([tmp_path / "links", tmp_path / "other.nii.gz"], tmp_path).exit_code == 4
    assert (tmp_path / "image" / "image.nii.gz").read_bytes() == before
    assert (tmp_path / "other" / "image.nii.gz").read_bytes() == before
