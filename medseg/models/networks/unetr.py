"""MONAI's UNETR: a vision transformer as encoder, its layers joined to a convolutional decoder.

Hatamizadeh 2022 (arXiv:2103.10504). Its position embedding fixes the size of its input.
"""

from __future__ import annotations

from typing import Annotated, Any

from monai.networks import nets
from pydantic import Field
from torch import Tensor

from medseg.config.strict import Strict
from medseg.errors import ConfigError, ModelError, first_line
from medseg.models.family import NetworkFamily, require

Positive = Annotated[int, Field(ge=1)]
TOKEN = 16


class UNETRArguments(Strict):
    """What can be set of a UNETR."""

    size: tuple[Positive, ...] = Field(description="spatial size of the input, multiples of 16: the plan's patch")
    width: Positive = Field(default=16, description="channels of the decoder's finest stage")
    hidden: Positive = Field(default=768, description="width of the transformer; a multiple of `heads`")
    mlp: Positive = Field(default=3072, description="width of the transformer's MLPs")
    heads: Positive = 12
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)


class _UNETR(nets.UNETR):  # type: ignore[misc]
    """Refuses another size than its own by name; MONAI fails where the position embedding is added."""

    multiple: tuple[int, ...]

    def forward(self, x_in: Tensor) -> Tensor:
        if tuple(x_in.shape[2:]) != self.multiple:
            raise ModelError(
                f"this UNETR takes patches of {list(self.multiple)}, not {list(x_in.shape[2:])}",
                fix="Set the patch to that size, or build it with another one.",
            )
        scores: Tensor = super().forward(x_in)
        return scores


def _build(channels: int, classes: int, dimensions: int, arguments: UNETRArguments) -> _UNETR:
    require("einops", extra="transformers", needed_by="network unetr")
    size = arguments.size
    if len(size) != dimensions or any(n % TOKEN for n in size):
        raise ConfigError(
            f"size: {list(size)} is not {dimensions} multiples of {TOKEN}",
            where="network unetr",
            fix=f"Write for instance {[6 * TOKEN] * dimensions}.",
        )
    options: dict[str, Any] = {"hidden_size": arguments.hidden, "mlp_dim": arguments.mlp, "num_heads": arguments.heads}
    try:
        network = _UNETR(
            in_channels=channels,
            out_channels=classes,
            img_size=size,
            feature_size=arguments.width,
            dropout_rate=arguments.dropout,
            spatial_dims=dimensions,
            **options,
        )
    except ValueError as error:
        raise ConfigError(
            first_line(error),
            where="network unetr",
            fix="Correct it in network.arguments; `medseg schema train` shows them.",
        ) from error
    for block in network.vit.blocks:
        # MONAI's blocks hold weights for cross-attention that UNETR never uses; DDP would wait for their gradients.
        block.norm_cross_attn.requires_grad_(False)
    network.multiple = size
    return network


UNETR = NetworkFamily(UNETRArguments, _build)
