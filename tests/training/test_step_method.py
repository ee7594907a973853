import logging
from types import SimpleNamespace

import pytest
import torch
from tiny_dataset import run_without_cases, train_config
from torch import nn

from medseg.models.registry import build_network
from medseg.training import device as device_module
from medseg.training import step as step_module
from medseg.training import step_method
from medseg.training.augment_config import AugmentConfig
from medseg.training.checkpoint import read_checkpoint
from medseg.training.cpu_parallel import SideBySide
from medseg.training.run import train
from medseg.training.samples.augment import Augmentation
from medseg.training.step import Stepper
from medseg.training.step_method import StepMethod, measure, step_methods

FLOAT, HALF = torch.float32, torch.bfloat16


def network() -> nn.Module:
    torch.manual_seed(0)
    return build_network("unet", channels=1, classes=3, dimensions=3, arguments={"features": [4, 8]}).train()


@pytest.mark.parametrize("has_it", [True, False])
def test_methods_are_what_the_cpu_computes_in_hardware(monkeypatch, has_it):
    monkeypatch.setattr(device_module, "has_bfloat16", lambda: has_it)
    torch.set_num_threads(4)
    shapes = [(2, 1), (2, 2), (1, 4)]
    dtypes = [HALF, FLOAT] if has_it else [FLOAT]
    assert step_methods(network(), "unet", 2, "auto") == [StepMethod(*s, d) for d in dtypes for s in shapes]
    assert step_methods(network(), "unet", 2, "fp32") == [StepMethod(*s, FLOAT) for s in shapes]
    assert step_methods(network(), "swinunetr", 2, "fp32") == [StepMethod(1, 4, FLOAT)]
    assert step_methods(network(), "unet", 2, "fp32", alone=False) == [StepMethod(1, 4, FLOAT)]
    torch.set_num_threads(1)
    assert step_methods(network(), "unet", 2, "fp32") == [StepMethod(1, 1, FLOAT)]


@pytest.fixture
def clock(monkeypatch):
    """Seconds that a pass takes by its number of parts, on a clock that nothing else moves."""
    now, seconds, real = [0.0], {}, SideBySide.backward

    def backward(self, images, loss_of):
        now[0] += seconds[self.parts]
        return real(self, images, loss_of)

    monkeypatch.setattr(SideBySide, "backward", backward)
    monkeypatch.setattr(step_method, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now, seconds


METHODS = [StepMethod(2, 1, FLOAT), StepMethod(1, 1, FLOAT)]


def tried(model: nn.Module) -> dict[StepMethod, float]:
    return measure(model, METHODS, torch.randn(2, 1, 8, 8, 8), lambda scores: scores.square().mean(), limit=2.0)


@pytest.mark.parametrize("seconds", [{1: 0.2, 2: 0.1}, {1: 0.1, 2: 0.2}, {1: 0.3, 2: 0.3}])
def test_the_fastest_comes_first_within_the_limit(clock, seconds):
    now, taken = clock
    taken |= seconds
    found = tried(network())
    assert {method.parts: pytest.approx(took) for method, took in found.items()} == seconds
    assert list(found.values()) == sorted(found.values())
    assert now[0] <= 2.0


@pytest.mark.parametrize("first", [0.6, 3.0])
def test_where_trying_takes_too_long_the_first_is_taken(clock, first):
    now, seconds = clock
    seconds |= {2: first, 1: 0.001}
    assert list(tried(network())) == METHODS[:1]
    assert now[0] <= max(2.0, first)


def test_trying_changes_neither_the_network_nor_the_random_numbers():
    model = network()
    before, random = [weight.clone() for weight in model.parameters()], torch.random.get_rng_state()
    images = torch.randn(2, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    measure(model, METHODS, images, lambda scores: scores.square().mean(), limit=60)
    assert all(weight.grad is None for weight in model.parameters())
    assert all(a.equal(b) for a, b in zip(model.parameters(), before, strict=True))
    assert random.equal(torch.random.get_rng_state())


def test_a_run_with_a_time_budget_says_and_keeps_how_it_computes(balls, tmp_path, monkeypatch, caplog):
    torch.set_num_threads(2)
    whole, split = StepMethod(1, 2, FLOAT), StepMethod(2, 1, FLOAT)
    monkeypatch.setattr(step_module, "measure", lambda *_, **__: {whole: 0.19, split: 0.25})
    caplog.set_level(logging.INFO, "medseg.train")
    plain = {"name": "unet", "arguments": {"features": [4, 8]}}
    train(balls, tmp_path, config=train_config(epochs=1, time_budget=100, network=plain), device="cpu")
    assert (
        "Each step computes the batch as a whole with 2 threads in float32 (0.19 s), faster here than "
        "2 parts of the batch side by side with 1 thread each in float32 (0.25 s)." in caplog.text
    )
    assert read_checkpoint(tmp_path / "checkpoint.pt")["method"] == whole.to_state()
    assert (
        "Each step computes the batch as a whole with 2 threads in float32." in (tmp_path / "report.html").read_text()
    )
    # Resumed, it computes as before, whatever would be faster now.
    monkeypatch.setattr(step_module, "measure", lambda *_, **__: {split: 0.19, whole: 0.25})
    train(balls, tmp_path, config=train_config(epochs=2, time_budget=100, network=plain), device="cpu")
    assert read_checkpoint(tmp_path / "checkpoint.pt")["method"] == whole.to_state()


def test_a_dtype_the_cpu_has_not_in_hardware_is_not_resumed(caplog):
    augmentation = Augmentation(AugmentConfig(), patch=(8, 8, 8), spacing=(1.0, 1.0, 1.0), classes=3, seed=0)
    stepper = Stepper(run_without_cases(train_config()), network(), augmentation)
    kept = stepper.state() | {"method": {"parts": 1, "threads": 1, "dtype": "bfloat16"}}
    stepper.load(kept)
    assert stepper.method == StepMethod(1, 1, FLOAT)
    assert "started in bfloat16, which this device does not multiply in hardware; it resumes in float32." in caplog.text
