"""A network for medseg: convolutions at full resolution whose dilation doubles from layer to layer.

Yu & Koltun 2016, Multi-scale context aggregation by dilated convolutions (arXiv:1511.07122).
"""

from __future__ import annotations

from itertools import pairwise

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from medseg.models.family import NetworkFamily

__all__ = ["CONTEXT", "Arguments", "Context"]


class Arguments(BaseModel):
    """What can be set in a configuration, under `network.arguments`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int = Field(default=16, ge=1, description="channels of every layer")
    layers: int = Field(default=4, ge=1, description="layers; the last sees 2^layers voxels to each side")


class Context(nn.Module):
    """(N, channels, *spatial) to scores (N, classes, *spatial), the background's first."""

    def __init__(self, channels: int, classes: int, dimensions: int, arguments: Arguments) -> None:
        super().__init__()
        convolution = nn.Conv3d if dimensions == 3 else nn.Conv2d
        normalize = nn.InstanceNorm3d if dimensions == 3 else nn.InstanceNorm2d
        widths = [channels, *[arguments.width] * arguments.layers]
        layers: list[nn.Module] = []
        for number, (before, after) in enumerate(pairwise(widths)):
            dilation = 2**number
            layers += [convolution(before, after, 3, padding=dilation, dilation=dilation)]
            layers += [normalize(after, affine=True), nn.LeakyReLU(0.01, inplace=True)]
        self.body = nn.Sequential(*layers)
        self.head = convolution(arguments.width, classes, 1)
        self.multiple = (1,) * dimensions  # any size of patch will do: nothing is halved

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores before softmax."""
        scores: Tensor = self.head(self.body(x))
        return scores


CONTEXT = NetworkFamily(Arguments, Context)
