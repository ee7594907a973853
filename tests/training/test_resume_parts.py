"""Killed at random moments and resumed, a run whose batches are split among cores gives the same weights.

Networks with dropout, which the other tests of resuming use, are never split.
"""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from checkpoint_state import differing, state
from tiny_dataset import write_config

# Counts Python calls of the main thread from the first step on, those of writing checkpoints included, and sends itself
# a signal at the one asked for: a moment that is random but the same on every machine. The parts run meanwhile.
PROGRAM = """
import json, os, signal, sys, torch
torch.set_num_threads(2)
from medseg.training import step, cpu_parallel
from medseg.cli.app import run
moment, name, file = int(sys.argv[1]), sys.argv[2], sys.argv[3]
counts = {"calls": 0, "split": 0}
def count(frame, event, argument):
    if event == "call":
        counts["calls"] += 1
        if counts["calls"] == moment:
            os.kill(os.getpid(), getattr(signal, name))
real_step, real_parts = step.Stepper.step, cpu_parallel.SideBySide.backward
def first_step(self, *arguments):
    sys.setprofile(count)
    return real_step(self, *arguments)
def parts(self, *arguments):
    counts["split"] += 1
    return real_parts(self, *arguments)
step.Stepper.step, cpu_parallel.SideBySide.backward = first_step, parts
real_state = step.Stepper.state
step.Stepper.state = lambda self: (counts.update(last=counts["calls"]), real_state(self))[1]
code = run(sys.argv[4:])
sys.setprofile(None)
open(file, "w").write(json.dumps(counts))
sys.exit(code)
"""

# Wide enough for Muon to take its matrices; first layer, scores and norms are AdamW's.
OPTIMIZERS = {"muon": 0.02, "adamw": 0.01, "sgd": 0.01}  # and their learning rates


def start(folder: Path, out: Path, *, moment: int = 0, number: str = "SIGTERM") -> subprocess.CompletedProcess[str]:
    data, config = folder / "data", folder / "config.yaml"
    command = ["train", str(data), "--config", str(config), "--out", str(out), "--device", "cpu"]
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(moment), number, str(folder / "counts.json"), *command],
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_same_to_the_bit(balls, tmp_path, optimizer):
    signals = ["SIGKILL", "SIGTERM", "SIGKILL", "SIGKILL", "SIGTERM"]
    (tmp_path / "data").symlink_to(balls)
    changes = {
        "network": {"name": "unet", "arguments": {"features": [8, 16], "deep_supervision": True}},
        "sampling": {"batch": 3, "foreground": 0.5},
        "optimizer": {"name": optimizer, "learning_rate": OPTIMIZERS[optimizer]},
        "checkpoint_every": 1e-6,
    }
    write_config(tmp_path / "config.yaml", **changes)
    undisturbed, out = tmp_path / "undisturbed", tmp_path / "out"
    ended = start(tmp_path, undisturbed)
    assert ended.returncode == 0, ended.stderr
    counts = json.loads((tmp_path / "counts.json").read_text())
    assert counts["split"] == 12

    moments = random.Random(f"{optimizer} {signals}")
    for name in signals:
        # Early enough for every signal to come before the last step.
        ended = start(tmp_path, out, moment=moments.randrange(1, counts["last"] // (len(signals) + 1)), number=name)
        assert ended.returncode == (75 if name == "SIGTERM" else -signal.SIGKILL), ended.stderr
        assert not (out / "model").exists()
    ended = start(tmp_path, out)
    assert ended.returncode == 0, ended.stderr

    one, other = state(undisturbed), state(out)
    assert any("momentum" in key for key in one) == (optimizer != "adamw")
    assert differing(one, other) == []
    files = [(folder / "model" / "weights.safetensors").read_bytes() for folder in (undisturbed, out)]
    assert files[0] == files[1]
