"""How much memory a network's results take while it runs, read from its ONNX graph without running it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

FLOAT = 4
# For a network whose layers are not known, channels of full resolution alive together: a U-Net's first level has some
# 32, and PyTorch holds about 8 such results.
UNKNOWN_CHANNELS = 8 * 32
# Engines hold channels in blocks of the width of the CPU's registers; fewer are filled up.
CHANNEL_BLOCK = 16


def activation_bytes(path: Path) -> int:
    """Bytes of float32 results alive together at the worst moment, nodes run in the order of an ONNX file.

    Of one window, where the file takes any number of them; raises `ValueError` where it takes windows of any size.
    """
    import onnx

    graph = onnx.shape_inference.infer_shapes(onnx.load(str(path))).graph
    shapes = {
        value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.input, *graph.output)
    }
    for shape in shapes.values():
        shape[:1] = [max(1, n) for n in shape[:1]]
    given, results = ([value.name for value in values] for values in (graph.input, graph.output))
    if any(0 in shapes[name] for name in given):
        raise ValueError("the file takes windows of any size")
    return alive_bytes([((), given), *((node.input, node.output) for node in graph.node), (results, ())], shapes)


def alive_bytes(nodes: Sequence[tuple[Iterable[str], Iterable[str]]], shapes: Mapping[str, Sequence[int]]) -> int:
    """Bytes of float32 results alive together at the worst moment.

    A result lives from the node that makes it to the last that reads it. Weights are not counted, nor what has no
    shape, which holds for a few small results at most.

    - `nodes`: what each reads and makes, in the order in which they run.
    """
    last = {name: index for index, (read, _) in enumerate(nodes) for name in read}
    alive = most = 0
    for index, (read, made) in enumerate(nodes):
        alive += sum(_bytes(shapes.get(name, (0,))) for name in made)
        most = max(most, alive)
        done = {name for name in (*read, *made) if last.get(name, index) == index}
        alive -= sum(_bytes(shapes.get(name, (0,))) for name in done)
    return most


def _bytes(shape: Sequence[int]) -> int:
    """Size of a result, (N, C, ...) where it has more than two axes."""
    if len(shape) > 2:
        shape = (shape[0], math.ceil(shape[1] / CHANNEL_BLOCK) * CHANNEL_BLOCK, *shape[2:])
    return math.prod(shape) * FLOAT
