"""Corrections as a dataset: `audit` and `plan` take it as it is, and what was held out stays so."""

from __future__ import annotations

import csv
import json

import nibabel as nib
import numpy as np
import pytest
import yaml
from reviewed_dicom import make_dicom_results
from reviewed_results import edited, make_results
from small_labels import MODEL

from medseg.data.layouts import read_dataset
from medseg.data.splits import split_cases
from medseg.errors import InputError, UsageError
from medseg.io.files.file_hash import file_sha256
from medseg.io.instances import IDS
from medseg.io.nifti import read_scan, write_scan
from medseg.io.read import load_scan, read_labels
from medseg.models.card import ClassCard
from medseg.models.package import load_package
from medseg.review import dataset_export as module
from medseg.review.audit import audit
from medseg.review.dataset_export import export_dataset
from medseg.review.made_by import MadeBy, made_by
from medseg.review.opening import open_store
from medseg.review.store import Store
from medseg.types import FoundScan, LabelMap, Scan


def judge(out, case, *, change=True, kind="accept", who="Ada"):
    with open_store(out, create=True) as store:
        number = store.case(case).revision
        if change:
            labels = store.labels(case)
            wide = LabelMap(labels.array.astype(np.uint16), labels.geometry, labels.table)
            number = store.save_labels(case, edited(wide, (0, 3, 3), 1), who=who, expected=number, origin="test").number
        store.verdict(case, kind=kind, revision=number, who=who, reason="boundary" if kind == "reject" else None)


class Package:
    """The part of a model package that the export reads."""

    def __init__(self, held_out=()):
        card = load_package("hippocampus").card
        training = card.training.model_copy(update={"held_out": held_out})
        self.card = card.model_copy(update={"training": training})
        self.identity, self.hash = MODEL, MODEL.hash


@pytest.fixture(autouse=True)
def _model(monkeypatch):
    made_by_a_model(monkeypatch)


def made_by_a_model(monkeypatch, *held_out):
    monkeypatch.setattr(module, "made_by", lambda *_: MadeBy(MODEL, Package(held_out)))


@pytest.fixture
def out(tmp_path):
    out = make_results(tmp_path, 5)
    judge(out, "scan_0")
    judge(out, "scan_1", change=False)
    judge(out, "scan_2", kind="reject")
    judge(out, "scan_4")
    return out


def test_only_accepted_corrections_are_part_of_it(out, tmp_path):
    done = export_dataset(out, tmp_path / "data")
    assert [row.case_id for row in done.rows] == ["scan_0", "scan_4"]
    assert done.skipped == {"scan_1": "accepted as the model made it", "scan_2": "rejected", "scan_3": "open"}
    assert done.exit_code == 0
    data = read_dataset(tmp_path / "data")
    assert [case.case_id for case in data.labeled] == ["scan_0", "scan_4"]
    assert {entry.value: entry.name for entry in data.table} == {1: "liver", 300: "lesion", 65535: "cyst"}
    with open_store(out) as store:
        labels = store.labels("scan_0")
    case = data.labeled[0]
    assert np.array_equal(read_labels(case.reference).array, labels.array)
    image, scan = nib.load(case.images[0]), nib.load(tmp_path / "scans/scan_0.nii.gz")
    assert np.array_equal(image.affine, scan.affine)
    assert np.array_equal(np.asanyarray(image.dataobj), np.asanyarray(scan.dataobj))
    assert np.array_equal(nib.load(case.reference).affine, scan.affine)
    (record,) = [r for r in csv.DictReader((tmp_path / "data/corrections.csv").open()) if r["case_id"] == "scan_0"]
    assert (record["reader"], record["verdict"], record["changed_voxels"]) == ("Ada", "corrected", "1")


def test_cases_accepted_as_they_were_on_request(out, tmp_path):
    done = export_dataset(out, tmp_path / "data", unchanged=True)
    assert [row.case_id for row in done.rows] == ["scan_0", "scan_1", "scan_4"]
    assert [row.verdict for row in done.rows] == ["corrected", "accepted", "corrected"]


def test_audit_takes_it_as_it_is(out, tmp_path):
    export_dataset(out, tmp_path / "data", unchanged=True)
    found = audit(tmp_path / "data", folds=2)
    assert not [finding for finding in found.findings if finding.blocks], found.findings
    assert len(found.data.labeled) == 3


def test_what_the_card_held_out_stays_held_out(out, tmp_path, monkeypatch):
    made_by_a_model(monkeypatch, "scan_4", "other")
    done = export_dataset(out, tmp_path / "data", unchanged=True)
    assert {row.case_id: row.split for row in done.rows} == {
        "scan_0": "train", "scan_1": "train", "scan_4": "validation",
    }  # fmt: skip
    data = read_dataset(tmp_path / "data")
    split = split_cases(data.labeled, folds=5, fold=0, seed=0)
    assert split.validation == ("scan_4",)
    assert data.channels[0].modality == "MR"
    description = yaml.safe_load((tmp_path / "data/dataset.yaml").read_text())
    assert description["name"] == "hippocampus-corrections"


