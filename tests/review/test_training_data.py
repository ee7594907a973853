"""Reviewed results as what is trained on: exported once beside the run, and kept for its resumptions."""

from __future__ import annotations

import numpy as np
import pytest
from reviewed_results import edited, make_results
from small_labels import MODEL

from medseg.cli.app import run
from medseg.data.layouts import read_dataset
from medseg.errors import InputError, UsageError
from medseg.models.package import load_package
from medseg.review import dataset_export
from medseg.review.made_by import MadeBy
from medseg.review.opening import open_store
from medseg.review.training_data import training_data
from medseg.types import LabelMap


def correct(out, case):
    with open_store(out, create=True) as store:
        labels = store.labels(case)
        wide = LabelMap(labels.array.astype(np.uint16), labels.geometry, labels.table)
        saved = store.save_labels(case, edited(wide, (0, 3, 3), 1), who="Ada", expected=0, origin="test")
        store.verdict(case, kind="accept", revision=saved.number, who="Ada")


@pytest.fixture
def out(tmp_path, monkeypatch):
    maker = MadeBy(MODEL, load_package("hippocampus"))
    monkeypatch.setattr(dataset_export, "made_by", lambda *_: maker)
    out = make_results(tmp_path, 3)
    open_store(out, create=True).close()
    return out


def cases(dataset):
    return [case.case_id for case in read_dataset(dataset).labeled]


def test_a_dataset_is_what_it_is(tmp_path):
    assert training_data(tmp_path, tmp_path / "run") == tmp_path


def test_corrections_are_exported_until_the_run_is_begun(out, tmp_path):
    run_folder = tmp_path / "run"
    with pytest.raises(UsageError, match="nobody has accepted a case with corrections"):
        training_data(out, run_folder)
    correct(out, "scan_0")
    assert cases(training_data(out, run_folder)) == ["scan_0"]
    correct(out, "scan_1")
    assert cases(training_data(out, run_folder)) == ["scan_0", "scan_1"]
    (run_folder / "checkpoint.pt").touch()
    correct(out, "scan_2")
    assert cases(training_data(out, run_folder)) == ["scan_0", "scan_1"]


def test_what_the_model_to_start_from_held_out_stays_held_out(out, tmp_path, monkeypatch):
    for number in range(3):
        correct(out, f"scan_{number}")
    start = load_package("hippocampus")
    training = start.card.training.model_copy(update={"held_out": ("scan_2",)})
    started = type(start)(start.folder, start.card.model_copy(update={"training": training}))
    monkeypatch.setattr(dataset_export, "resolve_model", lambda *_: started)
    data = read_dataset(training_data(out, tmp_path / "run", "mine"))
    assert {case.case_id: case.split for case in data.labeled}["scan_2"] == "validation"
    training = start.card.training.model_copy(update={"held_out": ("scan_0", "scan_1", "scan_2")})
    started = type(start)(start.folder, start.card.model_copy(update={"training": training}))
    monkeypatch.setattr(dataset_export, "resolve_model", lambda *_: started)
    with pytest.raises(UsageError, match="every corrected case is one that the model's card lists as held out"):
        training_data(out, tmp_path / "another", "mine")


def test_a_case_that_cannot_be_exported_is_not_left_out_in_silence(out, tmp_path):
    correct(out, "scan_0")
    correct(out, "scan_1")
    (tmp_path / "scans/scan_0.nii.gz").unlink()
    with pytest.raises(InputError, match="1 corrected case cannot be trained on, such as scan_0"):
        training_data(out, tmp_path / "run")


def test_train_takes_a_review_and_audit_says_what_to_do(out, tmp_path, capsys, monkeypatch):
    correct(out, "scan_0")
    taken = []
    monkeypatch.setattr("medseg.training.run.run_training", lambda options: taken.append(options.dataset) or out)
    run(["train", str(out), "--out", str(tmp_path / "run")])
    assert taken == [tmp_path / "run/corrections"]
    capsys.readouterr()
    assert run(["audit", str(out)]) == 4
    assert "medseg review export" in capsys.readouterr().err
