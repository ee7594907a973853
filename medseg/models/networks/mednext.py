"""MONAI's MedNeXt: ConvNeXt blocks throughout a residual U-Net.

Roy 2023 (arXiv:2303.09975).
"""

from __future__ import annotations

from typing import Annotated

from monai.networks.nets import MedNeXt
from pydantic import Field
from torch import Tensor

from medseg.config.strict import Strict
from medseg.errors import ConfigError
from medseg.models.family import NetworkFamily

Positive = Annotated[int, Field(ge=1)]


class MedNeXtArguments(Strict):
    """What can be set of a MedNeXt; the defaults are the paper's S."""

    width: Positive = Field(default=32, description="channels at full resolution, doubled at each stage")
    kernel: Positive = Field(default=3, description="size of the convolutions, an odd number; 3 or 5 in the paper")
    blocks_down: tuple[Positive, ...] = Field(default=(2, 2, 2, 2), min_length=1)
    blocks_bottleneck: Positive = 2
    expansion_down: Positive | tuple[Positive, ...] = 2
    expansion_bottleneck: Positive = 2
    expansion_up: Positive | tuple[Positive, ...] = 2
    deep_supervision: bool = False


class _MedNeXt(MedNeXt):  # type: ignore[misc]
    multiple: tuple[int, ...]

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        scores: Tensor | tuple[Tensor, ...] = super().forward(x)
        return list(scores) if isinstance(scores, tuple) else scores


def _build(channels: int, classes: int, dimensions: int, arguments: MedNeXtArguments) -> _MedNeXt:
    stages = len(arguments.blocks_down)
    for key in ("expansion_down", "expansion_up"):
        value = getattr(arguments, key)
        if not isinstance(value, int) and len(value) != stages:
            raise ConfigError(
                f"{key}: {len(value)} for {stages} stages",
                where="network mednext",
                fix="Give one number, or one for each stage.",
            )
    if arguments.kernel % 2 == 0:
        raise ConfigError(
            "kernel: a kernel of even size cannot keep the size of its input",
            where="network mednext",
            fix="Use 3, 5 or 7.",
        )
    network = _MedNeXt(
        spatial_dims=dimensions,
        init_filters=arguments.width,
        in_channels=channels,
        out_channels=classes,
        encoder_expansion_ratio=arguments.expansion_down,
        decoder_expansion_ratio=arguments.expansion_up,
        bottleneck_expansion_ratio=arguments.expansion_bottleneck,
        kernel_size=arguments.kernel,
        deep_supervision=arguments.deep_supervision,
        use_residual_connection=True,
        blocks_down=arguments.blocks_down,
        blocks_bottleneck=arguments.blocks_bottleneck,
        blocks_up=arguments.blocks_down[::-1],
    )
    network.multiple = (2**stages,) * dimensions
    return network


MEDNEXT = NetworkFamily(MedNeXtArguments, _build)
