import csv
import json

import nibabel as nib
import numpy as np
import pytest
from tiny_dataset import train_config

from medseg.errors import ConfigError, UsageError
from medseg.models.package import load_package
from medseg.training import cross_validate as module
from medseg.training import final_model as final
from medseg.training.cross_validate import folds_of
from medseg.training.fold_results import FoldResults
from medseg.training.run import train


@pytest.fixture(scope="module")
def crossed(balls, tmp_path_factory):
    out = tmp_path_factory.mktemp("crossed")
    train(balls, out, config=train_config(epochs=2), folds="all", device="cpu")
    return out


def test_every_case_is_measured_once_by_a_model_that_did_not_see_it(crossed):
    rows = list(csv.DictReader((crossed / "cross_validation.csv").read_text().splitlines()))
    assert sorted(row["case_id"] for row in rows if row["class"] == "dark") == [f"case_{n:02}" for n in range(6)]
    for fold in range(3):
        split = json.loads((crossed / f"fold_{fold}" / "split.json").read_text())
        assert set(split["train"]).isdisjoint(split["validation"])
        assert len(split["validation"]) == 2
        card = load_package(crossed / f"fold_{fold}" / "model").card
        assert card.training.held_out == tuple(split["validation"])


def test_the_package_is_trained_on_all_and_says_where_its_figure_is_from(crossed):
    card = load_package(crossed / "model").card
    summary = json.loads((crossed / "cross_validation.json").read_text())
    assert card.training.cases == 6
    assert card.training.held_out == ()
    assert card.validation.split == "3-fold cross-validation, seed 0"
    assert card.validation.mean_dice == summary["mean_dice"]
    assert "no case is left to measure them on" in card.validation.notes
    assert load_package(crossed / "model").weights()


def test_the_package_knows_what_volumes_are_ordinary(balls, crossed):
    card = load_package(crossed / "model").card
    for value, name in enumerate(("bright", "dark"), 1):
        arrays = (np.asarray(nib.load(path).dataobj) for path in (balls / "labelsTr").iterdir())
        volumes = [(array == value).sum() / 1000 for array in arrays]
        assert card.validation.volume_range_ml[name] == pytest.approx((min(volumes), max(volumes)), abs=5e-4)


def test_clean_up_is_weighed_in_every_fold(crossed):
    summary = json.loads((crossed / "cross_validation.json").read_text())
    assert summary["post"].keys() == {"bright", "dark"}
    rules = {choice["rule"] for choice in summary["post"].values()} - {"none"}
    assert bool(load_package(crossed / "model").card.post) == bool(rules)
    for fold in range(3):
        assert (crossed / f"fold_{fold}" / "post_rules.csv").is_file()


def test_cases_are_prepared_once_for_all_folds(crossed):
    assert len(list((crossed / "prepared").iterdir())) == 6
    assert not list(crossed.glob("fold_*/prepared"))


def test_folds_that_are_done_are_not_done_again(balls, crossed, monkeypatch):
    real, calls = module.train_model, []

    def counting(run):
        calls.append(run.out.name)
        return real(run)

    monkeypatch.setattr(module, "train_model", counting)
    monkeypatch.setattr(final, "train_model", counting)
    before = json.loads((crossed / "cross_validation.json").read_text())
    train(balls, crossed, config=train_config(epochs=2), folds="all", device="cpu")
    assert calls == [crossed.name]
    assert json.loads((crossed / "cross_validation.json").read_text()) == before


def test_one_fold_leaves_results_and_no_package(balls, tmp_path):
    found = train(balls, tmp_path, config=train_config(epochs=2), folds="1", device="cpu")
    assert isinstance(found, FoldResults)
    assert not (tmp_path / "model").exists()
    assert json.loads(found.path.read_text())["cases"] == found.cases == 2
    assert found.folds == {"1": found.mean_dice}


def test_which_folds_are_meant():
    assert folds_of("all", 3) == (0, 1, 2)
    assert folds_of("2,0", 3) == (0, 2)
    for wrong in ("3", "-1", "first", ""):
        with pytest.raises(UsageError, match="names no folds"):
            folds_of(wrong, 3)


def test_one_fold_cannot_be_crossed(balls, tmp_path):
    with pytest.raises(ConfigError, match="at least two folds"):
        train(balls, tmp_path, config=train_config(epochs=2, split={"folds": 1}), folds="0", device="cpu")


def test_the_package_has_the_volumes_that_every_fold_measured(crossed):
    card = load_package(crossed / "model").card
    post = json.loads((crossed / "cross_validation.json").read_text())["post"]
    kept = {name for name, choice in post.items() if choice["rule"] == "none"}
    assert card.volume_interval is None if not kept else card.volume_interval.cases == dict.fromkeys(kept, 6)
