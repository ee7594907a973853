"""Corrections from other programs: every format finds its case, and what does not belong is refused."""

from __future__ import annotations

import shutil

import nibabel as nib
import numpy as np
import pydicom
import pytest
from other_viewers import save_itksnap, save_mitk, save_ohif, save_slicer
from reviewed_dicom import make_dicom_results
from reviewed_results import edited, make_results

from medseg.errors import UsageError
from medseg.io.dicom_results.rtstruct import write_rtstruct
from medseg.io.dicom_results.seg import write_seg
from medseg.io.formats import MANUAL, Labeled, write_file
from medseg.review.label_import import import_labels
from medseg.review.opening import open_store
from medseg.types import Geometry, LabelMap, Source

SAVERS = {
    "scan_1.seg.nrrd": save_slicer,
    "scan_1_AB.nii.gz": save_itksnap,
    "scan_1.nrrd": save_mitk,
    "scan_1/Segmentation.seg.nrrd": save_slicer,
    "scan_1-label.nii": save_itksnap,
    "scan_1_seg.mha": lambda path, labels: write_file(Labeled(labels, Source("array"), MANUAL), path)[0],
}


@pytest.fixture
def out(tmp_path):
    return make_results(tmp_path, 3)


def corrected(out, case="scan_1", value=300):
    with open_store(out, create=True) as store:
        labels = store.model_labels(case)
    return edited(edited(labels, (0, 3, 3), value), (-1, 9, 6), 65535)


@pytest.mark.parametrize("name", SAVERS)
def test_files_of_other_programs_become_revisions(out, tmp_path, name):
    labels = corrected(out)
    file = tmp_path / "in" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    SAVERS[name](file, labels)
    done = import_labels(out, tmp_path / "in", reviewer="Ada")
    (one,) = done.files
    assert (one.state, one.case_id, one.revision, one.changed_voxels) == ("imported", "scan_1", 1, 2), one.error
    assert one.matched_by == "name"  # three scans share one grid
    assert done.exit_code == 0
    with open_store(out) as store:
        assert np.array_equal(store.labels("scan_1").array, labels.array)
        assert store.labels("scan_1").table == store.model_labels("scan_1").table
        newest = store.case("scan_1").newest
        assert (newest.who, newest.origin.endswith("imported")) == ("Ada", True)
        assert store.case("scan_1").state == "open"
        kinds = [event.kind for event in store.events("scan_1")]
        assert kinds == ["saved", "imported"]
        assert not store.verify()


def test_groups_of_mitk_are_brought_together(out, tmp_path):
    labels = corrected(out)
    save_mitk(tmp_path / "in/scan_1.nrrd", labels, groups=2)
    assert import_labels(out, tmp_path / "in", reviewer="Ada").files[0].state == "imported"
    with open_store(out) as store:
        assert np.array_equal(store.labels("scan_1").array, labels.array)


@pytest.mark.parametrize("order", [(2, 0, 1), (1, 2, 0)])
def test_other_axis_orders_and_directions_land_on_the_scans_grid(out, tmp_path, order):
    labels = corrected(out)
    image = nib.Nifti1Image(labels.array.astype(np.int32), labels.geometry.affine)
    turned = image.as_reoriented([[axis, -1 if axis == 1 else 1] for axis in order])
    nib.save(turned, tmp_path / "scan_1.nii.gz")
    (one,) = import_labels(out, tmp_path / "scan_1.nii.gz", reviewer="Ada").files
    assert one.state == "imported", one.error
    with open_store(out) as store:
        read = store.labels("scan_1")
        assert np.array_equal(read.array, labels.array)
        assert np.array_equal(read.geometry.affine, labels.geometry.affine)


def refused(out, file, **options):
    done = import_labels(out, file, reviewer="Ada", **options)
    assert [one.state for one in done.files] == ["refused"]
    assert done.exit_code == 4
    with open_store(out) as store:
        assert not store.events()
    return done.files[0].error


