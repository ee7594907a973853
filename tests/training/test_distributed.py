"""Several batches or processes a step give the weights of one that holds them all."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tiny_dataset import train_config, write_config

from medseg.training.checkpoint import read_checkpoint
from medseg.training.run import train

# Neither dropout, which draws by batch, nor one Dice over the batch, which no sum of batches gives.
PLAIN = {
    "network": {"name": "unet", "arguments": {"features": [4, 8], "deep_supervision": True}},
    "optimizer": {"name": "sgd", "learning_rate": 0.01, "momentum": 0.9},
    "epochs": 2,
}


def weights(out: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(out / "checkpoint.pt")["network"]


def assert_close(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    start = torch.cat([value.flatten() for value in first.values()])
    end = torch.cat([value.flatten() for value in second.values()])
    assert (start - end).abs().max() < 1e-4 * start.abs().max()


def run(balls: Path, out: Path, **changes) -> None:
    train(balls, out, config=train_config(**PLAIN, **changes), device="cpu")


def test_accumulated_batches_are_one_batch(balls, tmp_path):
    loss = {"batch_dice": False}
    run(balls, tmp_path / "one", sampling={"batch": 4}, loss=loss)
    run(balls, tmp_path / "two", sampling={"batch": 2, "accumulate": 2}, loss=loss)
    assert_close(tmp_path / "one", tmp_path / "two")


def test_scaled_gradients_of_float16(balls, tmp_path):
    """The scaler's factor is in the checkpoint, and the run comes near the one in float32."""
    run(balls, tmp_path / "half", precision="fp16")
    run(balls, tmp_path / "whole")
    assert read_checkpoint(tmp_path / "half" / "checkpoint.pt")["scaler"]["scale"] >= 2**10
    first, second = weights(tmp_path / "half"), weights(tmp_path / "whole")
    far = max(float((first[name] - second[name]).abs().max()) for name in first)
    assert 0 < far < 0.05


PYTHON = {"env": {**os.environ, "OMP_NUM_THREADS": "1"}, "text": True}


def arguments(config: Path, balls: Path, out: Path) -> list[str]:
    return ["-m", "medseg", "train", str(balls), "--config", str(config), "--out", str(out), "--device", "cpu"]


@pytest.mark.slow
@pytest.mark.parametrize("batch_dice", [True, False])
def test_two_processes_are_one_with_twice_the_batch(balls, tmp_path, batch_dice):
    """Also with one Dice over the whole batch, whose sums the processes exchange."""
    loss = {"batch_dice": batch_dice}
    run(balls, tmp_path / "one", sampling={"batch": 4}, loss=loss)
    config = write_config(tmp_path / "two.yaml", **PLAIN, sampling={"batch": 2}, loss=loss)
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(29811 + batch_dice)]
    command = [sys.executable, *launcher, *arguments(config, balls, tmp_path / "two")]
    done = subprocess.run(command, capture_output=True, **PYTHON)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "two" / "model")
    assert_close(tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "two" / "validation.csv").read_text().startswith("case_id")


@pytest.mark.slow
@pytest.mark.starts_workers
def test_a_signal_to_the_launcher_leaves_a_checkpoint_to_resume_from(balls, tmp_path):
    changes = {**PLAIN, "epochs": 400, "sampling": {"batch": 2}, "checkpoint_every": 3600}
    config, out = write_config(tmp_path / "two.yaml", **changes), tmp_path / "out"
    command = [sys.executable, *arguments(config, balls, out), "--processes", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **PYTHON)
    while not (out / "history.csv").is_file():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=120)
    assert process.returncode == 75, log
    step = read_checkpoint(out / "checkpoint.pt")["step"]
    assert 0 < step < 1600
    assert not (out / "model").exists()
    assert "Traceback" not in log
    # What is wrong with a run decides the exit code of several processes too.
    process = subprocess.run([*command, "--seed", "5"], capture_output=True, **PYTHON)
    assert process.returncode == 2, process.stderr
    assert "another configuration" in process.stderr
