"""nnU-Net's residual-encoder presets ResEnc M and L: the U-Net with residual blocks 1, 3, 4, 6, 6, 6 deep.

Isensee 2024 (arXiv:2404.09556). M and L are one network under two budgets, 8 and 24 GB of GPU memory: the budget buys
a larger patch, and the patch decides the number of stages, strides and kernels. Both names are kept so that a plan or a
card tells which budget it was made for.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from medseg.config.strict import Strict
from medseg.models.family import NetworkFamily
from medseg.models.networks.unet import Axes, UNet, UNetArguments, build_unet


class ResEncArguments(Strict):
    """What can be set of it; stages, strides and kernels follow from the plan's patch and spacing."""

    stages: Annotated[int, Field(ge=2)] = Field(default=6, description="6 for a patch of 128 voxels, 8 for 512 pixels")
    width: Annotated[int, Field(ge=1)] = Field(
        default=32,
        description="channels at full resolution, doubled at each stage",
    )
    strides: tuple[Axes, ...] | None = None
    kernels: Axes | tuple[Axes, ...] = 3
    deep_supervision: bool = True


def _build(channels: int, classes: int, dimensions: int, arguments: ResEncArguments) -> UNet:
    most = {2: 512, 3: 320}[dimensions]
    return build_unet(
        channels,
        classes,
        dimensions,
        UNetArguments(
            features=tuple(min(arguments.width * 2**k, most) for k in range(arguments.stages)),
            strides=arguments.strides,
            kernels=arguments.kernels,
            blocks=tuple((1, 3, 4, 6)[min(k, 3)] for k in range(arguments.stages)),
            decoder_blocks=1,
            encoder="residual",
            deep_supervision=arguments.deep_supervision,
        ),
    )


RESENC_M = NetworkFamily(ResEncArguments, _build)
RESENC_L = NetworkFamily(ResEncArguments, _build)
