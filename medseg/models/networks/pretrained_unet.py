"""A U-Net whose encoder was trained on other data: EfficientNet-Lite, EfficientNet or ResNet; the decoder is new.

The pattern of LinkNet, TernausNet (Iglovikov 2018, arXiv:1801.05746) and segmentation_models: features of a
classification network at every resolution, and a decoder with skips. At full resolution, where such networks have no
features, two convolutions of the scan itself stand in; they belong to the decoder and are trained from scratch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from medseg.config.strict import Strict
from medseg.models.decoders import Decoder, Skip
from medseg.models.efficientnet_lite import EfficientNetLite0, rename
from medseg.models.encoders import Features
from medseg.models.family import NetworkFamily
from medseg.models.layers import ConvUnit, Norm, PerAxis
from medseg.models.networks.unet import UNet
from medseg.models.pretrained import find_weights, fit_weights
from medseg.models.state_dict import read_state_dict

if TYPE_CHECKING:
    from medseg.models.monai_encoders import MonaiEncoder


Positive = Annotated[int, Field(ge=1)]
EncoderName = Literal[
    "efficientnet_lite0",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "resnet10",
    "resnet18",
    "resnet34",
    "resnet50",
]


class PretrainedUNetArguments(Strict):
    """What can be set of it."""

    encoder: EncoderName = "efficientnet_lite0"
    weights: str | None = Field(
        default="imagenet",
        description="imagenet (EfficientNets), medicalnet (ResNets), the path of a file, or null: from scratch. Read "
        "when training starts; a trained model does not need them",
    )
    download: bool = Field(default=False, description="fetch published weights that are not on this machine")
    freeze: bool = Field(default=False, description="keep the encoder as it is; train again without it to unfreeze")
    depth: Annotated[int, Field(ge=1, le=5)] = Field(
        default=5,
        description="number of stages; the coarsest has stride 2 ** depth",
    )
    features: tuple[Positive, ...] | None = Field(
        default=None, description="channels of the decoder, finest first, as many as `depth`; default 16 to 256"
    )
    blocks: Positive = Field(default=2, description="convolutions of each decoder stage")
    norm: Norm = Field(default="instance", description="normalization of the decoder; the encoder's is batch")
    skip: Skip = "concat"
    upsampling: Literal["nearest", "linear", "bed_of_nails", "transposed", "pixel_shuffle"] = "linear"
    deep_supervision: bool = False
    attention_gates: bool = False
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0, description="dropout in the decoder")

    @model_validator(mode="after")
    def _fit(self) -> PretrainedUNetArguments:
        if self.features is not None and len(self.features) != self.depth:
            raise ValueError(f"features: {len(self.features)} numbers for a depth of {self.depth}")
        known = "medicalnet" if self.encoder.startswith("resnet") else "imagenet"
        if self.weights in {"imagenet", "medicalnet"} - {known}:
            raise ValueError(f"weights: those published for {self.encoder} are {known}")
        return self


class _Encoder(nn.Module):
    """A pretrained body, and two convolutions of the scan itself in front of it as features at full resolution."""

    def __init__(self, body: nn.Module, full_resolution: nn.Module, channels: tuple[int, ...], dimensions: int) -> None:
        super().__init__()
        self.body = body
        self.full_resolution = full_resolution
        self.channels = channels
        self.strides: tuple[PerAxis, ...] = ((1,) * dimensions, *[(2,) * dimensions] * (len(channels) - 1))
        self.frozen = False

    def forward(self, x: Tensor) -> Features:
        features = [self.full_resolution(x), *self.body(x)]
        return features, [None] * len(features)

    def freeze(self, frozen: bool) -> None:
        """Keep the body's weights and batch statistics as they are, or let them learn again."""
        self.frozen = frozen
        self.body.requires_grad_(not frozen)
        self.train(self.training)

    def train(self, mode: bool = True) -> _Encoder:
        super().train(mode)
        if self.frozen:
            self.body.eval()
        return self


class PretrainedUNet(UNet):
    """The U-Net with such an encoder."""

    encoder: _Encoder

    def __init__(self, channels: int, classes: int, dimensions: int, arguments: PretrainedUNetArguments) -> None:
        body = _body(arguments.encoder, dimensions, channels, arguments.depth)
        features = arguments.features or tuple(min(16 * 2**k, 256) for k in range(arguments.depth))
        first = nn.Sequential(
            ConvUnit(dimensions, channels, features[0], norm=arguments.norm),
            ConvUnit(dimensions, features[0], features[0], norm=arguments.norm),
        )
        encoder = _Encoder(body, first, (features[0], *body.channels), dimensions)
        decoder = Decoder(
            dimensions,
            classes,
            encoder.channels,
            strides=encoder.strides,
            kernels=[(3,) * dimensions] * arguments.depth,
            blocks=[arguments.blocks] * arguments.depth,
            features=features,
            skip=arguments.skip,
            upsampling=arguments.upsampling,
            attention_gates=arguments.attention_gates,
            deep_supervision=arguments.deep_supervision,
            norm=arguments.norm,
            dropout=arguments.dropout,
        )
        super().__init__(encoder, decoder, deep_supervision=arguments.deep_supervision)
        self.arguments = arguments
        encoder.freeze(arguments.freeze)

    def load_pretrained(self) -> None:
        """Read the encoder's weights, as the arguments name them; the registry calls this when training starts.

        - raises `ModelError`: when the file is not there, cannot be read or is of another network; it names the file to
          place.
        """
        name, weights = self.arguments.encoder, self.arguments.weights
        if weights is None:
            return
        path = find_weights(name, weights, download=self.arguments.download)
        content = read_state_dict(path)
        own = self.encoder.body.state_dict()
        if any(key in own for key in content):
            renamed = content
        elif name == "efficientnet_lite0":
            renamed = rename(content)
        else:
            from medseg.models.monai_encoders import rename_efficientnet, rename_resnet

            renamed = rename_resnet(content) if name.startswith("resnet") else rename_efficientnet(content, own)
        with torch.no_grad():
            self.encoder.body.load_state_dict(fit_weights(renamed, own, where=path))


def _body(name: str, dimensions: int, channels: int, depth: int) -> EfficientNetLite0 | MonaiEncoder:
    if name == "efficientnet_lite0":
        return EfficientNetLite0(dimensions, channels, depth)
    from medseg.models.monai_encoders import MonaiEncoder

    return MonaiEncoder(name, dimensions, channels, depth)


PRETRAINED_UNET = NetworkFamily(PretrainedUNetArguments, PretrainedUNet)
