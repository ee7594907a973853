"""Has every float32 convolution on a CPU computed by oneDNN."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn


def use_onednn(network: nn.Module) -> None:
    """Compute a network's convolutions by oneDNN, whatever their size, in evaluation on a CPU.

    PyTorch by itself takes oneDNN for a single window only where channels x X x Y are more than 20,480, as if smaller
    ones were not worth it (``use_mkldnn`` in aten/src/ATen/native/Convolution.cpp). All but the first layers of a
    small window then fall to a convolution of its own that takes four times as long.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return
    for module in network.modules():
        # Not of classes derived from these, which may compute something else.
        if isinstance(module, (nn.Conv2d, nn.Conv3d)) and type(module) in (nn.Conv2d, nn.Conv3d):
            padding = _padding(module)
            if module.padding_mode == "zeros" and padding is not None:
                module.forward = partial(_convolve, module, padding)  # type: ignore[method-assign]


def _convolve(layer: nn.Conv2d | nn.Conv3d, padding: tuple[int, ...], image: torch.Tensor) -> torch.Tensor:
    return torch.mkldnn_convolution(
        image, layer.weight, layer.bias, padding, layer.stride, layer.dilation, layer.groups
    )


def _padding(layer: nn.Conv2d | nn.Conv3d) -> tuple[int, ...] | None:
    """Zeros on both sides of each axis; None where the sides differ, as "same" may ask for."""
    if layer.padding == "valid":
        return (0,) * len(layer.kernel_size)
    if isinstance(layer.padding, str):
        spans = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        return None if any(span % 2 for span in spans) else tuple(span // 2 for span in spans)
    return tuple(layer.padding)
