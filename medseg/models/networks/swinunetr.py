"""MONAI's SwinUNETR: a Swin transformer as encoder, a convolutional decoder.

Hatamizadeh 2022 (arXiv:2201.01266); version 2 adds a residual convolution to each stage, He 2023 (arXiv:2308.10438).
"""

from __future__ import annotations

from typing import Annotated

import torch
from monai.networks.nets import SwinUNETR
from pydantic import Field
from torch import Tensor

from medseg.config.strict import Strict
from medseg.errors import ModelError
from medseg.models.family import NetworkFamily, require

STRIDE = 32
Four = tuple[
    Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]
]


class SwinUNETRArguments(Strict):
    """What can be set of a SwinUNETR."""

    width: Annotated[int, Field(ge=12, multiple_of=12)] = Field(default=24, description="features at full resolution")
    depths: Four = (2, 2, 2, 2)
    heads: Four = (3, 6, 12, 24)
    window: Annotated[int, Field(ge=1)] = Field(default=7, description="window of the attention, in tokens")
    version_2: bool = False
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    checkpointing: bool = Field(default=False, description="half the memory of training for a third more time")


class _SwinUNETR(SwinUNETR):  # type: ignore[misc]
    """Refuses by name a patch whose coarsest features are one voxel, which its instance normalization cannot take."""

    multiple: tuple[int, ...]

    def forward(self, x_in: Tensor) -> Tensor:
        if max(x_in.shape[2:]) <= STRIDE:
            raise ModelError(
                f"a patch of {list(x_in.shape[2:])} leaves SwinUNETR one voxel at its coarsest",
                fix=f"Use a patch of {2 * STRIDE} or more along one axis at least.",
            )
        scores: Tensor = super().forward(x_in)
        return scores


def _build(channels: int, classes: int, dimensions: int, arguments: SwinUNETRArguments) -> _SwinUNETR:
    require("einops", extra="transformers", needed_by="network swinunetr")
    wanted = torch.get_default_device()
    with torch.device("cpu"):  # MONAI reads a drop rate out of a tensor, which one without storage has not
        network = _SwinUNETR(
            in_channels=channels,
            out_channels=classes,
            depths=arguments.depths,
            num_heads=arguments.heads,
            window_size=arguments.window,
            feature_size=arguments.width,
            drop_rate=arguments.dropout,
            use_checkpoint=arguments.checkpointing,
            spatial_dims=dimensions,
            use_v2=arguments.version_2,
        )
    network.to(wanted)
    network.multiple = (STRIDE,) * dimensions
    return network


SWINUNETR = NetworkFamily(SwinUNETRArguments, _build)
