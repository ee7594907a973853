"""MONAI's SegResNet, the winner of BraTS 2018 without its autoencoder branch.

Myronenko 2018 (arXiv:1810.11654).
"""

from __future__ import annotations

from typing import Annotated, Literal

from monai.networks.nets import SegResNet
from pydantic import Field
from torch import nn

from medseg.config.strict import Strict
from medseg.models.family import NetworkFamily

Positive = Annotated[int, Field(ge=1)]


class SegResNetArguments(Strict):
    """What can be set of a SegResNet."""

    width: Annotated[int, Field(ge=8, multiple_of=8)] = Field(
        default=32, description="channels at full resolution, doubled at each stage"
    )
    blocks_down: tuple[Positive, ...] = Field(
        default=(1, 2, 2, 4),
        min_length=2,
        description="residual blocks of each stage",
    )
    upsampling: Literal["linear", "transposed", "pixel_shuffle"] = "linear"
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)


def _build(channels: int, classes: int, dimensions: int, arguments: SegResNetArguments) -> nn.Module:
    modes = {"linear": "nontrainable", "transposed": "deconv", "pixel_shuffle": "pixelshuffle"}
    stages = len(arguments.blocks_down)
    network: nn.Module = SegResNet(
        spatial_dims=dimensions,
        init_filters=arguments.width,
        in_channels=channels,
        out_channels=classes,
        dropout_prob=arguments.dropout or None,
        blocks_down=arguments.blocks_down,
        blocks_up=(1,) * (stages - 1),
        upsample_mode=modes[arguments.upsampling],
    )
    network.multiple = (2 ** (stages - 1),) * dimensions  # type: ignore[assignment]
    return network


SEGRESNET = NetworkFamily(SegResNetArguments, _build)