def test_what_does_not_say_which_case_it_is_of_is_refused(out, tmp_path):
    save_itksnap(tmp_path / "in/liver.nii.gz", corrected(out))
    assert "lies on the grid of 3 cases (scan_0, scan_1, scan_2)" in refused(out, tmp_path / "in")


def test_another_grid_is_refused_and_never_resampled(out, tmp_path):
    labels = corrected(out)
    affine = np.array(labels.geometry.affine)
    affine[:3, 3] += 0.4
    moved = LabelMap(labels.array, Geometry(affine, labels.geometry.shape), labels.table)
    save_itksnap(tmp_path / "in/scan_1.nii.gz", moved)
    assert "lies on the grid of no case (its name is that of scan_1)" in refused(out, tmp_path / "in")


def test_a_name_and_a_grid_that_contradict_each_other_are_refused(tmp_path):
    out = make_results(tmp_path, 1)
    (tmp_path / "more").mkdir()
    other = make_results(tmp_path / "more", 2, shape=(8, 11, 7))
    shutil.copytree(other / "scan_1", out / "scan_1")
    save_itksnap(tmp_path / "in/scan_0.nii.gz", corrected(out, "scan_1"))
    assert "its name is that of scan_0, and its grid that of scan_1" in refused(out, tmp_path / "in")


def test_a_part_of_a_grid_needs_the_name(tmp_path):
    out = make_results(tmp_path, 1)
    labels = corrected(out, "scan_0")
    save_slicer(tmp_path / "in/anything.seg.nrrd", edited(labels, (8, 9, 6), 0))
    assert "covers a part of the grid of scan_0" in refused(out, tmp_path / "in")
    save_slicer(tmp_path / "in/anything.seg.nrrd", labels, crop=False)
    (one,) = import_labels(out, tmp_path / "in", reviewer="Ada").files
    assert (one.state, one.matched_by) == ("imported", "grid")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_file_that_reaches_beyond_the_scan_is_refused(out, tmp_path, axis):
    labels = corrected(out)
    for where, wider in (("after", [0, 1]), ("before", [1, 0])):
        array = np.pad(labels.array, [wider if one == axis else [0, 0] for one in range(3)])
        affine = np.array(labels.geometry.affine)
        affine[:3, 3] -= wider[0] * affine[:3, axis]
        larger = LabelMap(array, Geometry(affine, array.shape), labels.table)
        save_itksnap(tmp_path / where / "scan_1.nii.gz", larger)
        assert "reaches beyond the scan, which has 9 x 11 x 7" in refused(out, tmp_path / where)
        assert "reaches beyond" in refused(out, tmp_path / where / "scan_1.nii.gz", case="scan_1")


def test_a_case_that_is_named_is_taken_and_its_grid_still_checked(out, tmp_path):
    labels = corrected(out)
    save_itksnap(tmp_path / "liver.nii.gz", labels)
    (one,) = import_labels(out, tmp_path / "liver.nii.gz", reviewer="Ada", case="scan_2").files
    assert (one.state, one.case_id, one.matched_by) == ("imported", "scan_2", "given")
    small = LabelMap(np.ascontiguousarray(labels.array[:5]), Geometry(np.eye(4), (5, 11, 7)), labels.table)
    save_itksnap(tmp_path / "small.nii.gz", small)
    (one,) = import_labels(out, tmp_path / "small.nii.gz", reviewer="Ada", case="scan_2").files
    assert "not on the scan's grid" in one.error
    with pytest.raises(UsageError, match="case"):
        import_labels(out, tmp_path / "liver.nii.gz", reviewer="Ada", case="nobody")
    with pytest.raises(UsageError, match="one file"):
        import_labels(out, [tmp_path / "liver.nii.gz", tmp_path / "small.nii.gz"], reviewer="Ada", case="scan_2")


