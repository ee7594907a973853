"""DeconvNet: down by max pooling, up by unpooling to where the maxima were, and transposed convolutions after each.

Noh, Hong & Han 2015 (doi:10.1109/ICCV.2015.178). The only thing that crosses from encoder to decoder at fine
resolution are the switches: where each maximum lay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import Field, field_validator
from torch import Tensor, nn

from medseg.config.strict import Strict
from medseg.models.family import NetworkFamily
from medseg.models.layers import SLOPE, ConvUnit, Norm, convolution, initialize, max_pooling, normalization
from medseg.models.upsampling import unpool

Positive = Annotated[int, Field(ge=1)]


class DeconvNetArguments(Strict):
    """What can be set of a DeconvNet."""

    features: tuple[Positive, ...] = Field(
        default=(32, 64, 128, 256, 256), min_length=1, description="channels of each stage; max pooling by 2 after each"
    )
    blocks: Positive = Field(default=2, description="convolutions of each stage, and transposed ones on the way back")
    bottleneck: Positive = Field(default=512, description="channels of the layer that was fully connected in VGG")
    bottleneck_kernel: Positive = Field(default=3, description="its kernel, odd; 7 in the paper, for 224 x 224 pixels")
    norm: Norm = Field(default="batch", description="the paper's is batch")

    @field_validator("bottleneck_kernel")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("a kernel of even size cannot keep the size of its input")
        return value


class TransposedUnit(nn.Module):
    """Transposed convolution of stride 1, normalization, leaky ReLU; the size stays."""

    def __init__(self, dimensions: int, inputs: int, outputs: int, norm: Norm) -> None:
        super().__init__()
        layer: Callable[..., nn.Module] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}[dimensions]
        self.conv = layer(inputs, outputs, 3, padding=1, bias=norm == "none")
        self.norm = normalization(norm, dimensions, outputs)
        self.active = nn.LeakyReLU(SLOPE, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, *spatial)`` to ``(N, outputs, *spatial)``."""
        result: Tensor = self.active(self.norm(self.conv(x)))
        return result


class DeconvNet(nn.Module):
    """An encoder and its mirror image.

    Attributes
    ----------
    multiple : tuple of int
        2 to the number of stages: 32 with five.
    """

    def __init__(self, channels: int, classes: int, dimensions: int, arguments: DeconvNetArguments) -> None:
        super().__init__()
        norm, blocks, features = arguments.norm, arguments.blocks, arguments.features
        down: list[nn.Module] = []
        up: list[nn.Module] = []
        for number, here in enumerate(features):
            finer = features[number - 1] if number else channels
            inputs = [finer, *[here] * (blocks - 1)]
            outputs = [*[here] * (blocks - 1), features[number - 1] if number else here]
            down.append(nn.Sequential(*(ConvUnit(dimensions, n, here, norm=norm) for n in inputs)))
            up.append(nn.Sequential(*(TransposedUnit(dimensions, here, n, norm) for n in outputs)))
        self.down = nn.ModuleList(down)
        self.up = nn.ModuleList(up)
        self.pool = max_pooling(dimensions, 2, switches=True)
        kernel = arguments.bottleneck_kernel
        self.bottleneck = nn.Sequential(
            ConvUnit(dimensions, features[-1], arguments.bottleneck, kernel, norm=norm),
            ConvUnit(dimensions, arguments.bottleneck, arguments.bottleneck, 1, norm=norm),
            ConvUnit(dimensions, arguments.bottleneck, features[-1], kernel, norm=norm),
        )
        self.head = convolution(dimensions, features[0], classes, 1)
        self.multiple: tuple[int, ...] = (2 ** len(features),) * dimensions

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, *spatial)`` to scores ``(N, classes, *spatial)``."""
        switches: list[Tensor] = []
        sizes: list[tuple[int, ...]] = []
        for stage in self.down:
            x = stage(x)
            sizes.append(tuple(x.shape[2:]))
            x, switch = self.pool(x)
            switches.append(switch)
        x = self.bottleneck(x)
        for number in reversed(range(len(self.up))):
            x = self.up[number](unpool(x, switches[number], sizes[number]))
        scores: Tensor = self.head(x)
        return scores


def _build(channels: int, classes: int, dimensions: int, arguments: DeconvNetArguments) -> DeconvNet:
    network = DeconvNet(channels, classes, dimensions, arguments)
    initialize(network)
    return network


DECONVNET = NetworkFamily(DeconvNetArguments, _build)
