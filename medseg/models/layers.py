"""Convolution, normalization and residual blocks for two and three dimensions: what every network here is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

from torch import Tensor, nn

from medseg.models.instance_norm import InstanceNorm

Norm = Literal["instance", "batch", "group", "none"]
PerAxis = tuple[int, ...]

SLOPE = 0.01


def per_axis(value: int | Sequence[int], dimensions: int) -> PerAxis:
    """One number for every axis, or the numbers themselves."""
    if isinstance(value, int):
        return (value,) * dimensions
    if len(value) != dimensions:
        raise ValueError(f"{list(value)} has {len(value)} numbers; {dimensions} dimensions need {dimensions}")
    return tuple(value)


def convolution(
    dimensions: int,
    inputs: int,
    outputs: int,
    kernel: int | Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    bias: bool = True,
) -> nn.Module:
    """Convolution that keeps the size at stride 1: zero padding of half the dilated kernel."""
    sizes, dilations = per_axis(kernel, dimensions), per_axis(dilation, dimensions)
    padding = tuple(d * (k - 1) // 2 for k, d in zip(sizes, dilations, strict=True))
    layer: Callable[..., nn.Module] = {2: nn.Conv2d, 3: nn.Conv3d}[dimensions]
    return layer(inputs, outputs, sizes, per_axis(stride, dimensions), padding, dilations, groups, bias=bias)


def normalization(kind: Norm, dimensions: int, channels: int) -> nn.Module:
    """Normalization with learned scale and shift: ``instance``, ``batch``, ``group`` (Wu & He 2018) or ``none``."""
    if kind == "instance":
        return InstanceNorm(channels)
    if kind == "group":
        return nn.GroupNorm(math.gcd(8, channels), channels)
    if kind == "batch":
        return {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[dimensions](channels)
    return nn.Identity()


def max_pooling(dimensions: int, size: int | Sequence[int], *, switches: bool = False) -> nn.Module:
    """Max pooling without overlap; with `switches` it also gives where each maximum was."""
    layer: Callable[..., nn.Module] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}[dimensions]
    return layer(per_axis(size, dimensions), return_indices=switches)


def channel_dropout(dimensions: int, rate: float) -> nn.Module:
    """Dropout of whole channels (Tompson 2015); nothing at rate 0."""
    return {2: nn.Dropout2d, 3: nn.Dropout3d}[dimensions](rate) if rate else nn.Identity()


class ConvUnit(nn.Module):
    """Convolution, dropout, normalization, leaky ReLU: nnU-Net's unit.

    - `kernel`, `stride`, `dilation`: one number, or one for each axis.
    - `active`: whether the leaky ReLU (slope 0.01) follows.
    """

    def __init__(
        self,
        dimensions: int,
        inputs: int,
        outputs: int,
        kernel: int | Sequence[int] = 3,
        *,
        stride: int | Sequence[int] = 1,
        dilation: int | Sequence[int] = 1,
        norm: Norm = "instance",
        dropout: float = 0.0,
        active: bool = True,
    ) -> None:
        super().__init__()
        self.conv = convolution(
            dimensions, inputs, outputs, kernel, stride=stride, dilation=dilation, bias=norm == "none"
        )
        self.dropout = channel_dropout(dimensions, dropout)
        self.norm = normalization(norm, dimensions, outputs)
        self.active = nn.LeakyReLU(SLOPE, inplace=True) if active else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, *spatial)`` to ``(N, outputs, *spatial / stride)``."""
        result: Tensor = self.active(self.norm(self.dropout(self.conv(x))))
        return result


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut past them (He 2016, with ResNet-D's average pooling as in nnU-Net's ResEnc).

    - `dimensions`, `inputs`, `outputs`, `kernel`, `stride`, `norm`, `dropout`: as in `ConvUnit`; the stride is that of
      the first convolution.
    """

    def __init__(
        self,
        dimensions: int,
        inputs: int,
        outputs: int,
        kernel: int | Sequence[int] = 3,
        *,
        stride: int | Sequence[int] = 1,
        norm: Norm = "instance",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        steps = per_axis(stride, dimensions)
        self.first = ConvUnit(dimensions, inputs, outputs, kernel, stride=steps, norm=norm, dropout=dropout)
        self.second = ConvUnit(dimensions, outputs, outputs, kernel, norm=norm, active=False)
        pool: Callable[..., nn.Module] = {2: nn.AvgPool2d, 3: nn.AvgPool3d}[dimensions]
        past: list[nn.Module] = []
        if max(steps) > 1:
            past.append(pool(steps))
        if inputs != outputs:
            past.append(ConvUnit(dimensions, inputs, outputs, 1, norm=norm, active=False))
        self.past = nn.Sequential(*past)
        self.active = nn.LeakyReLU(SLOPE, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, *spatial)`` to ``(N, outputs, *spatial / stride)``."""
        result: Tensor = self.active(self.second(self.first(x)) + self.past(x))
        return result


def initialize(network: nn.Module) -> None:
    """Draw convolution weights from He's normal distribution for leaky ReLU, biases zero (nnU-Net's choice)."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            nn.init.kaiming_normal_(layer.weight, a=SLOPE)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
