"""Methods to go from a coarse grid to a finer one, each a named part of every decoder here."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from medseg.models.layers import PerAxis, convolution, per_axis

UpsamplingName = Literal["nearest", "linear", "bed_of_nails", "max_unpool", "transposed", "pixel_shuffle"]


def transposed_size(
    size: int, kernel: int, *, stride: int = 1, padding: int = 0, output_padding: int = 0, dilation: int = 1
) -> int:
    """Length of an axis after a transposed convolution.

    ``(size - 1) * stride`` steps carry the kernel, which covers ``dilation * (kernel - 1) + 1`` at its last step;
    `padding` is cut off at both ends and `output_padding` is added at the far end, to choose among the
    ``stride`` sizes a strided convolution maps to the same size (Dumoulin & Visin 2016, relationship 14).

    - `kernel`, `stride`, `padding`, `output_padding`, `dilation`: as in ``torch.nn.ConvTranspose2d``;
      ``output_padding`` is smaller than `stride` or `dilation`.
    - returns: may be zero or less, where `padding` cuts everything away.

    Examples
    --------
    >>> transposed_size(2, 2), transposed_size(20, 2, stride=2), transposed_size(7, 3, stride=2, padding=1)
    (3, 40, 13)
    """
    return (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1


def transposed_by_definition(image: Tensor, kernel: Tensor, stride: int = 1) -> Tensor:
    """Transposed convolution as it is defined: ``O(x, y) = sum over i, j of I(i, j) K(x - i s, y - j s)``.

    Every value of the image stamps the kernel, times itself, onto the output, and stamps that overlap add up. This is
    the reference the tests hold `torch.nn.ConvTranspose2d` to; networks use PyTorch's.

    - returns: ``(transposed_size(X, K, stride=stride), transposed_size(Y, L, stride=stride))``.

    Examples
    --------
    >>> transposed_by_definition(torch.tensor([[0, 1], [2, 3]]), torch.tensor([[4, 1], [2, 3]])).tolist()
    [[0, 4, 1], [8, 16, 6], [4, 12, 9]]
    """
    sizes = [transposed_size(n, k, stride=stride) for n, k in zip(image.shape, kernel.shape, strict=True)]
    result = torch.zeros(sizes, dtype=image.dtype)
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            x, y = i * stride, j * stride
            result[x : x + kernel.shape[0], y : y + kernel.shape[1]] += image[i, j] * kernel
    return result


def nearest(x: Tensor, stride: Sequence[int]) -> Tensor:
    """Repeat every value `stride` times along each axis: ``(N, C, *spatial)`` to ``(N, C, *spatial * stride)``.

    Examples
    --------
    >>> nearest(torch.tensor([[[[1, 2], [3, 4]]]]), (2, 2))[0, 0].tolist()
    [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    """
    for axis, step in enumerate(stride, start=2):
        if step > 1:
            x = x.repeat_interleave(step, dim=axis)
    return x


def bed_of_nails(x: Tensor, stride: Sequence[int]) -> Tensor:
    """Put every value at the first corner of its block of `stride`, zeros elsewhere.

    ``(N, C, *spatial)`` to ``(N, C, *spatial * stride)``.

    Examples
    --------
    >>> bed_of_nails(torch.tensor([[[[1, 2], [3, 4]]]]), (2, 2))[0, 0].tolist()
    [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]]
    """
    for axis, step in enumerate(stride, start=2):
        if step > 1:
            beside = x.unsqueeze(axis + 1)
            zeros = torch.zeros_like(beside)
            x = torch.cat([beside, *[zeros] * (step - 1)], dim=axis + 1).flatten(axis, axis + 1)
    return x


def unpool(x: Tensor, switches: Tensor, size: Sequence[int]) -> Tensor:
    """Put every value where max pooling found its maximum, zeros elsewhere (Zeiler 2014; Noh 2015).

    - `switches`: ``(N, C, *pooled)``, int64: place of each maximum, counted through one channel of the larger grid.
    - returns: ``(N, C, *size)``. Written as a scatter, because that is what ONNX has.
    """
    flat = torch.zeros(x.shape[0], x.shape[1], math.prod(size), dtype=x.dtype, device=x.device)
    return flat.scatter(2, switches.flatten(2), x.flatten(2)).reshape(*x.shape[:2], *size)


def pixel_shuffle(x: Tensor, stride: Sequence[int]) -> Tensor:
    """Turn channels into space: ``(N, C * prod(stride), *spatial)`` to ``(N, C, *spatial * stride)`` (Shi 2016).

    ``torch.pixel_shuffle`` for any number of axes and a stride of its own along each.
    """
    dimensions = len(stride)
    x = x.reshape(x.shape[0], -1, *stride, *x.shape[2:])
    order = [0, 1]
    for axis in range(dimensions):
        order += [2 + dimensions + axis, 2 + axis]
    x = x.permute(order)
    for axis in range(2, 2 + dimensions):
        x = x.flatten(axis, axis + 1)
    return x


class Upsampling(nn.Module):
    """One step of a decoder: `inputs` channels on a coarse grid to `outputs` channels on a grid `stride` times finer.

    - `name`: ``nearest``, ``linear``, ``bed_of_nails``, ``max_unpool`` (each after a 1x1 convolution to `outputs`
      channels, on the coarse grid, where it is cheapest), ``transposed`` (kernel = stride, so that no output is covered
      more often than another) or ``pixel_shuffle`` (started as nearest by equal weights, Aitken 2017).
    - `stride`: how much finer, one number or one for each axis.
    """

    def __init__(
        self, name: UpsamplingName, dimensions: int, inputs: int, outputs: int, stride: int | Sequence[int]
    ) -> None:
        super().__init__()
        self.name = name
        self.stride: PerAxis = per_axis(stride, dimensions)
        if name == "transposed":
            layer: Callable[..., nn.Module] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}[dimensions]
            self.conv = layer(inputs, outputs, self.stride, self.stride)
        else:
            block = math.prod(self.stride) if name == "pixel_shuffle" else 1
            self.conv = convolution(dimensions, inputs, outputs * block, 1)

    def forward(self, x: Tensor, switches: Tensor | None = None, size: Sequence[int] | None = None) -> Tensor:
        """``(N, inputs, *spatial)`` to ``(N, outputs, *spatial * stride)``; `max_unpool` needs switches and size."""
        x = self.conv(x)
        if self.name == "nearest":
            return functional.interpolate(x, scale_factor=tuple(float(s) for s in self.stride), mode="nearest")
        if self.name == "linear":
            mode = "bilinear" if len(self.stride) == 2 else "trilinear"
            return functional.interpolate(x, scale_factor=tuple(float(s) for s in self.stride), mode=mode)
        if self.name == "bed_of_nails":
            return bed_of_nails(x, self.stride)
        if self.name == "pixel_shuffle":
            return pixel_shuffle(x, self.stride)
        if self.name == "max_unpool":
            if switches is None or size is None:
                raise ValueError("max_unpool needs the switches of the pooling it undoes, and the size before it")
            return unpool(x, switches, size)
        return x

    def start_as_nearest(self) -> None:
        """Give the channels that become one block equal weights; call it after the weights have been drawn."""
        if self.name == "pixel_shuffle" and isinstance(self.conv, nn.Conv2d | nn.Conv3d):
            block = math.prod(self.stride)
            with torch.no_grad():
                self.conv.weight.copy_(self.conv.weight[::block].repeat_interleave(block, dim=0))

    def start_as_identity(self) -> None:
        """Start as plain upsampling of each channel, as FCN does: a 1x1 convolution that changes nothing, or blocks."""
        if not isinstance(self.conv, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            raise TypeError(f"not a convolution: {type(self.conv).__name__}")
        with torch.no_grad():
            self.conv.weight.zero_()
            block = math.prod(self.stride) if self.name == "pixel_shuffle" else 1
            for output in range(self.conv.out_channels):
                channel = output // block
                place = (channel, channel) if self.name == "transposed" else (output, channel)
                self.conv.weight[place] = 1.0
            if self.conv.bias is not None:
                self.conv.bias.zero_()
