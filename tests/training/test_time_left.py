"""A time budget: what is left of it for steps is said before them, and less than an epoch makes no package."""

import copy
import logging
import re
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from tiny_dataset import train_config

from medseg.cli.app import run
from medseg.errors import UsageError
from medseg.training import time_left
from medseg.training import train as module
from medseg.training.build import build_loop
from medseg.training.checkpoint import read_checkpoint
from medseg.training.device import choose_device
from medseg.training.options import TrainOptions
from medseg.training.run import train
from medseg.training.samples.inputs import gather
from medseg.training.step import Stepper
from medseg.training.training_run import TrainingRun

BUDGET = {"epochs": None, "split": {"folds": 1}}


def test_the_time_left_and_its_steps_are_said_before_training(balls, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(time_left, "_timed", lambda _loop: 0.1)
    caplog.set_level(logging.INFO, "medseg.train")
    train(balls, tmp_path, config=train_config(**BUDGET, iterations_per_epoch=1, time_budget=3.0), device="cpu")
    said = [record.getMessage() for record in caplog.records]
    at = next(number for number, text in enumerate(said) if "are left for training" in text)
    assert at < next(number for number, text in enumerate(said) if text.startswith("Epoch 0"))
    found = re.match(
        r"Of the time budget of 3 seconds, ([\d.]+) seconds are left for training: about (\d+) steps at 0.1 s", said[at]
    )
    assert 0 < float(found[1]) < 3
    assert abs(int(found[2]) - float(found[1]) / 0.1) <= 1


@pytest.mark.parametrize(
    ("estimate", "epoch", "longer"),
    [("before the first step", 6, "4s"), pytest.param("too low", 60, "9s", marks=pytest.mark.slow)],
)
def test_less_than_an_epoch_is_refused_and_a_longer_budget_resumes(
    estimate, epoch, longer, balls, tmp_path, monkeypatch
):
    """Also where steps turn out slower than those timed beforehand."""
    config = train_config(**BUDGET, iterations_per_epoch=epoch, time_budget=1.0)
    step = Stepper.step

    def slow(*arguments):
        time.sleep(0.05)
        return step(*arguments)

    with monkeypatch.context() as patched:
        seconds = 1e-6 if estimate == "too low" else 1.0
        patched.setattr(time_left, "_timed", lambda _loop: seconds)
        patched.setattr(Stepper, "step", slow)
        with pytest.raises(UsageError, match=f"less than an epoch of {epoch} steps") as refused:
            train(balls, tmp_path, config=config, device="cpu")
    assert refused.value.exit_code == 2
    assert not (tmp_path / "model").exists()
    assert (tmp_path / "checkpoint.pt").exists() == (estimate == "too low")
    package = train(balls, tmp_path, config=config, time_budget=longer, device="cpu")
    assert (package.folder / "model.yaml").is_file()
    assert read_checkpoint(tmp_path / "checkpoint.pt")["step"] >= epoch


def test_timing_steps_leaves_no_trace(balls, tmp_path):
    config = train_config(optimizer={"name": "muon", "learning_rate": 0.02}, time_budget=9.0)
    inputs = gather(run_of(balls, config, tmp_path))
    loop = build_loop(inputs)
    before = copy.deepcopy({"network": loop.network.state_dict(), **loop.stepper.state()})
    assert time_left._timed(loop) > 0
    after = {"network": loop.network.state_dict(), **loop.stepper.state()}
    assert after.pop("method") == before.pop("method")
    torch.testing.assert_close(after, before, rtol=0, atol=0)


def test_the_budget_that_is_proposed_counts_all_that_is_spent_and_kept(balls, tmp_path, monkeypatch):
    """Also where that alone is more than the budget."""
    monkeypatch.setattr(time_left, "_timed", lambda _loop: 0.5)
    config = train_config(iterations_per_epoch=100, time_budget=8.0)
    loop = build_loop(gather(run_of(balls, config, tmp_path)))
    loop.reserve(50.0)
    with pytest.raises(UsageError, match="leaves 1 seconds for training, about 2 steps") as refused:
        time_left.check_time_left(loop, 0.5, 20.0, 30.0)
    assert "--time-budget 2m or more" in str(refused.value)


def test_validating_is_reckoned_by_windows_copies_and_cases_from_what_a_step_takes(balls, tmp_path):
    """A step of two patches goes forward and backward, so a pass forward is at most a quarter of it."""
    loop = build_loop(gather(run_of(balls, train_config(mirror="left-right", sampling={"batch": 2}), tmp_path)))
    patch = np.array(loop.config.input.patch)
    cases = [SimpleNamespace(shape=tuple(patch)), SimpleNamespace(shape=tuple(2 * patch))]  # 1 and 27 windows
    assert time_left.validation_seconds(loop, 1.0, 3, cases) == pytest.approx(1.5 * 2 * 0.25 * (1 + 27) / 2 * 3)


@pytest.mark.parametrize(("most", "expected"), [(100, "abcdefgh"), (4.5, "aceg"), (0, "ae")])
def test_as_many_held_out_cases_are_measured_as_there_is_time_for(most, expected):
    """From the first to the last of them: images are often sorted by diagnosis."""
    assert "".join(time_left.cases_to_measure("abcdefgh", float, most)) == expected


def test_measuring_many_held_out_cases_leaves_time_to_train(balls, tmp_path, monkeypatch, caplog):
    """Measuring all three would take the whole budget, and the run was refused."""
    monkeypatch.setattr(module, "validation_seconds", lambda _loop, _took, count, _cases: 25.0 * count)
    monkeypatch.setattr(time_left, "_timed", lambda _loop: 0.1)
    monkeypatch.setattr(module, "MOST_CASES", 0)
    config = train_config(epochs=1, split={"folds": 2}, iterations_per_epoch=1, time_budget=80.0)
    caplog.set_level(logging.WARNING, "medseg.train")
    train(balls, tmp_path, config=config, device="cpu")
    assert "2 of 3 held-out cases are measured, as all would take 75 seconds of the time budget." in caplog.messages
    with (tmp_path / "validation.csv").open() as stream:
        assert len({line.split(",")[0] for line in stream} - {"case_id"}) == 2
    card = yaml.safe_load((tmp_path / "model" / "model.yaml").read_text())
    assert card["validation"]["cases"] == 2
    assert len(card["training"]["held_out"]) == 3, "none of them was trained on"


def run_of(balls, config, out):
    from medseg.data.layouts import read_dataset

    return TrainingRun(read_dataset(balls), config, out, choose_device("cpu"))


def test_a_budget_without_a_unit_is_refused(tmp_path, capsys):
    assert run(["train", str(tmp_path), "--out", str(tmp_path / "out"), "--time-budget", "2"]) == 2
    assert "must have a unit, such as 2m for minutes or 2s for seconds" in capsys.readouterr().err
    with pytest.raises(UsageError, match="must have a unit"):
        train(tmp_path, tmp_path / "out", time_budget="2")


def test_a_number_of_seconds_is_handed_to_other_processes_with_its_unit(tmp_path):
    assert "--time-budget=90s" in TrainOptions(tmp_path, tmp_path, time_budget=90.0).arguments()
