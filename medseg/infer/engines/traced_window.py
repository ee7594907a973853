"""The window in which a network is written as ONNX: a small one, where what is written then fits the card's too.

PyTorch holds every layer's result while it writes: several times what running it takes.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from medseg.infer.engines.base import with_window
from medseg.models.card import ModelCard

if TYPE_CHECKING:
    import torch

# Voxels of a window from which on a smaller one is tried first.
LARGE = 1 << 20
# Along each axis, of what its sides must be multiples of: the deepest layer still has voxels to normalize over.
SMALL = 2


def smaller_window(network: torch.nn.Module, card: ModelCard) -> ModelCard | None:
    """Return a card with a smaller window that a network takes; None where its own is small, or the only one."""
    step = getattr(network, "multiple", None)
    dimensions = card.network.dimensions
    if step is None or math.prod(card.input.patch) <= LARGE:
        return None
    steps = [int(step)] * dimensions if isinstance(step, int) else [int(n) for n in step]
    sides = [min(SMALL * n, side) for n, side in zip(steps[:dimensions], card.input.patch, strict=False)]
    x, y, z = sides if dimensions == 3 else (*sides, card.input.patch[2])
    return with_window(card, (x, y, z))


def fit_window(path: Path, card: ModelCard) -> None:
    """Let an ONNX file take the card's window in place of the one in which it was written."""
    import onnx

    model = onnx.load(str(path))
    sides = card.input.patch[: card.network.dimensions]
    for value in (*model.graph.input, *model.graph.output):
        for dimension, side in zip(value.type.tensor_type.shape.dim[-len(sides) :], sides, strict=True):
            dimension.dim_value = side
    del model.graph.value_info[:]
    path.write_bytes(model.SerializeToString())
