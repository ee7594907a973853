"""The largest result of a network's layers, from which the memory that PyTorch works in is estimated."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from medseg.infer.activations import FLOAT, UNKNOWN_CHANNELS
from medseg.models.card import ModelCard
from medseg.models.instance_norm import InstanceNorm
from medseg.models.onednn_convolution import InOneDnn
from medseg.models.registry import network_of

# Layers whose results are in proportion to the window, where it is a multiple of the network's; and empty containers.
# PyTorch's own normalization by groups or instances is not among them: it refuses the one voxel that the smallest
# window may end in.
PLAIN = (
    torch.nn.Conv2d, torch.nn.Conv3d, torch.nn.ConvTranspose2d, torch.nn.ConvTranspose3d, InstanceNorm,
    torch.nn.BatchNorm2d, torch.nn.BatchNorm3d, torch.nn.AvgPool2d, torch.nn.AvgPool3d, torch.nn.Upsample,
    torch.nn.LeakyReLU, torch.nn.Sequential, torch.nn.ModuleList,
    torch.nn.ReLU, torch.nn.PReLU, torch.nn.GELU, torch.nn.SiLU, torch.nn.Dropout2d, torch.nn.Dropout3d,
    torch.nn.Dropout, torch.nn.Identity,
)  # fmt: skip


def is_plain(network: torch.nn.Module) -> bool:
    """Whether a network consists of layers of `PLAIN` and takes windows of any multiple of its own."""
    leaves = (module for module in network.modules() if next(module.children(), None) is None)
    return getattr(network, "multiple", None) is not None and all(isinstance(leaf, PLAIN) for leaf in leaves)


def largest_result(network: torch.nn.Module, card: ModelCard) -> int:
    """Bytes of the largest float32 result of a loaded network's layers for one window of the card's size.

    A plain network computes the smallest window there is. Any other is run on "meta" tensors, which have a shape and no
    values: that is exact and cheap but for the start, as PyTorch imports its compiler for it, a second of CPU time.
    """
    window = card.input.patch[: card.network.dimensions]
    if card.network.is_whole:  # its layers are not known
        return FLOAT * UNKNOWN_CHANNELS * math.prod(window)
    if not is_plain(network):
        return largest_on_meta(card)
    parameter = next(network.parameters())
    smallest: Sequence[int] = network.multiple  # type: ignore[assignment]
    small = smallest[: len(window)]
    given = torch.zeros(1, card.channels, *small, device=parameter.device, dtype=parameter.dtype)
    with torch.inference_mode(), InOneDnn():
        largest = _largest(network, given)
    return math.ceil(largest * math.prod(window) / math.prod(small))


def largest_on_meta(card: ModelCard) -> int:
    """Do as `largest_result` without weights or arithmetic; raises what the network raises for such a window."""
    with torch.device("meta"), torch.inference_mode():
        return _largest(
            network_of(card).eval(), torch.zeros(1, card.channels, *card.input.patch[: card.network.dimensions])
        )


def _largest(network: torch.nn.Module, given: torch.Tensor) -> int:
    sizes = [0]

    def note(_module: torch.nn.Module, _inputs: object, result: object) -> None:
        if isinstance(result, torch.Tensor):
            sizes.append(result.numel() * FLOAT)

    hooks = [module.register_forward_hook(note) for module in network.modules()]
    try:
        network(given)
    finally:
        for hook in hooks:
            hook.remove()
    return max(sizes)
