"""Picks the device and the dtype to train in."""

from __future__ import annotations

import logging
from typing import Literal

import torch
from torch import nn

from medseg.cpu_features import has_bfloat16
from medseg.errors import UsageError

log = logging.getLogger("medseg.train")

Precision = Literal["auto", "bf16", "fp16", "fp32"]


def choose_device(requested: str) -> torch.device:
    """Device for ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; one that is not there is an error."""
    if requested == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(requested)
    except RuntimeError as error:
        raise UsageError(
            f"there is no device '{requested}'", where="--device", fix="Use auto, cpu, cuda or cuda:N."
        ) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"there is no device '{requested}': PyTorch sees {torch.cuda.device_count()} CUDA devices",
            where="--device",
            fix="Use --device cpu, or install a PyTorch built for your GPU.",
        )
    return device


def choose_dtype(requested: Precision, device: torch.device) -> torch.dtype:
    """Dtype of the forward pass, by default what the device multiplies in hardware: bfloat16, or float16."""
    return possible_dtypes(requested, device)[0]


def possible_dtypes(requested: Precision, device: torch.device) -> tuple[torch.dtype, ...]:
    """Dtypes of the forward pass that the device multiplies in hardware, the likely fastest first."""
    if requested != "auto":
        return ({"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[requested],)
    if device.type == "cuda":
        return (torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16,)
    return (torch.bfloat16, torch.float32) if has_bfloat16() else (torch.float32,)


def memory_format(dimensions: int, network: nn.Module | None = None) -> torch.memory_format:
    """Layout in which convolutions run fastest, on tensor cores and on CPUs alike: channels last.

    Parameters
    ----------
    dimensions : int
        Of the network, 2 or 3.
    network : Module, optional
        One with dilated convolutions in 2D is laid out channels first: in bfloat16 on a CPU oneDNN gives their
        weights a gradient that is not a number where channels are last (PyTorch 2.13).
    """
    if dimensions == 3:
        return torch.channels_last_3d
    layers = () if network is None else network.modules()
    dilated = any(isinstance(layer, nn.Conv2d) and max(layer.dilation) > 1 for layer in layers)
    return torch.contiguous_format if dilated else torch.channels_last