def test_segments_are_told_by_name_and_foreign_ones_are_refused(out, tmp_path):
    labels = corrected(out)
    save_slicer(tmp_path / "in/scan_1.seg.nrrd", labels, names={300: "Tumor"})
    assert "the segment 'Tumor' is none of the case's classes (liver, lesion, cyst)" in refused(out, tmp_path / "in")
    (one,) = import_labels(out, tmp_path / "in", reviewer="Ada", classes={"tumor": "Lesion"}).files
    assert one.changed_voxels == 2, one.error
    with open_store(out) as store:
        assert np.array_equal(store.labels("scan_1").array, labels.array)


def test_two_segments_of_one_class_only_where_that_was_said(out, tmp_path):
    labels = corrected(out)
    save_slicer(tmp_path / "in/scan_1.seg.nrrd", labels, names={300: "metastasis", 65535: "tumor"})
    same = {"metastasis": "lesion", "tumor": "lesion"}
    (one,) = import_labels(out, tmp_path / "in", reviewer="Ada", classes=same).files
    assert one.state == "imported", one.error
    with open_store(out) as store:
        assert set(np.unique(store.labels("scan_1").array)) == {0, 1, 300}


def test_a_class_that_the_file_has_nothing_of_is_said(out, tmp_path, caplog):
    labels = corrected(out)
    without = LabelMap(np.where(labels.array == 300, 0, labels.array), labels.geometry, labels.table)
    save_itksnap(tmp_path / "in/scan_1.nii.gz", without)
    assert import_labels(out, tmp_path / "in", reviewer="Ada").files[0].state == "imported"
    assert "the file has nothing of 'lesion', so the case has none now" in caplog.text
    assert "'liver'" not in caplog.text


def test_an_unknown_value_is_refused(out, tmp_path):
    save_itksnap(tmp_path / "in/scan_1.nii.gz", corrected(out, value=7))
    assert "the value 7 is none of the case's classes" in refused(out, tmp_path / "in")


def test_two_files_of_one_case_and_a_broken_one_stop_no_other(out, tmp_path):
    save_itksnap(tmp_path / "in/scan_0.nii.gz", corrected(out, "scan_0"))
    save_itksnap(tmp_path / "in/scan_0_again.nii.gz", corrected(out, "scan_0"))
    save_itksnap(tmp_path / "in/scan_2.nii.gz", corrected(out, "scan_2"))
    (tmp_path / "in/broken.nii.gz").write_bytes((tmp_path / "in/scan_2.nii.gz").read_bytes()[:-40])
    done = import_labels(out, tmp_path / "in", reviewer="Ada")
    assert [one.state for one in done.files] == ["refused", "imported", "refused", "imported"]
    assert "another file given is of case scan_0 too" in done.files[2].error
    assert done.exit_code == 3
    assert "2 imported" in repr(done)


def test_the_same_file_twice_is_one_revision(out, tmp_path):
    save_itksnap(tmp_path / "scan_1.nii.gz", corrected(out))
    for state in ("imported", "unchanged"):
        (one,) = import_labels(out, tmp_path / "scan_1.nii.gz", reviewer="Ada").files
        assert (one.state, one.revision) == (state, 1)


def test_another_persons_work_is_followed_only_when_asked_to(out, tmp_path):
    save_itksnap(tmp_path / "a/scan_1.nii.gz", corrected(out))
    save_itksnap(tmp_path / "b/scan_1.nii.gz", corrected(out, value=1))
    import_labels(out, tmp_path / "a", reviewer="Ada", accept=True)
    (one,) = import_labels(out, tmp_path / "b", reviewer="Bob").files
    assert one.error.startswith("case scan_1 is accepted by Ada. Use --blind")
    (one,) = import_labels(out, tmp_path / "b", reviewer="Bob", blind=True, accept=True).files
    assert one.revision == 2
    with open_store(out) as store:
        ada, bob = (store.case("scan_1", reader=name) for name in ("Ada", "Bob"))
        assert (ada.revision, bob.revision) == (1, 2)
        assert bob.newest.base == 0
        assert (ada.verdict.revision, bob.verdict.revision) == (1, 2)
    (one,) = import_labels(out, tmp_path / "a", reviewer="Cem", replace=True).files
    assert (one.state, one.revision) == ("imported", 3)


