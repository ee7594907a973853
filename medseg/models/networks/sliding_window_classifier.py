"""One class for the center of a window, slid over the scan; and the same weights run over the whole scan at once.

Windows: Ciresan 2012 (NIPS, membranes in electron microscopy), Farabet 2013 (doi:10.1109/TPAMI.2012.231), Pinheiro &
Collobert 2014 (ICML). Whole scan: shift and stitch, Sermanet 2014 (arXiv:1312.6229) and Pinheiro 2014; dilation in the
place of stride, Giusti 2013 (arXiv:1302.1700) and Long 2015 (doi:10.1109/CVPR.2015.7298965, section 3.2).
"""

from __future__ import annotations

import copy
import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from medseg.config.strict import Strict
from medseg.models.family import NetworkFamily
from medseg.models.layers import SLOPE, convolution, initialize

Mode = Literal["sliding", "stitched", "dilated"]
KERNEL = 3
POOL = 2


class SlidingWindowArguments(Strict):
    """What can be set of a sliding-window classifier."""

    features: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(16, 32, 48), min_length=1, description="channels of each convolution; max pooling by 2 after each"
    )
    hidden: int = Field(default=64, ge=1, description="channels of the layer that covers the whole window")
    mode: Mode = Field(
        default="sliding",
        description="sliding: window by window; stitched: the whole scan, once for each shift; dilated: once",
    )
    windows_at_once: int = Field(default=4096, ge=1, description="about how many windows are classified together")


