"""Encoders trained from scratch: stages of convolutions or residual blocks, each coarser than the one before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from medseg.models.layers import ConvUnit, Norm, PerAxis, ResidualBlock, max_pooling

# Features of every stage, finest first, and beside each the switches of the max pooling before it (None without).
Features = tuple[list[Tensor], list[Tensor | None]]


class Stage(nn.Module):
    """What happens at one resolution: an optional max pooling, then the blocks."""

    def __init__(self, pool: nn.Module | None, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.pool = pool
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """``(N, inputs, *spatial)`` to ``(N, outputs, *spatial / stride)`` and the switches, if it pools."""
        switches = None
        if self.pool is not None:
            x, switches = self.pool(x)
        return self.blocks(x), switches


class Encoder(nn.Module):
    """nnU-Net's plain encoder (Isensee 2021) or its residual one (ResEnc, Isensee 2024).

    - `strides`, `kernels`: of each stage; the stride of the first is 1.
    - `blocks`: convolutions (plain) or residual blocks (residual) of each stage.
    - `kind`: ``plain`` or ``residual``; the residual one has one convolution, the stem, before its blocks.
    - `downsampling`: ``strided``: the first convolution of a stage has the stride. ``max_pool``: pooling before it.

    Notes
    -----
    ``channels`` and ``strides`` of the stages are attributes, which is all a decoder needs to know.
    """

    def __init__(
        self,
        dimensions: int,
        channels: int,
        features: Sequence[int],
        *,
        strides: Sequence[PerAxis],
        kernels: Sequence[PerAxis],
        blocks: Sequence[int],
        kind: Literal["plain", "residual"] = "plain",
        downsampling: Literal["strided", "max_pool"] = "strided",
        norm: Norm = "instance",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.channels = tuple(features)
        self.strides = tuple(strides)
        self.stem: nn.Module | None = None
        inputs = channels
        if kind == "residual":
            self.stem = ConvUnit(dimensions, channels, features[0], kernels[0], norm=norm)
            inputs = features[0]
        block = ConvUnit if kind == "plain" else ResidualBlock
        stages: list[nn.Module] = []
        for outputs, stride, kernel, count in zip(features, strides, kernels, blocks, strict=True):
            pools = downsampling == "max_pool" and max(stride) > 1
            parts: list[nn.Module] = []
            for number in range(count):
                step = stride if number == 0 and not pools else 1
                parts.append(block(dimensions, inputs, outputs, kernel, stride=step, norm=norm, dropout=dropout))
                inputs = outputs
            stages.append(Stage(max_pooling(dimensions, stride, switches=True) if pools else None, parts))
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> Features:
        """``(N, channels, *spatial)`` to the features of every stage, finest first, and their switches."""
        if self.stem is not None:
            x = self.stem(x)
        features: list[Tensor] = []
        switches: list[Tensor | None] = []
        for stage in self.stages:
            x, switch = stage(x)
            features.append(x)
            switches.append(switch)
        return features, switches
