"""Datasets of one to five cases, and datasets that say which cases are their test."""

import csv
import json
import logging

import pytest
from tiny_dataset import train_config, write_msd

from medseg.errors import InputError
from medseg.models.card_text import card_text
from medseg.models.package import load_package
from medseg.review.audit import audit
from medseg.training.run import train

# No folds: as many as the dataset allows.
UNSPLIT = {"split": {}, "epochs": 1, "iterations_per_epoch": 2}


def rows(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


def test_one_case_trains_and_it_is_said_that_nothing_is_held_out(tmp_path, caplog):
    dataset = write_msd(tmp_path / "one", cases=1)
    assert audit(dataset).clean == ("case_00",)
    with caplog.at_level(logging.WARNING, "medseg.train"):
        package = train(dataset, tmp_path / "out", config=train_config(**UNSPLIT), device="cpu")
    assert package.card.validation is None
    assert package.card.training.trained_on == ("case_00",)
    assert "No case is held out (nothing held out, because there is one case or group)" in caplog.text
    assert "nothing held out, because there is one case" in (tmp_path / "out" / "report.html").read_text()


def test_of_two_cases_one_is_held_out_unless_the_other_is_blocked(tmp_path, caplog):
    dataset = write_msd(tmp_path / "two", cases=2)
    with caplog.at_level(logging.WARNING, "medseg.train"):
        package = train(dataset, tmp_path / "out", config=train_config(**UNSPLIT), device="cpu")
    assert package.card.validation.split == "leave-one-out, fold 0 of 2, seed 0"
    assert "One case is held out" in caplog.text
    (other,) = {"case_00", "case_01"} - set(package.card.training.held_out)
    (dataset / "imagesTr" / f"{other}.nii.gz").write_bytes(b"no image")
    again = train(dataset, tmp_path / "again", config=train_config(**UNSPLIT), device="cpu")
    assert again.card.training.trained_on == package.card.training.held_out
    assert again.card.validation is None
    split = json.loads((tmp_path / "again" / "split.json").read_text())
    assert split["name"] == "nothing held out, because no other case can be trained on"


def test_cross_validation_of_three_cases_leaves_one_out_and_goes_on_without_a_blocked_one(tmp_path):
    dataset = write_msd(tmp_path / "three", cases=3)
    (dataset / "imagesTr" / "case_01.nii.gz").write_bytes(b"no image")
    package = train(dataset, tmp_path / "out", config=train_config(**UNSPLIT), device="cpu", folds="all")
    assert package.card.validation.split == "3-fold cross-validation, seed 0"
    assert package.card.validation.cases == 2
    assert {row["case_id"] for row in rows(tmp_path / "out" / "cross_validation.csv")} == {"case_00", "case_02"}


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """Six cases in a table, two of them marked as test."""
    folder = write_msd(tmp_path_factory.mktemp("marked") / "set")
    lines = [
        f"case_{n:02},imagesTr/case_{n:02}.nii.gz,labelsTr/case_{n:02}.nii.gz,{'test' if n in (1, 4) else ''}"
        for n in range(6)
    ]
    (folder / "dataset.csv").write_text("\n".join(["case,MR,label,split", *lines]) + "\n")
    return folder / "dataset.csv"


@pytest.mark.parametrize(("folds", "final"), [(None, "all"), ("all", "all"), ("all", "ensemble")])
def test_test_cases_are_measured_at_the_end_and_never_trained_on(marked, tmp_path, folds, final):
    config = train_config(**UNSPLIT | {"split": {"folds": 2}})
    train(marked, tmp_path, config=config, device="cpu", folds=folds, final=final)
    card = load_package(tmp_path / "model").card
    assert {"case_01", "case_04"}.isdisjoint({*card.training.trained_on, *card.training.held_out})
    table = rows(tmp_path / "test.csv")
    assert {row["case_id"] for row in table} == {"case_01", "case_04"}
    assert card.test.cases == 2
    for name, dice in card.test.dice.items():
        values = [float(row["value"]) for row in table if row["class"] == name]
        assert dice == pytest.approx(sum(values) / 2, abs=1e-4)
    assert card.validation.cases == (2 if folds is None else 4)
    assert f"Mean Dice {card.test.mean_dice:.3f} on 2 test cases, as the dataset gives them." in card_text(card)
    assert not list(tmp_path.glob("fold_*/test.csv"))
    if folds is None:
        page = (tmp_path / "report.html").read_text()
        assert page.index("Every test case") < page.index("<td>case_04</td>")


def test_what_a_dataset_holds_out_is_never_trained_on(tmp_path):
    """Also where that leaves nothing: a card that says a case was held out has to be true of the next model, too."""
    dataset = write_msd(tmp_path / "two", cases=2)
    (dataset / "splits_final.json").write_text(json.dumps([{"train": ["case_00"], "val": ["case_01"]}]))
    (dataset / "imagesTr" / "case_00.nii.gz").write_bytes(b"no image")
    with pytest.raises(InputError, match="no case can be trained on"):
        train(dataset, tmp_path / "out", config=train_config(**UNSPLIT), device="cpu")
