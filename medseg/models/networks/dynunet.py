"""MONAI's DynUNet: nnU-Net's network in MONAI's own words.

Isensee 2021 (doi:10.1038/s41592-020-01008-z); Futrega 2021 (arXiv:2110.03352).
"""

from __future__ import annotations

import math
from typing import Annotated, Any

from monai.networks.nets import DynUNet
from pydantic import Field
from torch import Tensor

from medseg.config.strict import Strict
from medseg.errors import ConfigError, first_line
from medseg.models.family import NetworkFamily
from medseg.models.layers import per_axis

Positive = Annotated[int, Field(ge=1)]
Axes = Positive | tuple[Positive, ...]


class DynUNetArguments(Strict):
    """What can be set of a DynUNet."""

    features: tuple[Positive, ...] = Field(default=(32, 64, 128, 256, 320), min_length=3)
    strides: tuple[Axes, ...] | None = Field(
        default=None,
        description="stride of each stage; default 1, then 2 throughout",
    )
    kernels: Axes | tuple[Axes, ...] = 3
    residual: bool = False
    deep_supervision: bool = False
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)


class _DynUNet(DynUNet):  # type: ignore[misc]
    """Gives deep supervision as a list, each map at its own resolution; MONAI enlarges and stacks them."""

    multiple: tuple[int, ...]

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        scores: Tensor = self.output_block(self.skip_layers(x))
        return [scores, *self.heads] if self.training and self.deep_supervision else scores


def _build(channels: int, classes: int, dimensions: int, arguments: DynUNetArguments) -> _DynUNet:
    stages = len(arguments.features)
    strides = arguments.strides or (1, *[2] * (stages - 1))
    kernels = (arguments.kernels,) * stages if isinstance(arguments.kernels, int) else arguments.kernels
    for key, values in (("strides", strides), ("kernels", kernels)):
        if len(values) != stages:
            raise ConfigError(
                f"{key}: {len(values)} for {stages} stages",
                where="network dynunet",
                fix="Give one for each entry of features.",
            )
    try:
        steps = [per_axis(stride, dimensions) for stride in strides]
        sizes = [per_axis(kernel, dimensions) for kernel in kernels]
        options: dict[str, Any] = {"dropout": arguments.dropout} if arguments.dropout else {}
        network = _DynUNet(
            dimensions,
            channels,
            classes,
            kernel_size=sizes,
            strides=steps,
            upsample_kernel_size=steps[1:],
            filters=arguments.features,
            deep_supervision=arguments.deep_supervision,
            deep_supr_num=max(1, stages - 2),
            res_block=arguments.residual,
            **options,
        )
    except ValueError as error:
        raise ConfigError(
            first_line(error),
            where="network dynunet",
            fix="Correct it in network.arguments; `medseg schema train` shows them.",
        ) from error
    network.multiple = tuple(math.prod(axis) for axis in zip(*steps, strict=True))
    return network


DYNUNET = NetworkFamily(DynUNetArguments, _build)
