"""U-Net in the forms nnU-Net made standard, with every choice of its architectures open: skips, upsampling, encoder.

Ronneberger 2015 (doi:10.1007/978-3-319-24574-4_28); nnU-Net's configuration, Isensee 2021
(doi:10.1038/s41592-020-01008-z) and ResEnc, Isensee 2024 (arXiv:2404.09556); deep supervision, Lee 2015
(arXiv:1409.5185); attention gates, Oktay 2018 (arXiv:1804.03999); additive skips as in LinkNet, Chaurasia 2017
(arXiv:1707.03718).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from medseg.config.strict import Strict
from medseg.errors import ConfigError
from medseg.models.decoders import Decoder, Skip
from medseg.models.encoders import Encoder
from medseg.models.family import NetworkFamily
from medseg.models.layers import Norm, PerAxis, initialize, per_axis
from medseg.models.upsampling import Upsampling, UpsamplingName

Positive = Annotated[int, Field(ge=1)]
Axes = Positive | tuple[Positive, ...]


class UNetArguments(Strict):
    """What can be set of a U-Net."""

    features: tuple[Positive, ...] = Field(
        default=(32, 64, 128, 256, 320), min_length=2, description="channels of each stage, finest first"
    )
    strides: tuple[Axes, ...] | None = Field(
        default=None, description="stride of each stage, a number or one for each axis; default 1, then 2 throughout"
    )
    kernels: Axes | tuple[Axes, ...] = Field(
        default=3, description="one number for all, or an entry for each stage; odd"
    )
    blocks: Positive | tuple[Positive, ...] | None = Field(
        default=None,
        description="convolutions (plain, default 2) or residual blocks (residual, default 1, 3, 4, 6, 6, ...) a stage",
    )
    decoder_blocks: Positive | tuple[Positive, ...] | None = Field(
        default=None, description="convolutions of each decoder stage, finest first; default 2, with residual encoder 1"
    )
    encoder: Literal["plain", "residual"] = "plain"
    norm: Norm = "instance"
    skip: Skip = "concat"
    upsampling: UpsamplingName = "transposed"
    downsampling: Literal["strided", "max_pool"] | None = Field(
        default=None, description="default strided; max_pool where upsampling is max_unpool"
    )
    deep_supervision: bool = False
    attention_gates: bool = False
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)


class UNet(nn.Module):
    """An encoder, a decoder, and skips between their stages of equal resolution, with fresh weights.

    - `encoder`: gives the features of each stage and their switches; has ``channels`` and ``strides``.

    Attributes
    ----------
    multiple : tuple of int
        Each spatial size must be a multiple of it: the product of all strides along that axis.
    """

    def __init__(self, encoder: nn.Module, decoder: Decoder, *, deep_supervision: bool = False) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.deep_supervision = deep_supervision
        strides: Sequence[PerAxis] = encoder.strides  # type: ignore[assignment]
        self.multiple: tuple[int, ...] = tuple(math.prod(axis) for axis in zip(*strides, strict=True))
        initialize(self)
        for part in self.modules():
            if isinstance(part, Upsampling):
                part.start_as_nearest()

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """``(N, channels, *spatial)`` to scores ``(N, classes, *spatial)``, or a list of them, finest first."""
        features, switches = self.encoder(x)
        scores: list[Tensor] = self.decoder(features, switches, every_stage=self.deep_supervision and self.training)
        return scores if self.deep_supervision and self.training else scores[0]


def build_unet(channels: int, classes: int, dimensions: int, arguments: UNetArguments) -> UNet:
    """Build a U-Net from its checked arguments."""
    stages = len(arguments.features)
    strides = _strides(arguments, dimensions)
    kernels = _kernels(arguments, dimensions)
    residual = arguments.encoder == "residual"
    downsampling = arguments.downsampling or ("max_pool" if arguments.upsampling == "max_unpool" else "strided")
    if arguments.upsampling == "max_unpool" and downsampling != "max_pool":
        raise _wrong("downsampling", "upsampling by max_unpool needs the switches of max_pool", "Omit it.")
    default_blocks = tuple((1, 3, 4, 6)[min(k, 3)] if residual else 2 for k in range(stages))
    encoder = Encoder(
        dimensions,
        channels,
        arguments.features,
        strides=strides,
        kernels=kernels,
        blocks=_per_stage("blocks", arguments.blocks or default_blocks, stages),
        kind=arguments.encoder,
        downsampling=downsampling,
        norm=arguments.norm,
        dropout=arguments.dropout,
    )
    decoder = Decoder(
        dimensions,
        classes,
        encoder.channels,
        strides=strides,
        kernels=kernels,
        blocks=_per_stage("decoder_blocks", arguments.decoder_blocks or (1 if residual else 2), stages - 1),
        skip=arguments.skip,
        upsampling=arguments.upsampling,
        attention_gates=arguments.attention_gates,
        deep_supervision=arguments.deep_supervision,
        norm=arguments.norm,
        dropout=arguments.dropout,
    )
    return UNet(encoder, decoder, deep_supervision=arguments.deep_supervision)


def _strides(arguments: UNetArguments, dimensions: int) -> tuple[PerAxis, ...]:
    stages = len(arguments.features)
    strides = arguments.strides or (1, *[2] * (stages - 1))
    if len(strides) != stages:
        raise _wrong("strides", f"{len(strides)} strides for {stages} stages", "Give one for each entry of features.")
    result = _all_axes("strides", strides, dimensions)
    if max(result[0]) > 1:
        raise _wrong(
            "strides",
            "the stride of the first level must be 1",
            "The first level is at full resolution.",
        )
    return result


def _kernels(arguments: UNetArguments, dimensions: int) -> tuple[PerAxis, ...]:
    stages = len(arguments.features)
    kernels = arguments.kernels
    if isinstance(kernels, int):
        kernels = (kernels,) * stages
    if len(kernels) != stages:
        raise _wrong("kernels", f"{len(kernels)} kernels for {stages} stages", "Give one for each entry of features.")
    result = _all_axes("kernels", kernels, dimensions)
    if any(size % 2 == 0 for kernel in result for size in kernel):
        raise _wrong("kernels", "a kernel of even size cannot keep the size of its input", "Use odd sizes.")
    return result


def _all_axes(key: str, values: Sequence[int | Sequence[int]], dimensions: int) -> tuple[PerAxis, ...]:
    try:
        return tuple(per_axis(value, dimensions) for value in values)
    except ValueError as error:
        raise _wrong(key, str(error), "Give one number, or one for each axis.") from error


def _per_stage(key: str, value: int | Sequence[int], stages: int) -> tuple[int, ...]:
    if isinstance(value, int):
        return (value,) * stages
    if len(value) != stages:
        raise _wrong(key, f"{len(value)} numbers for {stages} stages", "Give one number, or one for each stage.")
    return tuple(value)


def _wrong(key: str, what: str, fix: str) -> ConfigError:
    return ConfigError(f"{key}: {what}", where="network unet", fix=fix)


UNET = NetworkFamily(UNetArguments, build_unet)
