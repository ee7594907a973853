"""MONAI's ResNet and EfficientNet as encoders, cut into resolutions.

He 2016 (arXiv:1512.03385), its 3D weights MedicalNet, Chen 2019 (arXiv:1904.00625); EfficientNet, Tan & Le 2019
(arXiv:1905.11946), its weights ImageNet's.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from monai.networks.nets.efficientnet import EfficientNetBNFeatures
from monai.networks.nets.resnet import ResNetFeatures
from torch import Tensor, nn
from torch.nn import functional


class MonaiEncoder(nn.Module):
    """One of MONAI's classification networks, without its head, down to a chosen depth.

    - `name`: ``resnet10``, ``resnet18``, ..., or ``efficientnet_b0``, ..., ``efficientnet_b7``.
    - `dimensions`, `inputs`: spatial dimensions and input channels.
    - `depth`: how many resolutions, 1 to 5: down to stride ``2 ** depth``.

    Attributes
    ----------
    channels : tuple of int
        Of the features at stride 2, 4, ...
    """

    def __init__(self, name: str, dimensions: int, inputs: int, depth: int = 5) -> None:
        super().__init__()
        cut = _cut_resnet if name.startswith("resnet") else _cut_efficientnet
        self.stages = nn.ModuleDict()
        for number, stage in enumerate(cut(name, dimensions, inputs)[:depth]):
            self.stages[f"stride_{2 ** (number + 1)}"] = stage
        self.channels = self._channels(dimensions, inputs)

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(N, inputs, *spatial)``, multiples of ``2 ** depth``, to features at stride 2, 4, ..."""
        features: list[Tensor] = []
        for stage in self.stages.values():
            x = stage(x)
            features.append(x)
        return features

    def _channels(self, dimensions: int, inputs: int) -> tuple[int, ...]:
        """Ask the network itself, on the smallest input, in evaluation mode so that no statistics are kept."""
        size = 2 ** len(self.stages)
        self.eval()
        with torch.no_grad():
            channels = tuple(f.shape[1] for f in self(torch.zeros(1, inputs, *[size] * dimensions)))
        self.train()
        return channels


class PadShortcut(nn.Module):
    """The shortcut of a block where channels grow: every `stride`-th voxel, zeros for the new channels (He 2016, A).

    MONAI's takes it from ``out.data``, which stops the gradient and does not export. It has no weights.
    """

    def __init__(self, outputs: int, stride: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, *spatial)`` to ``(N, outputs, *spatial / stride)``."""
        x = x[(slice(None), slice(None), *[slice(None, None, self.stride)] * (x.ndim - 2))]
        return functional.pad(x, (0, 0) * (x.ndim - 2) + (0, self.outputs - x.shape[1]))


def _cut_resnet(name: str, dimensions: int, inputs: int) -> list[nn.Module]:
    network: Any = ResNetFeatures(name, pretrained=False, spatial_dims=dimensions, in_channels=inputs)
    for block in network.modules():
        if isinstance(shortcut := getattr(block, "downsample", None), partial):
            block.downsample = PadShortcut(shortcut.keywords["planes"], shortcut.keywords["stride"])
    return [
        nn.Sequential(_named(conv1=network.conv1, bn1=network.bn1, act=network.act)),
        nn.Sequential(_named(maxpool=network.maxpool, layer1=network.layer1)),
        nn.Sequential(_named(layer2=network.layer2)),
        nn.Sequential(_named(layer3=network.layer3)),
        nn.Sequential(_named(layer4=network.layer4)),
    ]


def _cut_efficientnet(name: str, dimensions: int, inputs: int) -> list[nn.Module]:
    network: Any = EfficientNetBNFeatures(
        name.replace("_", "-"), pretrained=False, spatial_dims=dimensions, in_channels=inputs
    )
    network.set_swish(memory_efficient=False)  # the memory-efficient one does not export
    stages: list[nn.Module] = []
    first = 0
    for end in network.extract_stacks:
        parts: dict[str, nn.Module] = {}
        if not stages:
            parts = {
                "padding": network._conv_stem_padding,
                "_conv_stem": network._conv_stem,
                "_bn0": network._bn0,
                "swish": network._swish,
            }
        parts |= {f"stack_{number}": network._blocks[number] for number in range(first, end)}
        stages.append(nn.Sequential(_named(**parts)))
        first = end
    return stages


def _named(**parts: nn.Module) -> OrderedDict[str, nn.Module]:
    return OrderedDict(parts)


def rename_resnet(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give MedicalNet's weights the names they have here; without those of its segmentation head."""
    result: dict[str, Tensor] = {}
    stages = {"conv1": 2, "bn1": 2, "layer1": 4, "layer2": 8, "layer3": 16, "layer4": 32}
    for key, value in weights.items():
        name = key.removeprefix("module.")
        if stride := stages.get(name.partition(".")[0]):
            result[f"stages.stride_{stride}.{name}"] = value
    return result


def rename_efficientnet(weights: Mapping[str, Tensor], names: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the weights of `efficientnet_pytorch` the names they have here, which are those of `names`.

    There blocks are counted through (``_blocks.3``), in MONAI by stack and through (``_blocks.2.3``).
    """
    result: dict[str, Tensor] = {}
    for name in names:
        source = re.sub(r"^stages\.stride_\d+\.", "", name)
        source = re.sub(r"^stack_\d+\.(\d+)\.", r"_blocks.\1.", source)
        if source in weights:
            result[name] = weights[source]
    return result
