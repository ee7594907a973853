"""The decoder of every U-Net here: upsample, join with the skip, convolve; scores at each stage where requested."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from medseg.models.layers import ConvUnit, Norm, PerAxis, convolution
from medseg.models.upsampling import Upsampling, UpsamplingName

Skip = Literal["none", "add", "concat"]


class AttentionGate(nn.Module):
    """Weighs the features of a skip by how they agree with those from below (Oktay 2018, additive attention).

    - `dimensions`, `skip`, `gate`: spatial dimensions, and channels of the features to weigh and of those from below.
    """

    def __init__(self, dimensions: int, skip: int, gate: int) -> None:
        super().__init__()
        inner = max(1, skip // 2)
        self.skip = convolution(dimensions, skip, inner, 1, bias=False)
        self.gate = convolution(dimensions, gate, inner, 1)
        self.weight = convolution(dimensions, inner, 1, 1)

    def forward(self, skip: Tensor, gate: Tensor) -> Tensor:
        """``(N, skip, *spatial)`` and ``(N, gate, *spatial)`` to the skip times a weight of 0 to 1 at each place."""
        agreement = torch.relu(self.skip(skip) + self.gate(gate))
        return skip * torch.sigmoid(self.weight(agreement))


class DecoderStage(nn.Module):
    """One resolution of the decoder."""

    def __init__(
        self,
        up: Upsampling,
        gate: AttentionGate | None,
        project: nn.Module | None,
        blocks: Sequence[nn.Module],
        skip: Skip,
    ) -> None:
        super().__init__()
        self.up = up
        self.gate = gate
        self.project = project
        self.blocks = nn.Sequential(*blocks)
        self.skip = skip

    def forward(self, x: Tensor, beside: Tensor, switches: Tensor | None) -> Tensor:
        """Features from below and those of the encoder at this resolution, to features at this resolution."""
        x = self.up(x, switches, beside.shape[2:])
        if self.gate is not None:
            beside = self.gate(beside, x)
        if self.skip == "concat":
            x = torch.cat([x, beside], dim=1)
        elif self.skip == "add":
            x = x + (beside if self.project is None else self.project(beside))
        result: Tensor = self.blocks(x)
        return result


class Decoder(nn.Module):
    """From the features of every encoder stage to scores.

    - `dimensions`, `classes`: spatial dimensions and output classes.
    - `channels`: of each encoder stage, finest first.
    - `strides`, `kernels`: of each encoder stage; a decoder stage undoes the stride of the encoder stage below it.
    - `blocks`: convolutions of each decoder stage, finest first.
    - `features`: channels of each decoder stage, finest first; by default those of the encoder at the same resolution.
      Where they differ, added skips pass a 1x1 convolution.
    - `skip`: how encoder features join: ``none``, ``add`` or ``concat``.
    - `upsampling`: named in `medseg.models.upsampling`.
    - `attention_gates`: whether skips pass an `AttentionGate`.
    - `deep_supervision`: whether every stage has a head, not the finest alone.
    - `norm`, `dropout`: as in `ConvUnit`.

    Notes
    -----
    Stages are stored finest first (``stages.0`` and ``heads.0`` are at full resolution) and run coarsest first.
    """

    def __init__(
        self,
        dimensions: int,
        classes: int,
        channels: Sequence[int],
        *,
        strides: Sequence[PerAxis],
        kernels: Sequence[PerAxis],
        blocks: Sequence[int],
        features: Sequence[int] | None = None,
        skip: Skip = "concat",
        upsampling: UpsamplingName = "transposed",
        attention_gates: bool = False,
        deep_supervision: bool = False,
        norm: Norm = "instance",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        features = tuple(features or channels[:-1])
        below = (*features[1:], channels[-1])
        stages: list[nn.Module] = []
        heads: list[nn.Module] = []
        for number, count in enumerate(blocks):
            here, beside = features[number], channels[number]
            up = Upsampling(upsampling, dimensions, below[number], here, strides[number + 1])
            gate = AttentionGate(dimensions, beside, here) if attention_gates and skip != "none" else None
            project = convolution(dimensions, beside, here, 1) if skip == "add" and beside != here else None
            inputs = [here + beside if skip == "concat" else here, *[here] * (count - 1)]
            units = [ConvUnit(dimensions, n, here, kernels[number], norm=norm, dropout=dropout) for n in inputs]
            stages.append(DecoderStage(up, gate, project, units, skip))
            if deep_supervision or number == 0:
                heads.append(convolution(dimensions, here, classes, 1))
        self.stages = nn.ModuleList(stages)
        self.heads = nn.ModuleList(heads)

    def forward(
        self, features: Sequence[Tensor], switches: Sequence[Tensor | None], *, every_stage: bool = False
    ) -> list[Tensor]:
        """Features of every encoder stage and their switches, finest first, to scores, finest first.

        `every_stage` gives the scores of each decoder stage that has a head; otherwise the list holds one.
        """
        x = features[-1]
        scores: list[Tensor] = []
        for number in reversed(range(len(self.stages))):
            x = self.stages[number](x, features[number], switches[number + 1])
            if number == 0 or every_stage:
                scores.append(self.heads[number](x))
        return scores[::-1]