def test_dicom_is_matched_by_the_series_it_refers_to(tmp_path):
    out, case, series = make_dicom_results(tmp_path)
    with open_store(out, create=True) as store:
        labels = edited(store.model_labels(case), (10, 9, 4), 300)
    save_ohif(tmp_path / "in/whatever", labels, series, names={1: "Segment 1", 300: "lesion"})
    (one,) = import_labels(out, [tmp_path / "in", *series[:0]], reviewer="Ada", accept=True).files
    assert (one.state, one.case_id, one.matched_by, one.changed_voxels) == ("imported", case, "series", 1), one.error
    with open_store(out) as store:
        assert np.array_equal(store.labels(case).array, labels.array)
        assert store.case(case).state == "accepted"


def test_contours_are_filled_on_the_scans_grid(tmp_path):
    from medseg.io.read import load_scan

    out, case, _ = make_dicom_results(tmp_path)
    with open_store(out, create=True) as store:
        labels = edited(store.model_labels(case), (8, 7, 4), 0)
    (tmp_path / "in").mkdir()
    write_rtstruct(labels, load_scan(tmp_path / "series").source, tmp_path / "in/rt.dcm", model=MANUAL)
    (one,) = import_labels(out, tmp_path / "in", reviewer="Ada").files
    assert (one.state, one.matched_by, one.changed_voxels) == ("imported", "series", 1), one.error
    with open_store(out) as store:
        assert np.array_equal(store.labels(case).array, labels.array)


def test_a_structure_of_open_lines_is_no_empty_class(tmp_path):
    from medseg.io.read import load_scan

    out, case, _ = make_dicom_results(tmp_path)
    with open_store(out, create=True) as store:
        labels = store.model_labels(case)
    file = tmp_path / "in/rt.dcm"
    file.parent.mkdir()
    write_rtstruct(labels, load_scan(tmp_path / "series").source, file, model=MANUAL)
    dataset = pydicom.dcmread(file)
    for contour in dataset.ROIContourSequence[1].ContourSequence:
        contour.ContourGeometricType = "OPEN_PLANAR"
    dataset.save_as(file)
    assert "the contours of 'lesion' enclose no voxel" in refused(out, file)


def test_a_seg_of_another_series_and_a_scan_are_refused(tmp_path):
    out, case, _ = make_dicom_results(tmp_path / "a")
    _, _, foreign = make_dicom_results(tmp_path / "b")
    with open_store(out, create=True) as store:
        labels = store.model_labels(case)
    save_ohif(tmp_path / "in/seg.dcm", labels, foreign)
    assert "refers to a series that no case was made of" in refused(out, tmp_path / "in")
    assert "it is a scan, and no labels" in refused(out, foreign[0])


@pytest.mark.parametrize("write", [write_rtstruct, write_seg])
def test_labels_of_another_patient_are_refused(tmp_path, write):
    from medseg.io.read import load_scan

    out, case, _ = make_dicom_results(tmp_path)
    with open_store(out, create=True) as store:
        labels = store.model_labels(case)
    file = tmp_path / "in/labels.dcm"
    file.parent.mkdir()
    write(labels, load_scan(tmp_path / "series").source, file, model=MANUAL)
    dataset = pydicom.dcmread(file)
    dataset.PatientID = "OTHER"
    dataset.save_as(file)
    assert "another patient than the scan, by their Patient IDs" in refused(out, file)


def test_the_log_names_no_file(out, tmp_path, caplog):
    save_itksnap(tmp_path / "in/Doe_Jane.nii.gz", corrected(out))
    with caplog.at_level("DEBUG"):
        done = import_labels(out, tmp_path / "in", reviewer="Ada")
    assert done.exit_code == 4
    assert "Doe" not in caplog.text
    assert "Doe" not in done.files[0].error
