from types import SimpleNamespace

import pytest
from tiny_dataset import tiny_config, train_config

from medseg.training import cost as cost_module
from medseg.training.cost import predict_cost
from medseg.training.cpu_parallel import SideBySide


def config(patch, batch, accumulate=1):
    arguments = {"features": [4, 8, 8], "strides": [[1] * 3, [2] * 3, [2] * 3], "deep_supervision": True}
    given = tiny_config()["input"] | {"patch": list(patch)}
    sampling = {"batch": batch, "accumulate": accumulate}
    return train_config(network={"name": "unet", "arguments": arguments}, sampling=sampling, input=given)


def test_memory_grows_with_patch_and_batch():
    small = predict_cost(config((16, 16, 16), 1), 3, device="cpu")
    larger = predict_cost(config((32, 16, 16), 1), 3, device="cpu")
    more = predict_cost(config((32, 16, 16), 2), 3, device="cpu")
    weights = 20 * small.weights / 1e9
    assert (larger.gigabytes - weights) / (small.gigabytes - weights) == pytest.approx(2)
    assert (more.gigabytes - weights) / (larger.gigabytes - weights) == pytest.approx(2)
    assert small.seconds_an_epoch == small.seconds_a_step * 4 > 0


def test_a_patch_too_large_to_try_is_scaled_up():
    cost = predict_cost(config((256, 256, 256), 1), 3, device="cpu")
    assert cost.gigabytes > 1
    assert cost.seconds_a_step > 0


@pytest.fixture
def clock(monkeypatch):
    """Seconds that each pass takes in turn, on a clock that nothing else moves; the last one for all that follow."""
    now, seconds = [0.0], [1.0]

    def backward(self, images, loss_of):
        now[0] += seconds.pop(0) if len(seconds) > 1 else seconds[0]

    monkeypatch.setattr(SideBySide, "backward", backward)
    monkeypatch.setattr(cost_module, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    return seconds


@pytest.mark.parametrize("passes", [[7.0, 3.0], [7.0, 0.5, 0.4, 0.3], [0.5, 0.3]])
def test_the_pass_that_warms_up_is_no_part_of_the_time_however_long_passes_take(clock, passes):
    clock[:] = passes
    cost = predict_cost(config((16, 16, 16), 1), 3, device="cpu")
    assert cost.seconds_a_step == pytest.approx(min(passes[1:]))
    assert cost.seconds_an_epoch == 4 * cost.seconds_a_step


def test_a_step_is_all_the_batches_that_are_added_up_in_it(clock):
    assert predict_cost(config((16, 16, 16), 1, accumulate=3), 3, device="cpu").seconds_a_step == 3.0