class SlidingWindowClassifier(nn.Module):
    """Classifies each voxel from the window around it; outside the scan there are zeros.

    The classifier is: (3x3 convolution, leaky ReLU, max pooling by 2) for each entry of `features`, a 3x3 convolution
    that sees what is left of the window, and a 1x1 convolution to the classes. No convolution pads, so that a window is
    all that a score depends on, and all three modes give the same scores.

    Attributes
    ----------
    window : int
        Width of the window along each axis: 38 for three convolutions. It reaches ``window // 2`` before its center.
    multiple : tuple of int
        1: any size will do.
    """

    def __init__(self, channels: int, classes: int, dimensions: int, arguments: SlidingWindowArguments) -> None:
        super().__init__()
        inputs = (channels, *arguments.features)
        self.convolutions = nn.ModuleList(convolution(dimensions, n, m, KERNEL) for n, m in itertools.pairwise(inputs))
        self.hidden = convolution(dimensions, inputs[-1], arguments.hidden, KERNEL)
        self.head = convolution(dimensions, arguments.hidden, classes, 1)
        self.classes = classes
        self.mode: Mode = arguments.mode
        self.windows_at_once = arguments.windows_at_once
        self.dimensions = dimensions
        self.multiple: tuple[int, ...] = (1,) * dimensions
        self.step = POOL ** len(arguments.features)
        self.window = KERNEL
        for _ in arguments.features:
            self.window = POOL * self.window + KERNEL - 1

    def twin(self, mode: Mode) -> SlidingWindowClassifier:
        """Return the same network in another mode; the weights are shared, not copied."""
        twin = copy.copy(self)
        twin.mode = mode
        return twin

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, *spatial)`` to scores ``(N, classes, *spatial)``."""
        before = self.window // 2
        padded = functional.pad(x, (before, self.window - 1 - before) * self.dimensions)
        if self.mode == "sliding":
            return self._slide(padded)
        return self._stitch(padded) if self.mode == "stitched" else self._classify(padded, dilate=True)

    def _classify(self, x: Tensor, *, dilate: bool) -> Tensor:
        """Run the classifier without padding: ``window`` voxels become 1.

        Strided, further windows start `step` voxels apart. Dilated, pooling keeps stride 1 and every layer after it
        takes its inputs as far apart as they lie in the scan, so that windows start at every voxel.
        """
        pool: Callable[..., Tensor] = functional.max_pool2d if self.dimensions == 2 else functional.max_pool3d
        dilation = 1
        for layer in self.convolutions:
            x = functional.leaky_relu(self._convolve(layer, x, dilation), SLOPE)
            x = pool(x, POOL, stride=1, dilation=dilation) if dilate else pool(x, POOL)
            dilation *= POOL if dilate else 1
        x = functional.leaky_relu(self._convolve(self.hidden, x, dilation), SLOPE)
        return self._convolve(self.head, x, 1)

    def _convolve(self, layer: nn.Module, x: Tensor, dilation: int) -> Tensor:
        convolve: Callable[..., Tensor] = functional.conv2d if self.dimensions == 2 else functional.conv3d
        return convolve(x, layer.weight, layer.bias, dilation=dilation)

    def _slide(self, padded: Tensor) -> Tensor:
        sizes = [n - self.window + 1 for n in padded.shape[2:]]
        rows = max(1, self.windows_at_once // math.prod(sizes[1:]))
        slabs = []
        for first in range(0, sizes[0], rows):
            count = min(rows, sizes[0] - first)
            windows = padded[:, :, first : first + count + self.window - 1]
            for axis in range(self.dimensions):
                windows = windows.unfold(axis + 2, self.window, 1)
            # (N, C, *places, *window) to one window a sample.
            places = tuple(range(2, 2 + self.dimensions))
            inside = tuple(range(2 + self.dimensions, 2 + 2 * self.dimensions))
            windows = windows.permute(0, *places, 1, *inside).flatten(0, self.dimensions)
            scores = self._classify(windows, dilate=False)
            slabs.append(scores.reshape(padded.shape[0], count, *sizes[1:], -1).movedim(-1, 1))
        return torch.cat(slabs, dim=2)

    def _stitch(self, padded: Tensor) -> Tensor:
        sizes = [n - self.window + 1 for n in padded.shape[2:]]
        result = padded.new_zeros(padded.shape[0], self.classes, *sizes)
        for shift in itertools.product(*(range(min(self.step, n)) for n in sizes)):
            cut, place = [slice(None)] * 2, [slice(None)] * 2
            for start, size in zip(shift, sizes, strict=True):
                count = math.ceil((size - start) / self.step)
                cut.append(slice(start, start + self.window + (count - 1) * self.step))
                place.append(slice(start, None, self.step))
            result[tuple(place)] = self._classify(padded[tuple(cut)], dilate=False).to(result.dtype)
        return result


@dataclass(frozen=True)
class Cost:
    """What one scan costs in one mode: floating-point operations, and seconds on the machine at hand."""

    operations: int
    seconds: float


def cost(network: SlidingWindowClassifier, size: tuple[int, ...], *, channels: int = 1) -> dict[Mode, Cost]:
    """Measure what the same map costs in each mode.

    - `network`: in evaluation mode; where its weights are is where it is measured.
    - returns: for ``sliding``, ``stitched`` and ``dilated``; divide two for the ratio.
    """
    x = torch.zeros(1, channels, *size, device=next(network.parameters()).device)
    result: dict[Mode, Cost] = {}
    modes: tuple[Mode, ...] = ("dilated", "stitched", "sliding")
    with torch.inference_mode():
        for mode in modes:
            twin = network.twin(mode)
            with FlopCounterMode(display=False) as counter:
                twin(x)
            start = time.perf_counter()
            twin(x)
            if x.is_cuda:
                torch.cuda.synchronize()
            result[mode] = Cost(counter.get_total_flops(), time.perf_counter() - start)
    return result


def _build(channels: int, classes: int, dimensions: int, arguments: SlidingWindowArguments) -> SlidingWindowClassifier:
    network = SlidingWindowClassifier(channels, classes, dimensions, arguments)
    initialize(network)
    return network


SLIDING_WINDOW_CLASSIFIER = NetworkFamily(SlidingWindowArguments, _build)
