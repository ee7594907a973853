"""A classification network made fully convolutional, its coarse scores fused and enlarged: FCN-32s, 16s and 8s.

Long, Shelhamer & Darrell 2015 (doi:10.1109/CVPR.2015.7298965). The encoder is VGG's pattern (Simonyan & Zisserman 2015,
arXiv:1409.1556): convolutions, then max pooling by 2, stage after stage.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

from pydantic import Field, model_validator
from torch import Tensor, nn

from medseg.config.strict import Strict
from medseg.models.family import NetworkFamily
from medseg.models.layers import ConvUnit, Norm, convolution, initialize, max_pooling
from medseg.models.upsampling import Upsampling

Positive = Annotated[int, Field(ge=1)]


class FcnArguments(Strict):
    """What can be set of an FCN."""

    features: tuple[Positive, ...] = Field(
        default=(32, 64, 128, 256, 256), min_length=1, description="channels of each stage; max pooling by 2 after each"
    )
    blocks: Positive = Field(default=2, description="convolutions of each stage")
    head: str = Field(
        default="8s",
        description="stride of the finest logits fused: with five stages 32s, 16s or 8s (finer ones work as well)",
    )
    upsampling: Literal["nearest", "linear", "bed_of_nails", "transposed", "pixel_shuffle"] = Field(
        default="linear", description="max_unpool is not possible: logits have no switches"
    )
    norm: Norm = "instance"
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _fit(self) -> FcnArguments:
        possible = [f"{2 ** (k + 1)}s" for k in range(len(self.features))]
        if re.sub(r"^0+", "", self.head) not in possible:
            raise ValueError(f"head: {self.head} with {len(self.features)} stages; it can be {', '.join(possible)}")
        return self


class FullyConvolutional(nn.Module):
    """Scores at each coarse stage; the coarsest enlarged by 2 and added to the next, and the sum to full resolution.

    Attributes
    ----------
    multiple : tuple of int
        2 to the number of stages: 32 with five.
    """

    def __init__(self, channels: int, classes: int, dimensions: int, arguments: FcnArguments) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        inputs = channels
        for outputs in arguments.features:
            units = [
                ConvUnit(
                    dimensions,
                    inputs if k == 0 else outputs,
                    outputs,
                    norm=arguments.norm,
                    dropout=arguments.dropout,
                )
                for k in range(arguments.blocks)
            ]
            stages.append(nn.Sequential(*units, max_pooling(dimensions, 2)))
            inputs = outputs
        self.stages = nn.ModuleList(stages)
        finest = int(arguments.head.removesuffix("s"))
        self.first = int(math.log2(finest)) - 1
        fused = arguments.features[self.first :]
        # heads.0 is the finest; enlarge.0 leads to full resolution, enlarge.k from the scores of heads.k to heads.k-1.
        self.heads = nn.ModuleList(convolution(dimensions, n, classes, 1) for n in fused)
        steps = [finest, *[2] * (len(fused) - 1)]
        self.enlarge = nn.ModuleList(
            Upsampling(arguments.upsampling, dimensions, classes, classes, step) for step in steps
        )
        self.multiple: tuple[int, ...] = (2 ** len(stages),) * dimensions

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, *spatial)`` to scores ``(N, classes, *spatial)``."""
        scores: list[Tensor] = []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number >= self.first:
                scores.append(self.heads[number - self.first](x))
        result = scores[-1]
        for number in reversed(range(1, len(scores))):
            result = self.enlarge[number](result) + scores[number - 1]
        full: Tensor = self.enlarge[0](result)
        return full


def _build(channels: int, classes: int, dimensions: int, arguments: FcnArguments) -> FullyConvolutional:
    network = FullyConvolutional(channels, classes, dimensions, arguments)
    initialize(network)
    for part in network.enlarge:
        if isinstance(part, Upsampling):
            part.start_as_identity()
    return network


FCN = NetworkFamily(FcnArguments, _build)
