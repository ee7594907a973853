"""A run that was stopped, or killed, and resumed gives the same weights as one that never was."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from checkpoint_state import differing, state
from tiny_dataset import train_config, write_config

from medseg.cli.app import run
from medseg.errors import ConfigError, InputError, Interrupted
from medseg.training import step as step_module
from medseg.training import train as train_module
from medseg.training.checkpoint import read_checkpoint, write_checkpoint
from medseg.training.run import train


def assert_same(first: Path, second: Path) -> None:
    assert differing(state(first), state(second)) == []
    assert (first / "model" / "model.yaml").is_file()
    files = [(out / "model" / "weights.safetensors").read_bytes() for out in (first, second)]
    assert files[0] == files[1]


@pytest.fixture(scope="module")
def undisturbed(balls, tmp_path_factory) -> Path:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    train(balls, out := tmp_path_factory.mktemp("undisturbed"), config=train_config(), device="cpu")
    torch.set_num_threads(before)
    return out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_in_the_middle_of_an_epoch(balls, undisturbed, tmp_path, monkeypatch, number):
    """The signal comes in the sixth of twelve steps, four to an epoch."""
    real = step_module.segmentation_loss
    calls = []

    def counting(*arguments, **options):
        calls.append(1)
        if len(calls) == 6:
            os.kill(os.getpid(), number)
        return real(*arguments, **options)

    monkeypatch.setattr(step_module, "segmentation_loss", counting)
    with pytest.raises(Interrupted, match=signal.Signals(number).name):
        train(balls, tmp_path, config=train_config(), device="cpu")
    assert read_checkpoint(tmp_path / "checkpoint.pt")["step"] == 6
    assert not (tmp_path / "model").exists()
    train(balls, tmp_path, config=train_config(), device="cpu")
    assert len(calls) == 12
    assert_same(undisturbed, tmp_path)
    assert (tmp_path / "history.csv").read_text().count("\n") == 4


def test_stopping_after_every_step(balls, undisturbed, tmp_path, monkeypatch):
    real = step_module.segmentation_loss

    def stopping(*arguments, **options):
        os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments, **options)

    monkeypatch.setattr(step_module, "segmentation_loss", stopping)
    for _ in range(12):
        with pytest.raises(Interrupted):
            train(balls, tmp_path, config=train_config(), device="cpu")
    train(balls, tmp_path, config=train_config(), device="cpu")
    assert_same(undisturbed, tmp_path)


def test_killed_and_stopped_processes(balls, undisturbed, tmp_path, capsys):
    """SIGKILL loses what came after the last checkpoint, SIGTERM nothing and exits with 75; both end the same."""
    config = write_config(tmp_path / "c.yaml", checkpoint_every=1e-6)
    out = tmp_path / "out"
    command = ["train", str(balls), "--config", str(config), "--out", str(out), "--device", "cpu"]
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}

    def stopped_at(step: int, name: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "stopped_training", str(step), name]
        return subprocess.run([*program, *command], env=environment, capture_output=True, text=True)

    killed = stopped_at(6, "SIGKILL")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert read_checkpoint(out / "checkpoint.pt")["step"] == 5
    stopped = stopped_at(3, "SIGTERM")
    assert stopped.returncode == 75, stopped.stderr
    assert "run the same command again" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert read_checkpoint(out / "checkpoint.pt")["step"] == 8
    assert run(command) == 0
    assert capsys.readouterr().out.strip() == str(out / "model")
    assert_same(undisturbed, out)


def test_a_finished_run_is_not_trained_again(balls, undisturbed, monkeypatch):
    """Nor measured again: whoever ends that in the middle would be left with a model that nothing is known of."""
    monkeypatch.setattr(step_module, "segmentation_loss", None)
    monkeypatch.setattr(train_module, "calibrated", None)
    before = {path.name: path.read_bytes() for path in (undisturbed / "model").iterdir()}
    train(balls, undisturbed, config=train_config(), device="cpu")
    assert {path.name: path.read_bytes() for path in (undisturbed / "model").iterdir()} == before


def test_no_package_before_it_is_measured(balls, undisturbed, tmp_path, monkeypatch):
    def stopped(*_given):
        raise Interrupted("SIGTERM")

    with monkeypatch.context() as patched, pytest.raises(Interrupted):
        patched.setattr(train_module, "measure_test", stopped)
        train(balls, tmp_path, config=train_config(), device="cpu")
    assert not (tmp_path / "model").exists()
    assert not list(tmp_path.glob(".medseg-part-*"))
    train(balls, tmp_path, config=train_config(), device="cpu")
    assert_same(undisturbed, tmp_path)


def test_a_finished_run_resumes_with_more_epochs(balls, tmp_path):
    train(balls, tmp_path, config=train_config(epochs=2), device="cpu")
    train(balls, tmp_path, config=train_config(), epochs=3, device="cpu")
    assert read_checkpoint(tmp_path / "checkpoint.pt")["step"] == 12
    assert [row.split(",")[0] for row in (tmp_path / "history.csv").read_text().split()] == ["epoch", "0", "1", "2"]
    with pytest.raises(ConfigError, match=r"epochs \(3, now 2\)"):
        train(balls, tmp_path, config=train_config(epochs=2), device="cpu")


@pytest.mark.slow
def test_a_finished_run_resumes_with_a_longer_time_budget(balls, tmp_path):
    changes = {"iterations_per_epoch": 1, "split": {"folds": 1}}
    train(balls, tmp_path, config=train_config(**changes), time_budget=1.5, device="cpu")
    before = read_checkpoint(tmp_path / "checkpoint.pt")
    train(balls, tmp_path, config=train_config(**changes), time_budget="3s", device="cpu")
    after = read_checkpoint(tmp_path / "checkpoint.pt")
    assert after["step"] > before["step"]
    assert after["seconds"] == pytest.approx(before["seconds"] + 1.5)


def test_another_configuration_is_refused(balls, undisturbed):
    with pytest.raises(ConfigError, match=r"sampling\.batch \(2, now 3\)"):
        train(balls, undisturbed, config=train_config(sampling={"batch": 3, "foreground": 0.5}), device="cpu")


def test_a_checkpoint_of_a_configuration_that_is_none_any_more_is_named(balls, undisturbed, tmp_path):
    kept = read_checkpoint(undisturbed / "checkpoint.pt")
    kept.pop("format")
    values = json.loads(kept["config"])
    write_checkpoint(tmp_path / "checkpoint.pt", {**kept, "config": json.dumps({**values, "seed": 2**40})})
    with pytest.raises(ConfigError, match=r"checkpoint.pt: seed: must be at most 4294967295"):
        train(balls, tmp_path, config=train_config(), device="cpu")


def test_a_damaged_checkpoint_is_named(balls, tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match=r"checkpoint\.pt"):
        train(balls, tmp_path, config=train_config(), device="cpu")


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    torch.save({"format": 1, "evil": Evil()}, tmp_path / "checkpoint.pt")
    with pytest.raises(InputError):
        read_checkpoint(tmp_path / "checkpoint.pt")
    assert not (tmp_path / "owned").exists()


def test_a_crash_while_writing_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.pt"
    write_checkpoint(path, {"step": 1})

    def half(content, stream):
        stream.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match="disk full"):
        write_checkpoint(path, {"step": 2})
    assert read_checkpoint(path)["step"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]
