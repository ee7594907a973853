import pytest
from tiny_dataset import tiny_config, train_config

from medseg.training.cost import predict_cost


def config(patch, batch):
    arguments = {"features": [4, 8, 8], "strides": [[1] * 3, [2] * 3, [2] * 3], "deep_supervision": True}
    given = tiny_config()["input"] | {"patch": list(patch)}
    return train_config(network={"name": "unet", "arguments": arguments}, sampling={"batch": batch}, input=given)


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
