"""Reviewed labels as DICOM: what is the model's, what a person's, and who vouches for it."""

from __future__ import annotations

import json
from dataclasses import replace

import highdicom as hd
import numpy as np
import pydicom
import pytest
from other_viewers import save_itksnap
from peer_tools import dicom_errors
from reviewed_dicom import TABLE, make_dicom_results
from reviewed_results import edited, make_results
from small_labels import MODEL

from medseg.errors import InputError, UsageError
from medseg.io.dicom_results.read_seg import read_seg
from medseg.io.formats import WRITERS
from medseg.prepare.regrid import regrid
from medseg.review.label_import import import_labels
from medseg.review.opening import open_store
from medseg.review.results_export import export_results
from medseg.review.revisions import UNAIDED
from medseg.types import LabelMap

SEG, REPORT, CONTOURS = (WRITERS[name].file_name for name in ("dicom-seg", "sr", "rtstruct"))


@pytest.fixture
def reviewed(tmp_path):
    return make_dicom_results(tmp_path, formats=("nifti", "dicom-seg", "sr"), InstitutionName="Charité")[:2]


def judge(out, case, *changes, who="Ada Lovelace", kind="accept"):
    """Save the model's labels with some voxels changed, and judge them."""
    with open_store(out, create=True) as store:
        now = store.case(case)
        number = now.revision
        if changes:
            labels = store.labels(case)
            labels = LabelMap(labels.array.astype(np.uint16), labels.geometry, labels.table)
            for voxel, value in changes:
                labels = edited(labels, voxel, value)
            number = store.save_labels(case, labels, who=who, expected=number, origin="test").number
        reason = "boundary" if kind == "reject" else None
        return store.verdict(case, kind=kind, revision=number, who=who, reason=reason)


class Package:
    """The part of a model package that the export reads."""

    class card:  # noqa: N801
        table = TABLE


def kinds(path):
    return [segment.SegmentAlgorithmType for segment in pydicom.dcmread(path).SegmentSequence]


