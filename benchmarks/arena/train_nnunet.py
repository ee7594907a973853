"""nnU-Net's own trainer with a budget of CPU seconds in place of 1000 epochs; run by nnU-Net's environment.

    build/peers/nnunet/bin/python benchmarks/arena/train_nnunet.py DATASET_NAME CONFIGURATION SECONDS SEED

Its network, patches, batch, loss, optimizer, augmentation and plans are untouched. The polynomial schedule runs over
the budget instead of over epochs, all training cases are trained on (its fold "all"), and no step is spent on its
pseudo validation. Prints the steps made.
"""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path

import numpy as np
import torch
from nnunetv2.paths import nnUNet_preprocessed
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer as Original


def cpu_seconds() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


class nnUNetTrainer(Original):  # noqa: N801  (prediction looks the trainer up by this name)
    """Steps until the budget is spent."""

    budget = 0.0

    def run_training(self) -> None:
        self.on_train_start()
        self.network.train()
        self.steps = 0
        while (spent := cpu_seconds()) < self.budget or not self.steps:
            for group in self.optimizer.param_groups:
                group["lr"] = self.initial_lr * (1 - min(spent / self.budget, 0.999)) ** 0.9
            self.train_step(next(self.dataloader_train))
            self.steps += 1
        self.current_epoch = 1
        self.on_train_end()


if __name__ == "__main__":
    name, configuration, seconds, seed = sys.argv[1:]
    torch.set_num_threads(1)
    for begin in (random.seed, np.random.seed, torch.manual_seed):
        begin(int(seed))
    folder = Path(str(nnUNet_preprocessed)) / name
    plans = json.loads((folder / "nnUNetPlans.json").read_text())
    plans["continue_training"] = False
    trainer = nnUNetTrainer(
        plans, configuration, "all", json.loads((folder / "dataset.json").read_text()), torch.device("cpu")
    )
    trainer.budget = float(seconds)
    trainer.run_training()
    used = plans["configurations"][configuration]
    print(json.dumps({"steps": trainer.steps, "patch": used["patch_size"], "batch": used["batch_size"]}))
