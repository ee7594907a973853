"""Changes to a network that OpenVINO has read: sums that are more exact, and a last layer that is computed apart."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.infer.activations import alive_bytes

FLOAT = 4
# Bytes of a window's scores from which on it pays to make them in pieces.
LARGE = 1 << 28


def sum_in_parts(network: Any) -> None:
    """Let instance normalization add up rows, then the sums of rows, then those of planes.

    OpenVINO adds the voxels of a channel one after another in float32, which is off by some 3e-6 of a standard
    deviation for a million of them, thirty times what PyTorch is. Shapes must be fixed.
    """
    from openvino import opset13 as ops

    for node in network.get_ordered_ops():
        if node.get_type_name() != "MVN" or not node.get_attributes()["normalize_variance"]:
            continue
        given = node.input_value(0)
        axes = sorted((int(axis) for axis in node.input_value(1).get_node().data), reverse=True)
        centered = ops.subtract(given, _mean(given, axes))
        # Squares of a row are added up without being written.
        length = ops.reduce_l2(centered, _constant(axes[0]), True)
        square = ops.multiply(ops.multiply(length, length), _constant(1 / given.get_shape()[axes[0]]))
        variance = ops.add(_mean(square.output(0), axes[1:]), _constant(node.get_attributes()["eps"]))
        node.output(0).replace(ops.multiply(centered, ops.divide(_constant(1.0), ops.sqrt(variance))).output(0))


def _mean(values: Any, axes: Sequence[int]) -> Any:
    """The mean, axis by axis: the division in between keeps OpenVINO from adding along all of them at once."""
    from openvino import opset13 as ops

    shape = values.get_shape()
    for axis in axes:
        values = ops.multiply(ops.reduce_sum(values, _constant(axis), True), _constant(1 / shape[axis])).output(0)
    return values


def without_output_layer(network: Any, core: Any) -> tuple[Any, OpenVinoLayer | None]:
    """Return a network that gives features, and the layer that makes scores of them; itself and None where it is none.

    By OpenVINO's `core`, and only where scores take more than `LARGE` bytes, there are more classes than features, and
    the layer is a convolution of one voxel.
    """
    import openvino
    from openvino import opset13 as ops

    convolution = _last_convolution(network)
    if convolution is None:
        return network, None
    source, (classes, features, *size) = convolution.input_value(0), convolution.input_value(1).get_shape()
    if classes <= features or math.prod(size) > 1 or FLOAT * math.prod(network.output().get_shape()) < LARGE:
        return network, None
    inner = openvino.Model([ops.result(source)], network.get_parameters())
    *across, last_side = list(source.get_shape())[3:]
    shown = ops.parameter([1, features, *[1] * (len(size) - 1), math.prod(across) * last_side], np.float32)
    convolution.input(0).replace_source_output(shown.output(0))
    outer = openvino.Model(network.get_results(), [shown])
    return inner, OpenVinoLayer(core.compile_model(outer, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}))


def _last_convolution(network: Any) -> Any | None:
    """The convolution, perhaps with a bias, that makes the one output of a network of fixed shapes."""
    if len(network.outputs) != 1 or not network.output().partial_shape.is_static:
        return None
    last = network.output().get_node().input_value(0).get_node()
    if last.get_type_name() == "Add":
        bias = last.input_value(1).get_partial_shape()
        if not bias.is_static or math.prod(bias.get_shape()) != last.get_output_shape(0)[1]:
            return None  # what is added comes from the network, too
        last = last.input_value(0).get_node()
    if last.get_type_name() != "Convolution" or any(step != 1 for step in last.get_attributes()["strides"]):
        return None
    return last if last.input_value(1).get_partial_shape().is_static else None


def network_bytes(network: Any) -> int:
    """Bytes of float32 results of a network of fixed shapes that are alive together at the worst moment."""
    nodes: list[tuple[list[str], list[str]]] = []
    shapes: dict[str, list[int]] = {}
    for node in network.get_ordered_ops():
        made = [f"{node.get_name()} {number}" for number in range(node.get_output_size())]
        if node.get_type_name() != "Constant":  # weights
            shapes |= {name: list(node.get_output_shape(number)) for number, name in enumerate(made)}
        sources = [value.get_source_output() for value in node.inputs()]
        nodes.append(([f"{one.get_node().get_name()} {one.get_index()}" for one in sources], made))
    return alive_bytes(nodes, shapes)


class OpenVinoLayer:
    """A last layer, for one plane of a window at a time; see `OutputLayer`."""

    def __init__(self, compiled: Any) -> None:
        self._compiled, self._local = compiled, threading.local()
        self._shape = tuple(compiled.input().shape)
        self.features = int(self._shape[1])

    def scores(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """See `OutputLayer.scores`."""
        if not hasattr(self._local, "request"):
            self._local.request = self._compiled.create_infer_request()
        shown = np.ascontiguousarray(features).reshape(self._shape)
        found: npt.NDArray[np.float32] = self._local.request.infer([shown], share_inputs=True, share_outputs=True)[0]
        return found.reshape(-1, *features.shape[1:])


def _constant(value: float) -> Any:
    """A number in float32, or an axis."""
    from openvino import opset13 as ops

    return ops.constant(np.array([value], np.int64 if isinstance(value, int) else np.float32))
