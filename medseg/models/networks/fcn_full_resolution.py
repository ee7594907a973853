"""Convolutions only, all at full resolution: the plainest fully convolutional network.

Every layer has as many voxels as the scan, so it is exact in space and costly, and it sees no further than its
kernels reach; `dilations` let it see further at no cost (Yu & Koltun 2016, arXiv:1511.07122). Fully convolutional:
Long 2015 (doi:10.1109/CVPR.2015.7298965).
"""

from __future__ import annotations

import itertools
from typing import Annotated

from pydantic import Field, model_validator
from torch import Tensor, nn

from medseg.config.strict import Strict
from medseg.models.family import NetworkFamily
from medseg.models.layers import ConvUnit, Norm, convolution, initialize

Positive = Annotated[int, Field(ge=1)]


class FullResolutionArguments(Strict):
    """What can be set of it."""

    features: tuple[Positive, ...] = Field(
        default=(32, 32, 32, 32, 32, 32), min_length=1, description="channels of each convolution"
    )
    dilations: tuple[Positive, ...] | None = Field(default=None, description="dilation of each convolution; default 1")
    kernel: Positive = Field(default=3, description="size of the convolutions, an odd number")
    norm: Norm = "instance"
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _fit(self) -> FullResolutionArguments:
        if self.kernel % 2 == 0:
            raise ValueError("kernel: a kernel of even size cannot keep the size of its input")
        if self.dilations is not None and len(self.dilations) != len(self.features):
            raise ValueError(f"dilations: {len(self.dilations)} for {len(self.features)} convolutions")
        return self


class FullResolution(nn.Module):
    """A stack of convolutions and a 1x1 convolution to scores.

    Attributes
    ----------
    multiple : tuple of int
        1: any size will do.
    """

    def __init__(self, channels: int, classes: int, dimensions: int, arguments: FullResolutionArguments) -> None:
        super().__init__()
        dilations = arguments.dilations or (1,) * len(arguments.features)
        inputs = itertools.pairwise((channels, *arguments.features))
        self.blocks = nn.Sequential(
            *(
                ConvUnit(dimensions, n, m, arguments.kernel, dilation=d, norm=arguments.norm, dropout=arguments.dropout)
                for (n, m), d in zip(inputs, dilations, strict=True)
            )
        )
        self.head = convolution(dimensions, arguments.features[-1], classes, 1)
        self.multiple: tuple[int, ...] = (1,) * dimensions

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, *spatial)`` to scores ``(N, classes, *spatial)``."""
        scores: Tensor = self.head(self.blocks(x))
        return scores


def _build(channels: int, classes: int, dimensions: int, arguments: FullResolutionArguments) -> FullResolution:
    network = FullResolution(channels, classes, dimensions, arguments)
    initialize(network)
    return network


FCN_FULL_RESOLUTION = NetworkFamily(FullResolutionArguments, _build)
