"""A cascade: the second stage learns from labels of models that had not seen the case; its package runs both."""

import json

import numpy as np
import pytest
import torch
from networks_for_tests import tiny_card
from tiny_dataset import train_config

from medseg.cli.app import run
from medseg.data.layouts import read_dataset
from medseg.data.reading import read_case
from medseg.errors import ConfigError
from medseg.infer.predictor import Predictor
from medseg.models.card import ClassCard
from medseg.models.package import load_package, write_package
from medseg.training.augment_config import AugmentConfig
from medseg.training.run import train
from medseg.training.samples.augment import Augmentation
from medseg.training.samples.cascade import LowResolutionRun

NETWORK = {"name": "unet", "arguments": {"features": [6, 12]}}
COARSE = {"channels": [{"name": "MR"}], "spacing": [2.0, 2.0, 2.0], "patch": [8, 8, 8]}


@pytest.fixture(scope="module")
def first(balls, tmp_path_factory):
    out = tmp_path_factory.mktemp("first")
    train(balls, out, config=train_config(epochs=4, input=COARSE, network=NETWORK), folds="all", device="cpu")
    return out


@pytest.fixture(scope="module")
def second(balls, first, tmp_path_factory):
    out = tmp_path_factory.mktemp("second")
    train(balls, out, config=train_config(epochs=20, network=NETWORK, low_resolution_stage=str(first)), device="cpu")
    return out


def test_stages_split_differently_are_refused(balls, first, tmp_path):
    with pytest.raises(ConfigError, match="held out other cases"):
        halves = train_config(epochs=1, low_resolution_stage=str(first), split={"folds": 2, "fold": 0})
        train(balls, tmp_path, config=halves, device="cpu")
    with pytest.raises(ConfigError, match="no finished cross-validated run"):
        train(balls, tmp_path, config=train_config(epochs=1, low_resolution_stage=str(tmp_path)), device="cpu")


def test_the_second_stage_is_shown_labels_of_models_that_had_not_seen_the_case(balls, first, second):
    data = read_dataset(balls)
    stage = LowResolutionRun(first)
    assert stage.values == (1, 2)
    for case in data.cases:
        folder = second / "prepared" / case.case_id
        if not folder.is_dir():
            continue
        held_out = {f: json.loads((f / "split.json").read_text())["validation"] for f in first.glob("fold_*")}
        fold = next(f for f in held_out if case.case_id in held_out[f])
        scan, _ = read_case(data, case)
        labels = Predictor(load_package(fold / "model")).segment(scan).labels
        image = np.load(folder / "image.npy")
        assert image.shape[0] == 3
        for channel, value in enumerate((1, 2), start=1):
            assert np.array_equal(image[channel], labels.array == value)


def test_the_package_runs_both_stages(balls, second, tmp_path):
    package = load_package(second / "model")
    assert package.card.low_resolution_stage.labels == (1, 2)
    assert package.card.validation.mean_dice > 0.8
    # The low-resolution stage inside has not seen the cases the second was measured on.
    held_out = set(package.card.training.held_out)
    assert held_out <= set(package.low_resolution_stage.card.training.held_out)
    scan = balls / "imagesTr" / f"{min(held_out)}.nii.gz"
    out = tmp_path / "out"
    assert run(["predict", str(scan), "--model", str(second / "model"), "--out", str(out), "--device", "cpu"]) == 0
    assert list(out.glob("*/labels.nii.gz"))
    assert package.card.channels == 3


@pytest.fixture
def untrained(tmp_path):
    """A cross-validated run of two folds, whose models say in their weights which they are."""
    card = tiny_card("coarse").model_copy(update={"classes": (ClassCard(value=3, name="organ"),)})
    for number, folder in enumerate([tmp_path / "fold_0", tmp_path / "fold_1", tmp_path]):
        write_package(folder / "model", card, {"w": torch.tensor([float(number)])})
    for number, names in enumerate([("a", "b"), ("c", "d")]):
        (tmp_path / f"fold_{number}" / "split.json").write_text(json.dumps({"validation": names}))
    return LowResolutionRun(tmp_path)


def test_a_case_is_labelled_by_the_fold_that_held_it_out(untrained):
    assert untrained.values == (3,)
    folds = [load_package(untrained.run / f"fold_{n}" / "model") for n in (0, 1)]
    assert [untrained.model_hash(case) for case in "abcd"] == [folds[n].hash for n in (0, 0, 1, 1)]
    with pytest.raises(ConfigError, match="no fold of the low-resolution stage held out 'e'"):
        untrained.model_hash("e")


def test_the_stage_inside_a_package_has_not_seen_what_it_is_measured_on(untrained):
    chosen = [untrained.package_for(held_out).weights()["w"].item() for held_out in (("a", "b"), ("d",), ())]
    assert chosen == [0, 1, 2]
    with pytest.raises(ConfigError, match="held out other cases"):
        untrained.package_for(("b", "c"))


def test_labels_are_moved_with_the_patch_and_keep_their_values():
    always = dict.fromkeys(("noise", "brightness", "contrast", "gamma"), 1.0)
    everything = AugmentConfig(**always, rotation=0.0, scaling=0.0, flip=("x",))
    labels = torch.zeros(4, 8, 8, 8, dtype=torch.long)
    labels[:, :3] = 1
    images = torch.cat([torch.randn(4, 1, 8, 8, 8), labels[:, None].float()], 1)
    augment = Augmentation(everything, patch=(8, 8, 8), spacing=(1.0,) * 3, classes=2, seed=0, intensities=1)
    result, moved = augment(images, labels, 0)
    assert result[:, 1].equal(moved.float())
    assert not result[:, 0].equal(images[:, 0])