def test_a_corrected_class_is_semiautomatic_and_the_other_stays_automatic(reviewed, tmp_path):
    out, case = reviewed
    judge(out, case, ((10, 9, 4), 1))
    done = export_results(out, tmp_path / "to", format="dicom-seg")
    assert done.exit_code == 0, done.failed
    seg = pydicom.dcmread(tmp_path / "to" / case / SEG)
    assert kinds(tmp_path / "to" / case / SEG) == ["SEMIAUTOMATIC", "AUTOMATIC"]
    assert seg.ContentCreatorName == "Lovelace^Ada"
    for segment in seg.SegmentSequence:
        (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
        assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == (MODEL.name, MODEL.version)
        assert MODEL.hash in algorithm.AlgorithmParameters
    assert seg.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeValue == "10200004"
    assert "corrected" in seg.SeriesDescription
    with open_store(out) as store:
        labels = store.labels(case)
    back = regrid(read_seg(tmp_path / "to" / case / SEG), labels.geometry)
    assert np.array_equal(back.array, labels.array)
    before = pydicom.dcmread(out / case / SEG)
    assert seg.SOPInstanceUID != before.SOPInstanceUID
    assert [s.TrackingUID for s in seg.SegmentSequence] == [s.TrackingUID for s in before.SegmentSequence]


def test_a_class_the_model_found_nothing_of_is_manual(tmp_path):
    out, case, _ = make_dicom_results(tmp_path)
    with open_store(out, create=True) as store:
        model = store.model_labels(case)
    array = np.where(model.array == 300, 1, model.array)
    from medseg.engine import journal
    from medseg.io.nifti import write_labels
    from medseg.types.run import CaseOutcome

    digest = journal.read_status(out / case).content["input_sha256"]
    write_labels(LabelMap(array, model.geometry, TABLE), out / case / "labels.nii.gz")
    journal.finish(out / case, "key", digest, CaseOutcome(case, "done", "series", out / case))
    judge(out, case, ((10, 9, 4), 300))
    export_results(out, tmp_path / "to", format="dicom-seg,rtstruct")
    seg = pydicom.dcmread(tmp_path / "to" / case / SEG)
    assert kinds(tmp_path / "to" / case / SEG) == ["AUTOMATIC", "MANUAL"]
    assert "SegmentationAlgorithmIdentificationSequence" not in seg.SegmentSequence[1]
    contours = pydicom.dcmread(tmp_path / "to" / case / CONTOURS)
    assert [roi.ROIGenerationAlgorithm for roi in contours.StructureSetROISequence] == ["AUTOMATIC", "MANUAL"]
    assert contours.ApprovalStatus == "APPROVED"
    assert contours.ReviewerName == "Lovelace^Ada"


def test_an_accepted_case_is_the_models_own_object_with_a_verified_report(reviewed, tmp_path):
    out, case = reviewed
    verdict = judge(out, case)
    export_results(out, tmp_path / "to", format="sr", organization="Ward 9")
    folder = tmp_path / "to" / case
    assert kinds(folder / SEG) == ["AUTOMATIC", "AUTOMATIC"]
    seg, before = pydicom.dcmread(folder / SEG), pydicom.dcmread(out / case / SEG)
    assert seg.ContentCreatorName == ""
    assert np.array_equal(seg.pixel_array, before.pixel_array)
    report = pydicom.dcmread(folder / REPORT)
    assert (report.VerificationFlag, report.PreliminaryFlag, report.CompletionFlag) == ("VERIFIED", "FINAL", "COMPLETE")
    (observer,) = report.VerifyingObserverSequence
    assert (observer.VerifyingObserverName, observer.VerifyingOrganization) == ("Lovelace^Ada", "Ward 9")
    assert str(observer.VerificationDateTime)[:14] == verdict.t[:19].translate({ord(c): None for c in "-:T"})
    earlier = pydicom.dcmread(out / case / REPORT)
    (study,) = report.PredecessorDocumentsSequence
    named = study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert named == earlier.SOPInstanceUID
    groups = hd.sr.srread(folder / REPORT).content.get_volumetric_roi_measurement_groups()
    measured = [len(group.get_measurements()) for group in groups]
    assert min(measured) > 1  # the scan's values inside each class, and its diameter, beside the volume
    text = str(report)
    assert "Lovelace^Ada" in text.split("Observer Type", 1)[1]


def test_with_the_model_at_hand_the_object_is_byte_for_byte_the_delivered_one(tmp_path, monkeypatch):
    from medseg.review import results_export as module

    out, case, _ = make_dicom_results(tmp_path)
    made = module.made_by(out)
    monkeypatch.setattr(module, "made_by", lambda *_: replace(made, package=Package()))
    judge(out, case)
    export_results(out, tmp_path / "to", format="dicom-seg")
    assert (tmp_path / "to" / case / SEG).read_bytes() == (out / case / SEG).read_bytes()


def test_the_same_verdict_again_is_the_same_report_and_a_new_one_names_it(reviewed, tmp_path):
    out, case = reviewed
    judge(out, case, ((10, 9, 4), 1))
    path = tmp_path / "to" / case / REPORT
    export_results(out, tmp_path / "to", format="sr")
    first = path.read_bytes()
    export_results(out, tmp_path / "to", format="sr")
    assert path.read_bytes() == first
    uid = pydicom.dcmread(path).SOPInstanceUID
    judge(out, case, ((10, 8, 4), 1), who="Bob")
    export_results(out, tmp_path / "to", format="sr")
    report = pydicom.dcmread(path)
    (study,) = report.PredecessorDocumentsSequence
    assert study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == uid
    assert report.VerifyingObserverSequence[0].VerifyingObserverName == "Bob"
    assert report.VerifyingObserverSequence[0].VerifyingOrganization == "Charité"


def test_labels_drawn_without_the_models_in_sight_are_manual(reviewed, tmp_path):
    out, case = reviewed
    with open_store(out, create=True) as store:
        labels = edited(store.model_labels(case), (10, 9, 4), 300)
        store.save_labels(case, labels, who="Ada", expected=0, origin=UNAIDED, reader="Ada")
        store.verdict(case, kind="accept", revision=1, who="Ada", reader="Ada")
    export_results(out, tmp_path / "to", format="dicom-seg", reviewer="Ada")
    assert kinds(tmp_path / "to" / case / SEG) == ["MANUAL", "MANUAL"]


def test_only_accepted_cases_are_written(reviewed, tmp_path):
    out, case = reviewed
    judge(out, case, kind="reject")
    done = export_results(out, tmp_path / "to", format="dicom-seg")
    assert (done.exit_code, done.skipped) == (4, {case: "rejected"})
    assert not (tmp_path / "to" / case).exists()


def test_a_scan_that_is_gone_is_said_and_stops_no_other(tmp_path):
    out = make_results(tmp_path)
    (out / "run.json").write_text(
        json.dumps({"versions": {"model": str(MODEL)}, "steps": {"segment": {"model_sha256": MODEL.hash}}})
    )
    for case in ("scan_0", "scan_1"):
        judge(out, case)
    (tmp_path / "scans/scan_0.nii.gz").unlink()
    done = export_results(out, tmp_path / "to", format="nifti,dicom-seg")
    assert set(done.files) == {"scan_1"}
    assert "scan was not found" in done.failed["scan_0"]
    assert done.exit_code == 3
    done = export_results(out, tmp_path / "to", format="dicom-seg")
    assert "refer to a DICOM series" in done.failed["scan_1"]


def test_results_of_an_unknown_model_are_refused(tmp_path):
    out = make_results(tmp_path)
    judge(out, "scan_0")
    with pytest.raises(InputError, match=r"run\.json does not say which model"):
        export_results(out, tmp_path / "to", format="nifti")
    (out / "run.json").write_text(
        json.dumps({"versions": {"model": str(MODEL)}, "steps": {"segment": {"model_sha256": MODEL.hash}}})
    )
    with pytest.raises(InputError, match="were made by hippocampus 1"):
        export_results(out, tmp_path / "to", format="nifti", model="hippocampus")
    with pytest.raises(UsageError, match="nothing was reviewed"):
        export_results(tmp_path / "scans", tmp_path / "to", format="nifti")


def test_labels_of_a_blinded_reader_are_that_readers(reviewed, tmp_path):
    out, case = reviewed
    for who, voxel in (("Ada", (10, 9, 4)), ("Bob", (10, 8, 4))):
        with open_store(out, create=True) as store:
            labels = edited(store.model_labels(case), voxel, 1)
        save_itksnap(tmp_path / who / f"{case}.nii.gz", labels)
        import_labels(out, tmp_path / who, reviewer=who, blind=True, accept=True)
    export_results(out, tmp_path / "to", format="dicom-seg", reviewer="Ada")
    assert pydicom.dcmread(tmp_path / "to" / case / SEG).ContentCreatorName == "Ada"
    back = read_seg(tmp_path / "to" / case / SEG)
    with open_store(out) as store:
        expected = edited(store.model_labels(case), (10, 9, 4), 1)
    assert np.array_equal(regrid(back, expected.geometry).array, expected.array)


@pytest.mark.peers
def test_dciodvfy_finds_no_error(reviewed, tmp_path):
    out, case = reviewed
    judge(out, case, ((10, 9, 4), 1))
    export_results(out, tmp_path / "corrected", format="sr,rtstruct")
    with open_store(out) as store:
        store.verdict(case, kind="take_back", revision=1, who="Ada Lovelace")
        store.save_labels(case, store.model_labels(case), who="Ada Lovelace", expected=1, origin="test")
        store.verdict(case, kind="accept", revision=2, who="Ada Lovelace")
    export_results(out, tmp_path / "accepted", format="sr,rtstruct")
    files = [*tmp_path.glob("corrected/*/*.dcm"), *tmp_path.glob("accepted/*/*.dcm")]
    assert len(files) == 6
    before = {path.name: dicom_errors(path) for path in (out / case).glob("*.dcm")}
    for path in files:
        assert dicom_errors(path) == before.get(path.name, []), path


def test_what_is_not_accepted_any_more_is_removed(reviewed, tmp_path, caplog):
    out, case = reviewed
    place = tmp_path / "to"
    judge(out, case)
    export_results(out, place, format="dicom-seg,sr,stl")
    (place / case / "notes.txt").write_text("mine")
    assert {SEG, REPORT} < {path.name for path in (place / case).iterdir()}
    judge(out, case, kind="reject")
    done = export_results(out, place, format="dicom-seg,sr,stl")
    assert done.skipped == {case: "rejected"}
    assert [path.name for path in (place / case).iterdir()] == ["notes.txt"]
    assert SEG in caplog.text
    assert "not accepted any more" in caplog.text


def test_of_a_case_that_fails_nothing_is_left_neither_new_nor_of_an_earlier_export(reviewed, tmp_path, caplog):
    out, case = reviewed
    place = tmp_path / "to"
    judge(out, case)
    export_results(out, place, format="dicom-seg,sr,nifti")
    judge(out, case, ((10, 9, 4), 1))
    done = export_results(out, place, format="nifti,dicom-seg-objects")  # the first is written before the second fails
    assert (done.exit_code, set(done.failed)) == (4, {case})
    assert not (place / case).exists()
    assert f"{case}: failed, so that its earlier export was removed: labels" in caplog.text


def test_what_was_exported_before_the_verdict_that_counts_goes_and_after_it_stays(reviewed, tmp_path, caplog):
    out, case = reviewed
    folder = tmp_path / "to" / case
    judge(out, case)
    export_results(out, folder.parent, format="dicom-seg,stl")
    export_results(out, folder.parent, format="nifti")
    assert (folder / SEG).is_file()
    with open_store(out) as store:
        labels = store.model_labels(case)
    judge(out, case, *((tuple(voxel), 0) for voxel in np.argwhere(labels.array == 300)))
    export_results(out, folder.parent, format="stl")
    assert [path.name for path in folder.iterdir()] == ["labels.1-liver.stl"]
    assert "judged anew, so that its earlier export was removed: " in caplog.text


def test_results_are_not_exported_into_themselves(reviewed):
    out, case = reviewed
    judge(out, case)
    before = (out / case / SEG).read_bytes()
    with pytest.raises(UsageError, match="folder of the results itself"):
        export_results(out, out, format="dicom-seg")
    assert (out / case / SEG).read_bytes() == before
