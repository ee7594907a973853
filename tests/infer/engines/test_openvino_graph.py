"""What is changed in a network that OpenVINO has read: its sums come nearer to the truth, its scores stay."""

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from medseg.infer.engines import openvino_graph
from medseg.infer.engines.openvino import openvino_core
from medseg.infer.engines.openvino_graph import sum_in_parts, without_output_layer
from medseg.infer.output_layer import scores_of_window

SIZE = (48, 56, 64)
CHANNELS = 16


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


def convolved(given, weights):
    sides = len(weights.shape) - 2
    ones, same = [1] * sides, [size // 2 for size in weights.shape[2:]]
    return ops.convolution(given, ops.constant(weights), ones, same, same, ones)


def run(network, values):
    return openvino_core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([values])[0]


def normalized(random, dimensions):
    """A convolution, for the layout that OpenVINO computes in, and a normalization of it."""
    size = SIZE[:dimensions] if dimensions == 3 else (256, 320)
    shown = ops.parameter([1, 1, *size], np.float32)
    weights = random.normal(size=(CHANNELS, 1, *[3] * dimensions)).astype(np.float32)
    axes = ops.constant(np.arange(2, 2 + dimensions))
    convolution = convolved(shown, weights)
    layer = ops.mvn(convolution, axes, True, 1e-5, "INSIDE_SQRT")
    return ov.Model([layer, convolution], [shown]), (random.normal(size=(1, 1, *size))).astype(np.float32)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_sums_in_parts_are_nearer_to_the_truth(random, dimensions):
    network, values = normalized(random, dimensions)
    compiled = openvino_core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    plain, exact = (compiled([values])[n] for n in (0, 1))
    axes = tuple(range(2, 2 + dimensions))
    exact = exact.astype(np.float64)
    exact = (exact - exact.mean(axes, keepdims=True)) / np.sqrt(exact.var(axes, keepdims=True) + 1e-5)
    sum_in_parts(network)
    assert all(node.get_type_name() != "MVN" for node in network.get_ops())
    found = run(network, values)
    errors = [np.sqrt(np.mean((one - exact) ** 2)) for one in (plain, found)]
    assert errors[1] < 3e-7
    assert errors[1] < errors[0] / 2


def test_a_channel_of_one_value_is_normalized_to_0(random):
    network, values = normalized(random, 3)
    sum_in_parts(network)
    assert np.abs(run(network, np.full_like(values, 1000.0))[..., 2:-2, 2:-2, 2:-2]).max() < 20  # its borders differ


def test_a_sum_that_does_not_divide_by_the_deviation_is_left(random):
    shown = ops.parameter([1, 2, 4, 4, 4], np.float32)
    network = ov.Model([ops.mvn(shown, ops.constant(np.array([2, 3, 4])), False, 1e-5, "INSIDE_SQRT")], [shown])
    sum_in_parts(network)
    assert any(node.get_type_name() == "MVN" for node in network.get_ops())


def classified(random, classes, *, kernel=1, bias=True, outputs=1, sides=3, added=False, size=(8, 7, 6)):
    size = list(size)[:sides]
    shown = ops.parameter([1, 1, *size], np.float32)
    features = ops.relu(convolved(shown, random.normal(size=(CHANNELS, 1, *[3] * sides)).astype(np.float32)))
    last = convolved(features, random.normal(size=(classes, CHANNELS, *[kernel] * sides)).astype(np.float32))
    if bias:
        last = ops.add(last, ops.constant(random.normal(size=(1, classes, *[1] * sides)).astype(np.float32)))
    if added:
        last = ops.add(convolved(shown, random.normal(size=(classes, 1, 1, 1, 1)).astype(np.float32)), last)
    values = random.normal(size=[1, 1, *[abs(side) for side in size]]).astype(np.float32)
    return ov.Model([last, *[features] * (outputs - 1)], [shown]), values


@pytest.fixture
def _any_size(monkeypatch):
    monkeypatch.setattr(openvino_graph, "LARGE", 0)


@pytest.mark.usefixtures("_any_size")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sides", [2, 3])
def test_scores_are_the_same_without_the_last_layer(random, bias, sides):
    network, values = classified(random, 40, bias=bias, sides=sides)
    expected = run(network, values)
    inner, layer = without_output_layer(network, openvino_core())
    features = run(inner, values)
    assert features.shape == (1, CHANNELS, *values.shape[2:])
    assert layer.features == CHANNELS
    found = scores_of_window(features[0] if sides == 3 else features[0, ..., None], layer)
    np.testing.assert_allclose(found.reshape(expected[0].shape), expected[0], rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("_any_size")
@pytest.mark.parametrize(
    "other",
    [
        {"classes": 3},
        {"classes": 40, "kernel": 3},
        {"classes": 40, "outputs": 2},
        {"classes": 40, "added": True},
        {"classes": 40, "size": (8, -1, 6)},
    ],
    ids=str,
)
def test_a_network_of_another_kind_stays(random, other):
    network, _ = classified(random, **other)
    same, layer = without_output_layer(network, openvino_core())
    assert same is network
    assert layer is None


def test_a_network_of_few_scores_stays(random):
    network, _ = classified(random, 40)
    assert without_output_layer(network, openvino_core()) == (network, None)
