"""How much memory a network's results take while it runs, read from its ONNX graph without running it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

FLOAT = 4
# For a network whose layers are not known, channels of full resolution alive together: a U-Net's first level has some
# 32, and PyTorch holds about 8 such results.
UNKNOWN_CHANNELS = 8 * 32
# Engines hold channels in blocks of the width of the CPU's registers; fewer are filled up.
CHANNEL_BLOCK = 16


def activation_bytes(path: Path) -> int:
    """Bytes of float32 results alive together at the worst moment, nodes run in the order of the file.

    A result lives from the node that makes it to the last that reads it. Weights are not counted.
    """
    import onnx

    graph = onnx.shape_inference.infer_shapes(onnx.load(str(path))).graph
    sizes = {value.name: _bytes(value) for value in (*graph.value_info, *graph.input, *graph.output)}
    last: dict[str, int] = {}
    for index, node in enumerate(graph.node):
        last |= dict.fromkeys(node.input, index)
    last |= dict.fromkeys((output.name for output in graph.output), len(graph.node))
    alive = sum(sizes[value.name] for value in graph.input)
    most = alive
    for index, node in enumerate(graph.node):
        alive += sum(sizes.get(name, 0) for name in node.output)
        most = max(most, alive)
        done = {name for name in (*node.input, *node.output) if last.get(name, index) == index}
        alive -= sum(sizes.get(name, 0) for name in done)
    return most


def _bytes(value: Any) -> int:
    """Size of a tensor; 0 where its shape is not known, which holds for a few small ones at most."""
    shape: list[int] = [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
    if len(shape) > 2:  # (N, C, ...)
        shape[1] = math.ceil(shape[1] / CHANNEL_BLOCK) * CHANNEL_BLOCK
    return math.prod(shape) * FLOAT
