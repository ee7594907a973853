"""MONAI's V-Net: residual stages of 5x5x5 convolutions; the network the Dice loss came with.

Milletari 2016 (arXiv:1606.04797). Its widths (16 to 256) are fixed.
"""

from __future__ import annotations

from monai.networks.nets import VNet
from pydantic import Field
from torch import nn

from medseg.config.strict import Strict
from medseg.errors import ConfigError
from medseg.models.family import NetworkFamily


class VNetArguments(Strict):
    """What can be set of a V-Net."""

    dropout: float = Field(default=0.5, ge=0.0, lt=1.0)


def _build(channels: int, classes: int, dimensions: int, arguments: VNetArguments) -> nn.Module:
    if 16 % channels:
        raise ConfigError(
            f"vnet repeats its channels to 16, which {channels} does not divide",
            where="network vnet",
            fix="Use 1, 2, 4, 8 or 16 channels, or another network.",
        )
    rate = arguments.dropout
    network: nn.Module = VNet(
        spatial_dims=dimensions,
        in_channels=channels,
        out_channels=classes,
        dropout_prob_down=rate or None,
        dropout_prob_up=(rate or None, rate),
        dropout_dim=dimensions,
    )
    network.multiple = (16,) * dimensions  # type: ignore[assignment]
    return network


VNET = NetworkFamily(VNetArguments, _build)
