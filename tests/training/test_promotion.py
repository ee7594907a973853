"""A fine-tuned model takes the place of the old one only if it is as good on what that one had held out."""

import json
import math
import shutil

import numpy as np
import pytest
from tiny_dataset import train_config, write_msd

from medseg.cli.app import run as run_command
from medseg.errors import UsageError
from medseg.models.package import load_package
from medseg.training.promotion import NotPromoted, compare_paired
from medseg.training.run import train
from medseg.training.selection.validate import CaseDice

# A few steps from the start: hardly any, or such as wreck it.
STEPS = {"iterations_per_epoch": 3, "epochs": 2, "ema_decay": 0.0}
GENTLE, WRECKING = {"learning_rate": 1e-9}, {"learning_rate": 30.0}


@pytest.fixture(scope="module")
def start(balls, tmp_path_factory):
    return train(balls, tmp_path_factory.mktemp("start"), config=train_config(epochs=8), device="cpu")


def tuned(dataset, out, start, optimizer, **options):
    config = train_config(**STEPS, optimizer=optimizer, start=str(start.folder))
    return train(dataset, out, config=config, device="cpu", start=start.folder, **options)


def test_a_model_as_good_is_promoted_and_a_wrecked_one_is_moved_away(balls, start, tmp_path):
    package = tuned(balls, tmp_path / "good", start, GENTLE)
    record = json.loads((tmp_path / "good/promotion.json").read_text())
    assert record["is_promoted"]
    assert sorted(record["cases"]) == sorted(start.card.training.held_out)
    assert record["before"] == pytest.approx(start.card.validation.mean_dice, abs=1e-3)
    assert record["difference"] == pytest.approx(record["after"] - record["before"])
    assert package.folder == tmp_path / "good/model"

    with pytest.raises(NotPromoted, match="old held-out cases the mean Dice is") as refused:
        tuned(balls, tmp_path / "bad", start, WRECKING)
    assert refused.value.exit_code == 3
    assert not (tmp_path / "bad/model").exists()
    assert load_package(tmp_path / "bad/refused").card.training.held_out == start.card.training.held_out
    record = json.loads((tmp_path / "bad/promotion.json").read_text())
    assert record["difference"] < -record["standard_error"]

    # The same call says the same, and a better training of the run makes its model.
    with pytest.raises(NotPromoted):
        tuned(balls, tmp_path / "bad", start, WRECKING)
    assert not (tmp_path / "bad/model").exists()


def test_the_old_held_out_set_may_be_another_dataset(balls, start, tmp_path):
    new = write_msd(tmp_path / "new", 3)
    for path in [*new.rglob("case_*.nii.gz")]:
        path.rename(path.with_name(path.name.replace("case_", "fresh_")))
    (new / "dataset.json").write_text((new / "dataset.json").read_text().replace("case_", "fresh_"))
    tuned(new, tmp_path / "a", start, GENTLE)
    assert not (tmp_path / "a/promotion.json").exists()
    tuned(new, tmp_path / "b", start, GENTLE, held_out=balls)
    assert len(json.loads((tmp_path / "b/promotion.json").read_text())["cases"]) == 2
    with pytest.raises(UsageError, match="0 labeled cases that balls held out"):
        tuned(new, tmp_path / "c", start, GENTLE, held_out=new)
    assert not (tmp_path / "c/checkpoint.pt").exists()


def test_held_out_needs_a_model_to_compare_with(balls, tmp_path, capsys):
    assert run_command(["train", str(balls), "-o", str(tmp_path), "--held-out", str(balls)]) == 2
    assert "--from" in capsys.readouterr().err


def results(*rows):
    return [CaseDice(f"case{k}", dict(zip("ab", row, strict=True))) for k, row in enumerate(rows)]


def test_worse_by_less_than_the_standard_error_is_promoted():
    before = results((0.9, 0.8), (0.8, 0.8), (0.7, 0.6), (0.9, math.nan))
    after = results((0.9, 0.7), (0.8, 0.9), (0.6, 0.6), (0.9, 0.2))
    found = compare_paired(before, after)
    gaps = np.array([-0.05, 0.05, -0.05, (0.9 + 0.2) / 2 - 0.9])
    assert found.difference == pytest.approx(gaps.mean())
    assert found.standard_error == pytest.approx(gaps.std(ddof=1) / 2)
    assert found.is_promoted == (gaps.mean() >= -gaps.std(ddof=1) / 2)
    assert found.by_class["a"] == pytest.approx((0.825, 0.8))


@pytest.mark.parametrize(("lower", "promoted"), [(0.0, True), (0.001, False)])
def test_a_difference_without_any_spread_decides(lower, promoted):
    before = results((0.5, 0.5), (0.25, 0.25))
    after = results((0.5 - lower, 0.5 - lower), (0.25 - lower, 0.25 - lower))
    assert compare_paired(before, after).is_promoted is promoted


def test_models_without_a_common_class_cannot_be_compared():
    before = results((0.5, 0.5), (0.5, 0.5))
    after = [CaseDice(result.case_id, {"other": 1.0}) for result in before]
    with pytest.raises(UsageError, match="no class in common"):
        compare_paired(before, after)
    with pytest.raises(UsageError, match="fewer than two"):
        compare_paired(before[:1], before[:1])


def test_cases_the_new_model_was_trained_on_are_not_compared(balls, start, tmp_path):
    shutil.copytree(balls, tmp_path / "all")
    config = train_config(**STEPS, optimizer=GENTLE, start=str(start.folder), split={"folds": 1})
    package = train(tmp_path / "all", tmp_path / "out", config=config, device="cpu", start=start.folder)
    assert set(start.card.training.held_out) <= set(package.card.training.trained_on)
    assert not (tmp_path / "out/promotion.json").exists()