def test_other_cases_of_a_patient_held_out_are_held_out_too(tmp_path, monkeypatch):
    out = make_results(tmp_path, 3)
    for number, name in enumerate(("patient7_t1", "patient7_t2", "patient8_t1")):
        (out / f"scan_{number}").rename(out / name)
        status = (out / name / "status.json").read_text().replace(f'"scan_{number}"', f'"{name}"')
        (out / name / "status.json").write_text(status)
        judge(out, name)
    made_by_a_model(monkeypatch, "patient7_t1")
    done = export_dataset(out, tmp_path / "data")
    assert {row.case_id: row.split for row in done.rows} == {
        "patient7_t1": "validation", "patient7_t2": "validation", "patient8_t1": "train",
    }  # fmt: skip


def test_dicom_leaves_no_identifier_and_groups_by_patient(tmp_path):
    out, case, _ = make_dicom_results(tmp_path)
    judge(out, case)
    (row,) = export_dataset(out, tmp_path / "data").rows
    assert len(row.group) == 16
    assert row.group.isalnum()
    texts = [path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert not any(b"Doe" in text or b"P1" in text for text in texts if not text.startswith(b"\x1f\x8b"))
    data = read_dataset(tmp_path / "data")
    assert data.channels[0].modality == "MR"
    scan = load_scan(tmp_path / "series")
    assert np.array_equal(load_scan(data.labeled[0].images[0]).array, scan.array)
    with open_store(out) as store:
        assert np.array_equal(read_labels(data.labeled[0].reference).array, store.labels(case).array)


def test_it_is_written_again_and_nothing_else_is_overwritten(out, tmp_path):
    export_dataset(out, tmp_path / "data", unchanged=True)
    judge(out, "scan_3")
    done = export_dataset(out, tmp_path / "data")
    assert sorted(path.name for path in (tmp_path / "data/images").iterdir()) == [
        f"{row.case_id}.nii.gz" for row in done.rows
    ]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("...")
    with pytest.raises(UsageError, match=r"thesis\.tex"):
        export_dataset(out, tmp_path / "mine")
    (tmp_path / "own/images").mkdir(parents=True)
    with pytest.raises(UsageError, match="something else"):
        export_dataset(out, tmp_path / "own")


def test_a_scan_that_changed_is_refused_by_name_and_stops_no_other(out, tmp_path, caplog):
    scan = tmp_path / "scans/scan_0.nii.gz"
    scan.write_bytes((tmp_path / "scans/scan_1.nii.gz").read_bytes())
    done = export_dataset(out, tmp_path / "data")
    assert [row.case_id for row in done.rows] == ["scan_4"]
    assert "its bytes are not those" in done.failed["scan_0"]
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert line.startswith("scan_0: the scan is there, and its bytes")
    assert done.exit_code == 3


def test_nothing_to_export_is_exit_code_4(tmp_path):
    out = make_results(tmp_path, 1)
    judge(out, "scan_0", change=False)
    done = export_dataset(out, tmp_path / "data")
    assert (done.exit_code, len(done.skipped)) == (4, 1)
    assert not (tmp_path / "data/dataset.yaml").exists()


def test_without_the_models_card_nothing_is_known_to_be_held_out(out, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "made_by", made_by)
    with pytest.raises(InputError, match="does not say which model"):
        export_dataset(out, tmp_path / "data")
    steps = {"segment": {"model_sha256": MODEL.hash}}
    (out / "run.json").write_text(json.dumps({"versions": {"model": str(MODEL)}, "steps": steps}))
    with pytest.raises(
        InputError,
        match=r"not on this machine \(what is here is hippocampus \d+ .*Give that very package.*the model to train",
    ):
        export_dataset(out, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_channels_in_files_of_their_own_are_columns(tmp_path, monkeypatch):
    out = make_results(tmp_path, 1)
    judge(out, "scan_0")
    other = tmp_path / "scans/scan_0_other.nii.gz"
    image = nib.load(tmp_path / "scans/scan_0.nii.gz")
    nib.save(nib.Nifti1Image(np.asanyarray(image.dataobj) + 7, image.affine), other)
    paths = (tmp_path / "scans/scan_0.nii.gz", other)
    found = tuple(FoundScan("scan_0", "nifti", (path,)) for path in paths)
    monkeypatch.setattr(Store, "channels", lambda *_: found)
    (row,) = export_dataset(out, tmp_path / "data").rows
    assert row.case_id == "scan_0"
    data = read_dataset(tmp_path / "data")
    assert [channel.name for channel in data.channels] == ["image 0", "image 1"]
    assert not data.resample_channels
    for written, path in zip(data.labeled[0].images, paths, strict=True):
        assert np.array_equal(np.asanyarray(nib.load(written).dataobj), np.asanyarray(nib.load(path).dataobj))
    assert not [finding for finding in audit(tmp_path / "data", folds=1).findings if finding.blocks]


def learned_from_objects(monkeypatch, *classes):
    package = Package()
    training = package.card.training.model_copy(update={"border_mm": 1.0, "held_out": ()})
    cards = tuple(ClassCard(value=n, name=name) for n, name in enumerate((*classes, "border"), start=1))
    package.card = package.card.model_copy(update={"training": training, "classes": cards})
    monkeypatch.setattr(module, "made_by", lambda *_: MadeBy(MODEL, package))


def number_objects(out, case, ids):
    """Give a result the objects that a model numbers."""
    scan = read_scan(out / case / "labels.nii.gz")
    write_scan(Scan(ids[np.newaxis].astype(np.int32), scan.geometry, source=scan.source), out / case / IDS)
    status = json.loads((out / case / "status.json").read_text())
    status["outputs"][IDS] = file_sha256(out / case / IDS)
    (out / case / "status.json").write_text(json.dumps(status))


def test_numbered_objects_are_the_labels_where_the_model_learned_from_them(tmp_path, monkeypatch):
    out = make_results(tmp_path, 4)
    learned_from_objects(monkeypatch, "cell")
    ids = np.zeros((9, 11, 7), np.int32)
    ids[1:3, 2:6, 1:4], ids[3:5, 2:6, 1:4] = 40, 7
    for case in ("scan_0", "scan_1", "scan_2"):
        number_objects(out, case, ids)
    with open_store(out, create=True) as store:  # two objects are merged: no voxel's class changes
        merged = np.where(ids > 0, 7, 0)
        store.save_labels("scan_1", store.labels("scan_1"), who="Ada", expected=0, origin="test", instances=merged)
        store.verdict("scan_1", kind="accept", revision=1, who="Ada")
        assert store.case("scan_1").is_corrected
        # Saved as the model made them: nothing is corrected.
        store.save_labels("scan_0", store.labels("scan_0"), who="Ada", expected=0, origin="test", instances=ids)
        assert not store.case("scan_0").is_corrected
        store.verdict("scan_0", kind="accept", revision=1, who="Ada")
    judge(out, "scan_2")  # drawn elsewhere, without numbers
    done = export_dataset(out, tmp_path / "data", unchanged=True)
    assert [(row.case_id, row.verdict) for row in done.rows] == [("scan_0", "accepted"), ("scan_1", "corrected")]
    assert "without numbering" in done.failed["scan_2"]
    data = read_dataset(tmp_path / "data")
    assert (data.references, [entry.name for entry in data.table]) == ("instances", ["cell"])
    written = {case.case_id: read_labels(case.reference).array for case in data.labeled}
    assert np.array_equal(written["scan_0"], np.where(ids == 40, 2, np.where(ids == 7, 1, 0)))
    assert np.array_equal(written["scan_1"], ids > 0)
    # One mask for all cases is what this test made.
    assert {found.kind for found in audit(tmp_path / "data", folds=1).findings if found.blocks} == {"same-reference"}


def test_objects_of_several_classes_are_written_as_classes(out, tmp_path, monkeypatch, caplog):
    learned_from_objects(monkeypatch, "cell", "vessel")
    assert len(export_dataset(out, tmp_path / "data").rows) == 2
    assert "written as classes" in caplog.text
    data = read_dataset(tmp_path / "data")
    assert (data.references, len(data.table)) == ("classes", 3)


def test_another_model_may_say_what_stays_held_out(out, tmp_path, monkeypatch, caplog):
    """Results of a model that is replaced are exported for the one that took its place, which is said."""
    steps = {"segment": {"model_sha256": MODEL.hash}}
    (out / "run.json").write_text(json.dumps({"versions": {"model": str(MODEL)}, "steps": steps}))
    monkeypatch.setattr(module, "made_by", made_by)
    newer = Package(["scan_4"])
    newer.hash = "another"
    monkeypatch.setattr(module, "resolve_model", lambda _: newer)
    done = export_dataset(out, tmp_path / "data", model="hippocampus")
    assert {row.case_id: row.split for row in done.rows} == {"scan_0": "train", "scan_4": "validation"}
    assert "train from that one" in caplog.text
    description = yaml.safe_load((tmp_path / "data/dataset.yaml").read_text())
    assert description["description"].startswith(f"Results of {MODEL}")
    assert list(description["channels"]) == ["image"]
