"""A run that accumulates gradients, stopped between two steps and resumed, is the same to the bit."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_state import differing, state
from tiny_dataset import run_without_cases, train_config, write_prepared

from medseg.errors import Interrupted
from medseg.training.loop import Loop
from medseg.training.samples.augment import Augmentation
from medseg.training.samples.patches import Patches

PATCH = (6, 6, 6)
STEPS, ACCUMULATE = 4, 3


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder, draw, made = tmp_path_factory.mktemp("cases"), np.random.default_rng(0), []
    for number in range(3):
        labels = draw.integers(0, 3, (10, 9, 8), dtype=np.uint8)
        image = (labels + draw.normal(size=labels.shape)).astype(np.float32)[None]
        made.append(write_prepared(folder / f"case{number}", image, labels))
    return made


def loop(cases, folder: Path, optimizer: str) -> Loop:
    config = train_config(
        optimizer={"name": optimizer, "learning_rate": 0.01},
        sampling={"batch": 2, "accumulate": ACCUMULATE, "foreground": 0.5},
        iterations_per_epoch=STEPS,
        epochs=1,
    )
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv3d(1, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv3d(8, 8, 1))
    network.append(torch.nn.Conv3d(8, 3, 1))
    patches = Patches(cases, PATCH, config.sampling, seed=0)
    augmentation = Augmentation(config.augment, patch=PATCH, spacing=(1.0, 1.0, 1.0), classes=3, seed=0)
    return Loop(run_without_cases(config, folder), network, patches, augmentation)


@pytest.mark.parametrize("optimizer", ["adamw", "muon", "sgd"])
def test_stopped_after_every_step_and_resumed(cases, tmp_path, optimizer):
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    losses: dict[str, list[float]] = {"whole": [], "parts": []}
    loop(cases, tmp_path / "whole", optimizer).run(print, on_step=lambda _, loss: losses["whole"].append(loss))

    for number in range(STEPS):
        running = loop(cases, tmp_path / "parts", optimizer)
        assert running.step == number
        take = running.stepper.step

        def take_and_stop(*arguments, take=take) -> float:
            os.kill(os.getpid(), signal.SIGTERM)
            return take(*arguments)

        running.stepper.step = take_and_stop
        with pytest.raises(Interrupted):
            running.run(print, on_step=lambda _, loss: losses["parts"].append(loss))
    assert losses["parts"] == losses["whole"]
    whole, parts = state(tmp_path / "whole"), state(tmp_path / "parts")
    assert whole[".step"] == STEPS
    assert differing(whole, parts) == []
