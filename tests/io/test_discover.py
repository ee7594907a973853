"""Every file is a scan or is skipped with a reason; nothing depends on names, extensions or order."""

import os
import shutil
import warnings

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from damage import overwrite
from dicom_phantom import grid, uid, write_series
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    BasicTextSRStorage,
    ExplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from small_labels import MODEL, some_labels
from small_series import small_series

from medseg.errors import InputError, UsageError
from medseg.io.dicom.not_a_scan import DIRECTORY
from medseg.io.discover import discover, survey
from medseg.io.formats import WRITERS, Labeled, write
from medseg.io.read import read_scan
from medseg.isolation import apart, process


@pytest.fixture
def hospital(tmp_path):
    """A scan folder as found in a hospital."""
    folder = tmp_path / "scans"
    (folder / "nested" / "deeper").mkdir(parents=True)
    nib.save(nib.Nifti1Image(np.ones((5, 6, 7), np.int16), np.eye(4)), folder / "nested" / "one.nii.gz")
    nib.save(nib.Nifti1Image(np.ones((5, 6, 7), np.int16), np.eye(4)), folder / "two.nii")
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((4, 5, 6), np.int16)), str(folder / "three.nrrd"))
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((4, 5, 6), np.int16)), str(folder / "four.mhd"))
    for number, path in enumerate(write_series(folder / "nested" / "deeper", grid(), modality="MR")):
        path.rename(path.with_name(f"IM{number:06d}"))
    (folder / "notes.txt").write_text("nothing to see")
    (folder / "broken.nii.gz").write_bytes((folder / "nested" / "one.nii.gz").read_bytes()[:40])
    (folder / "empty.nrrd").write_bytes(b"")
    (folder / "empty").write_bytes(b"")
    (folder / "letter.pdf").write_bytes(b"%PDF-1.4 ...")
    (folder / "page.dcm").write_text("<html>not found</html>")
    (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (folder / ".hidden").mkdir()
    return folder


def reasons(discovery):
    return {left.path.name: (left.reason, left.corrupt) for left in discovery.skipped}


def test_hospital_folder(hospital):
    discovery = discover([hospital])
    assert [i.partition("-")[0] for i in ids(discovery)] == ["four", "mr", "one", "three", "two"]
    for scan in discovery.found:
        read_scan(scan)
    assert reasons(discovery) == {
        "notes.txt": ("it is a text file, not a scan", False),
        "broken.nii.gz": (
            "its name says NIfTI, but it is a gzip file that does not hold NIfTI",
            True,
        ),
        "empty.nrrd": ("it is empty", True),
        "empty": ("it is empty", False),
        "letter.pdf": ("it is a PDF document, not a scan", False),
        "page.dcm": ("its name says DICOM, but it is a text file", True),
        ".DS_Store": ("it is a hidden file", False),
        ".hidden": ("it is a hidden folder", False),
    }


def ids(discovery):
    return sorted(scan.case_id for scan in discovery.found)


def test_every_file_is_accounted_for(hospital):
    discovery = discover([hospital])
    files = {p for p in hospital.rglob("*") if p.is_file()}
    accounted = {p for scan in discovery.found for p in scan.files} | {left.path for left in discovery.skipped}
    assert files <= accounted


def test_order_of_inputs_does_not_matter(hospital):
    inputs = [hospital / "two.nii", hospital, hospital / "nested", hospital / "notes.txt"]
    first = discover(inputs)
    second = discover(inputs[::-1])
    assert first == second
    assert len(first.found) == 5


def test_relative_inputs(hospital, monkeypatch):
    monkeypatch.chdir(hospital)
    assert ids(discover([os.curdir])) == ids(discover([hospital]))  # type: ignore[list-item]


def test_named_files_count(hospital):
    left = discover([hospital / "notes.txt", hospital / "two.nii"]).skipped
    assert [(one.path.name, one.corrupt) for one in left] == [("notes.txt", True)]


def test_path_that_does_not_exist(hospital):
    with pytest.raises(UsageError, match="no such file or folder"):
        discover([hospital, hospital / "nowhere"])


def test_empty_folder(tmp_path):
    assert discover([tmp_path]).found == ()


def test_links(hospital):
    (hospital / "loop").symlink_to(hospital)
    (hospital / "nested" / "up").symlink_to(hospital)
    (hospital / "again.nii").symlink_to(hospital / "two.nii")
    (hospital / "gone.nii").symlink_to(hospital / "nowhere.nii")
    os.mkfifo(hospital / "pipe.nii")
    discovery = discover([hospital])
    assert len(discovery.found) == 5
    said = reasons(discovery)
    assert said["again.nii"][0] == f"it is the same file as {hospital / 'two.nii'}"
    assert said["gone.nii"] == ("it cannot be opened (No such file or directory)", True)
    assert said["pipe.nii"][0] == "it is not a plain file"


def test_files_without_extensions(hospital):
    for path in [p for p in hospital.rglob("*.n*") if p.is_file() and p.stat().st_size > 100]:
        path.rename(path.with_name(path.name.partition(".")[0] + "-file"))
    assert len(discover([hospital]).found) == 5


def test_results_of_medseg_are_not_scans(hospital):
    case = hospital / "out" / "one"
    case.mkdir(parents=True)
    shutil.copy(hospital / "two.nii", case / "labels.nii.gz")
    shutil.copy(hospital / "two.nii", case / "labels.nii")
    (case / "status.json").write_text("{}")
    discovery = discover([hospital])
    assert reasons(discovery)["labels.nii.gz"] == ("it is a result of medseg", False)
    assert "labels" in ids(discovery)
    assert ids(discover([case / "labels.nii.gz"])) == ["labels"]


@pytest.mark.parametrize("format", ["dicom-seg-labelmap", "dicom-seg-fractional", "rtstruct", "sr"])
def test_results_of_every_format_are_not_labels_to_convert(tmp_path, format):
    source, geometry = small_series(tmp_path / "in")
    write(format, Labeled(some_labels(geometry), source, MODEL), tmp_path / "out" / "case")
    (tmp_path / "out" / "case" / "status.json").write_text("{}")
    found = survey([tmp_path / "out"])
    assert found.label_objects == {}
    assert reasons(found.discovery)[WRITERS[format].file_name] == ("it is a result of medseg", False)


def test_images_without_rows_that_share_a_uid_are_found_and_rejected_when_read(tmp_path):
    source, _ = small_series(tmp_path, shape=(4, 3, 2))
    for path in source.files:
        image = pydicom.dcmread(path)
        del image.Rows
        image.SOPInstanceUID, image.ImagePositionPatient = "1.2.3", [0, 0, 0]
        image.save_as(path)
    (scan,) = discover([tmp_path]).found
    with pytest.raises(InputError):
        read_scan(scan)


def test_case_ids_of_dicom_tell_nothing_of_the_patient(tmp_path):
    write_series(tmp_path / "Doe^Jane", grid())
    (scan,) = discover([tmp_path]).found
    assert scan.case_id.startswith("ct-")
    assert "Doe" not in scan.case_id + scan.description
    assert "4711" not in scan.case_id + scan.description


# --- other DICOM objects


def write_object(path, storage, **attributes):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = storage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = uid(path)
    ds.SeriesInstanceUID = uid("others")
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    ds.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize(
    ("storage", "said"),
    [
        (SegmentationStorage, "DICOM, but not a volume: Segmentation"),
        (RTStructureSetStorage, "DICOM, but not a volume: RT Structure Set"),
        (BasicTextSRStorage, "DICOM, but not a volume: Basic Text SR"),
        (SecondaryCaptureImageStorage, "DICOM, but not a volume: Secondary Capture Image"),
        (MediaStorageDirectoryStorage, DIRECTORY),
        ("1.2.3.4.5", "DICOM, but not a volume: 1.2.3.4.5"),
    ],
)
def test_other_objects(tmp_path, storage, said):
    write_series(tmp_path / "series", grid())
    path = write_object(tmp_path / "other.dcm", storage)
    discovery = discover([tmp_path])
    assert reasons(discovery) == {"other.dcm": (said, False)}
    assert discover([path]).skipped[0].corrupt


def test_a_dicomdir_by_itself_says_to_give_its_folder(tmp_path):
    path = write_object(tmp_path / "DICOMDIR", MediaStorageDirectoryStorage)
    (left,) = discover([path]).skipped
    assert (left.reason, left.fix, left.corrupt) == (DIRECTORY, "Give the folder it lies in.", True)


def test_uids_that_try_paths(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of the UID
        write_series(tmp_path, grid(), edit=lambda ds, k: setattr(ds, "SeriesInstanceUID", "../../etc/passwd"))
    (scan,) = discover([tmp_path]).found
    assert "/" not in scan.case_id
    assert "." not in scan.case_id


def test_truncated_dicom(tmp_path):
    paths = write_series(tmp_path, grid())
    whole = paths[4].read_bytes()
    paths[4].write_bytes(whole[:-20])
    (scan,) = discover([tmp_path]).found
    with pytest.raises(Exception, match="cannot be decoded") as error:
        read_scan(scan)
    assert error.value.where == str(paths[4])
    paths[4].write_bytes(whole[:200])
    discovery = discover([tmp_path])
    assert [left.corrupt for left in discovery.skipped] == [True]
    with pytest.raises(Exception, match="part of it seems lost: 1 file beside it"):
        read_scan(discovery.found[0])
    with pytest.raises(Exception, match="1 of 9 slices are missing"):
        read_scan(discovery.found[0], allow_incomplete=True)


@pytest.mark.parametrize("tag", [b"\x02\0\x02\0", b"\x08\0\x16\0", b"\x08\0\x18\0", b"\x20\0\x0e\0"])
def test_damaged_value_representation(tmp_path, tag):
    """In the file meta information as in the header, pydicom meets such damage only when the value is used."""
    (path,) = write_series(tmp_path, grid(slices=1))
    overwrite(path, path.read_bytes().index(tag + b"UI") + 5, b"q")
    (left,) = discover([tmp_path]).skipped
    assert left.corrupt
    assert "its DICOM header is damaged" in left.reason


def test_derived_pictures_without_a_place_are_no_failure(tmp_path):
    write_series(tmp_path / "a", grid())

    def report(ds, k):
        ds.SeriesInstanceUID = uid("dose report")
        ds.SOPInstanceUID = uid("dose report", k)
        ds.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
        del ds.ImagePositionPatient, ds.ImageOrientationPatient

    write_series(tmp_path / "b", grid(slices=1), edit=report)
    discovery = discover([tmp_path])
    assert len(discovery.found) == 1
    assert list(reasons(discovery).values()) == [("it is a derived image without a position in the patient", False)]


def test_many_files_are_quick(tmp_path):
    """Only headers are read: two thousand files are far within the seconds a test may take."""
    (path,) = write_series(tmp_path / "one", grid(slices=1))
    content = path.read_bytes()
    mark = uid("series", 0)
    for number in range(2000):
        (tmp_path / "one" / f"{number}").write_bytes(
            content.replace(mark.encode(), f"{mark[:-4]}{number:04d}".encode())
        )
    path.unlink()
    discovery = discover([tmp_path])
    assert [len(scan.files) for scan in discovery.found] == [2000]


# --- pictures


def test_pictures_count_where_nothing_else_is_a_scan(tmp_path):
    Image.fromarray(np.zeros((5, 6), np.uint8)).save(tmp_path / "a.png")
    assert ids(discover([tmp_path])) == ["a"]
    nib.save(nib.Nifti1Image(np.ones((5, 6, 7), np.int16), np.eye(4)), tmp_path / "b.nii")
    discovery = discover([tmp_path])
    assert ids(discovery) == ["b"]
    assert reasons(discovery) == {"a.png": ("it is a 2D image among scans", False)}
    assert ids(discover([tmp_path, tmp_path / "a.png"])) == ["a", "b"]


def test_files_named_one_by_one_are_looked_at_in_one_process(tmp_path, monkeypatch):
    for number in range(3):
        Image.new("L", (8, 6)).save(tmp_path / f"{number}.png")
    started, start = [], process.start_module

    def counted(module, *given):
        started.append(module)
        return start(module, *given)

    monkeypatch.setattr(process, "start_module", counted)
    monkeypatch.setattr(apart, "_helpers", {})
    for number in range(3):
        assert discover([tmp_path / f"{number}.png"]).found[0].case_id == str(number)
    assert started == [apart.MODULE]
