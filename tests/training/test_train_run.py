"""Whole runs on a tiny dataset: it learns, its package works, and what is wrong is named."""

import csv
import hashlib
import io
import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from tiny_dataset import tiny_config, train_config, write_config, write_msd

from medseg.data.layouts import read_dataset
from medseg.data.reading import read_case
from medseg.errors import ConfigError, InputError, UsageError
from medseg.infer.engines.onnx_files import find_export
from medseg.infer.predictor import Predictor
from medseg.models.package import load_package
from medseg.progress import step_bar
from medseg.training import plan
from medseg.training.run import train


@pytest.fixture(scope="module")
def trained(balls, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    classes = {"bright": {"name": "bright ball", "color": [1, 2, 3]}}
    network = {"name": "unet", "arguments": {"features": [6, 12]}}
    values = train_config(epochs=20, classes=classes, network=network, mirror="left-right")
    train(balls, out, config=values, device="cpu")
    return out


def test_the_package_carries_its_network_as_onnx(trained):
    for module in ("onnx", "onnxscript", "openvino"):
        pytest.importorskip(module)
    package = load_package(trained / "model")
    assert find_export(package).path == package.folder / "model.onnx"
    report = json.loads((package.folder / "model.onnx.json").read_text())
    assert report["onnx_sha256"] == hashlib.sha256((package.folder / "model.onnx").read_bytes()).hexdigest()
    assert report["largest_difference"] < 1e-3 * report["range_of_scores"]


def test_it_learns(trained):
    card = load_package(trained / "model").card
    assert card.validation.mean_dice > 0.9
    assert card.validation.dice.keys() == {"bright ball", "dark"}


def test_the_card_says_what_was_done(trained, balls):
    card = load_package(trained / "model").card
    split = json.loads((trained / "split.json").read_text())
    assert card.training.cases == 4
    assert card.training.command.startswith(f"medseg train {balls} --out=")
    assert list(card.training.held_out) == split["validation"]
    assert card.validation.cases == 2
    assert set(split["train"]).isdisjoint(split["validation"])
    assert card.training.license == "CC0"
    assert card.input.mirror_axes == (0, 1)
    assert card.input.expected_extent_mm == ((20.0, 18.0, 14.0), (20.0, 18.0, 14.0))
    assert card.mirror == "left-right"
    assert "mirrored left-right" in card.validation.notes
    assert card.classes[0].name == "bright ball"
    assert card.notice == "Research use only; not a medical device."
    low, high = card.validation.volume_range_ml["bright ball"]
    quantiles = card.validation.volume_quantiles_ml["bright ball"]
    assert (len(quantiles), quantiles[0], quantiles[-1]) == (21, low, high)
    assert list(quantiles) == sorted(quantiles)
    assert 0 < low <= high < 1


def test_the_figure_is_that_of_the_shipped_weights(trained, balls):
    """Segment the held-out cases again and recompute the mean Dice from voxels."""
    package = load_package(trained / "model")
    data = read_dataset(balls)
    predictor = Predictor(package)
    scores = []
    for case in (c for c in data.cases if c.case_id in package.card.training.held_out):
        scan, reference = read_case(data, case)
        labels = predictor.segment(scan).labels
        assert labels.geometry.matches(scan.geometry)
        for value in (1, 2):
            a, b = labels.array == value, reference.array == value
            scores.append(2 * (a & b).sum() / (a.sum() + b.sum()))
    with (trained / "validation.csv").open() as stream:
        written = [float(row["value"]) for row in csv.DictReader(stream)]
    assert [package.card.validation.mean_dice, np.mean(written)] == pytest.approx([np.mean(scores)] * 2, abs=1e-4)


def test_what_is_left_lies_where_the_documentation_says(trained):
    assert yaml.safe_load((trained / "config.yaml").read_text())["epochs"] == 20
    assert (trained / "history.csv").read_text().startswith("epoch,step,loss")
    assert not list(trained.glob(".medseg-part-*"))


def test_the_report_shows_what_was_measured(trained):
    page = (trained / "report.html").read_text()
    card = load_package(trained / "model").card
    assert f"{card.validation.mean_dice:.3f}</b>mean Dice" in page
    for case_id in card.training.held_out:
        assert f"<td>{case_id}</td>" in page
        assert f"{case_id}, mean Dice" in page
    assert page.count("data:image/png;base64,") == 2
    assert page.count('class="curve"') == 5
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")


LIGHT = """
import sys
from medseg.cli.app import run
code = run(sys.argv[1:])
assert "SimpleITK" not in sys.modules
sys.exit(code)
"""


@pytest.mark.slow
def test_training_does_not_import_simpleitk(balls, tmp_path):
    """Audit, preparation, training and measuring of NIfTI do without it."""
    path = write_config(tmp_path / "c.yaml", epochs=1, iterations_per_epoch=1)
    arguments = ["train", str(balls), "--config", str(path), "--out", str(tmp_path / "out"), "--device", "cpu"]
    done = subprocess.run([sys.executable, "-c", LIGHT, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "validation.csv").is_file()


def test_a_terminal_gets_a_bar_and_the_log_above_it(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    log = logging.getLogger("medseg")
    handler = logging.StreamHandler(terminal)
    monkeypatch.setattr(log, "handlers", [handler])
    monkeypatch.setattr(log, "level", logging.INFO)
    logging.getLogger("medseg.train").manager._clear_cache()
    with step_bar("balls") as advance:
        advance(0.5, 0.25)
        logging.getLogger("medseg.train").info("epoch 0: loss 0.25")
    assert handler.stream is terminal
    shown = terminal.getvalue()
    assert "50%" in shown
    assert "loss 0.250" in shown
    assert "epoch 0: loss 0.25" in shown


@pytest.mark.parametrize("options", [{}, {"folds": "all"}, {"config": None, "settings": ["tracking=false"]}])
def test_the_dataset_is_read_once(balls, tmp_path, monkeypatch, options):
    """In a run, in a cross-validation of three folds and the model of all cases, and where the run is planned first."""
    calls = []

    def counting(path, description):
        calls.append(path)
        return read_dataset(path, description)

    monkeypatch.setattr(plan, "read_dataset", counting)
    given = {"config": train_config(epochs=1, iterations_per_epoch=1), "epochs": 1, **options}
    if given["config"] is None:
        given["settings"] += ["iterations_per_epoch=1"]
    train(balls, tmp_path, device="cpu", **given)
    assert (tmp_path / "model" / "model.yaml").is_file()
    assert calls == [balls]


def test_a_time_budget_ends_the_run(balls, tmp_path):
    train(balls, tmp_path, config=train_config(epochs=None, time_budget=2.0, iterations_per_epoch=1), device="cpu")
    with (tmp_path / "history.csv").open() as stream:
        rates = [float(row["learning_rate"]) for row in csv.DictReader(stream)]
    assert rates[-1] < 0.3 * max(rates)


def test_bad_cases_are_skipped_and_named(tmp_path):
    folder = write_msd(tmp_path / "data")
    names = sorted(p.name for p in (folder / "imagesTr").iterdir())
    whole = (folder / "imagesTr" / names[0]).read_bytes()
    for name in names[:2]:
        (folder / "imagesTr" / name).write_bytes(whole[: len(whole) // 2])
    (folder / "labelsTr" / names[2]).unlink()
    train(folder, tmp_path / "out", config=train_config(split={"folds": 1}, epochs=1), device="cpu")
    skipped = json.loads((tmp_path / "out" / "split.json").read_text())["skipped"]
    assert sorted(skipped) == ["case_00", "case_01", "case_02"]
    assert sorted(json.loads((tmp_path / "out" / "audit.json").read_text())["blocked"]) == sorted(skipped)
    assert (tmp_path / "out" / "audit.html").is_file()
    card = load_package(tmp_path / "out" / "model").card
    assert card.training.cases == 3
    assert card.validation is None


def test_a_value_no_class_has_leaves_the_case_out(tmp_path):
    folder = write_msd(tmp_path / "data", 2)
    description = json.loads((folder / "dataset.json").read_text())
    del description["labels"]["2"]
    (folder / "dataset.json").write_text(json.dumps(description))
    with pytest.raises(InputError, match=r"values \[2\]"):
        train(folder, tmp_path / "out", config=train_config(split={"folds": 1}), device="cpu")


@pytest.mark.parametrize(
    ("changes", "device", "error", "words"),
    [
        ({"input": tiny_config()["input"] | {"patch": [16, 15, 16]}}, "cpu", ConfigError, r"Use \[16, 16, 16\]"),
        ({"classes": {"blue": {}}}, "cpu", ConfigError, "It has bright, dark"),
        ({}, "cuda:99", UsageError, "cuda:99"),
    ],
    ids=["patch", "class", "device"],
)
def test_what_cannot_be_trained_is_refused(balls, tmp_path, changes, device, error, words):
    with pytest.raises(error, match=words):
        train(balls, tmp_path, config=train_config(**changes), device=device)


def test_prepared_cases_are_taken_as_they_are_until_a_file_changes(balls, tmp_path):
    out = tmp_path / "out"
    folder = tmp_path / "data"
    shutil.copytree(balls, folder)
    train(folder, out, config=train_config(epochs=1), device="cpu")
    facts = sorted(out.glob("prepared/*/facts.json"))
    before = [path.stat().st_mtime_ns for path in facts]
    train(folder, out, config=train_config(epochs=1), device="cpu")
    assert [path.stat().st_mtime_ns for path in facts] == before
    case = facts[0].parent.name
    other = folder / "imagesTr" / f"{facts[1].parent.name}.nii.gz"
    (folder / "imagesTr" / f"{case}.nii.gz").write_bytes(other.read_bytes())
    train(folder, out, config=train_config(epochs=1), device="cpu")
    after = [path.stat().st_mtime_ns for path in facts]
    assert after[0] != before[0]
    assert after[1:] == before[1:]


def test_a_blocked_case_is_not_measured_with_either(balls, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(balls, folder)
    train(balls, tmp_path / "first", config=train_config(epochs=1), device="cpu")
    held_out = json.loads((tmp_path / "first" / "split.json").read_text())["validation"]
    (folder / "imagesTr" / f"{held_out[0]}.nii.gz").write_bytes(b"no scan")
    train(folder, tmp_path / "out", config=train_config(epochs=1), device="cpu")
    card = load_package(tmp_path / "out" / "model").card
    assert list(card.training.held_out) == held_out[1:]
    assert card.validation.cases == 1


def test_a_refused_run_leaves_the_folder_as_it_was(balls, tmp_path):
    train(balls, tmp_path, config=train_config(epochs=1), device="cpu")
    before = (tmp_path / "config.yaml").read_text()
    with pytest.raises(ConfigError, match="another configuration"):
        train(balls, tmp_path, config=train_config(epochs=1, seed=9), device="cpu")
    assert (tmp_path / "config.yaml").read_text() == before


def test_the_card_says_of_volumes_from_how_many_cases_they_are_known(trained):
    card = load_package(trained / "model").card
    assert card.volume_interval.cases == {"bright ball": 2, "dark": 2}
    assert card.volume_interval.half_width == {}
    rows = list(csv.DictReader((trained / "validation_volumes.csv").read_text().splitlines()))
    assert {row["case_id"] for row in rows} == set(card.training.held_out)
    assert all(float(row["reference_volume_ml"]) > 0 for row in rows)


def test_a_temperature_on_the_card_made_held_out_cases_more_likely(trained):
    found = load_package(trained / "model").card.calibration
    assert found is None or (found.nll_after < found.nll_before and found.cases_fitted == found.cases_checked == 1)
