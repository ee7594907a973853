"""Convolutions of single windows and patches in oneDNN, where PyTorch takes a slow path: on CPUs, in float32.

PyTorch gives a float32 convolution to oneDNN only if there are several samples, or channels times the first two axes
are more than 20,480 (`use_mkldnn` in ATen's Convolution.cpp, as of 2.13). For one window of an inference, or a patch
alone, as `medseg.training.cpu_parallel` shows it, it takes `slow_conv3d`, which is 3 to 10 times slower forward and
backward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

LAYOUT = torch.channels_last_3d
ONES, ZEROS = [1, 1, 1], [0, 0, 0]


class InOneDnn(TorchFunctionMode):
    """Inside, no convolution in float32 on the CPU takes PyTorch's slow path; results differ by rounding only.

    Where gradients are taken this holds for 3D convolutions without groups and dilation. Transposed ones whose kernels
    overlap, and padding named by a word, are always left as they are.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        own = _OWN.get(func)
        result = None if own is None or not _is_plain(args[0]) else own(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {})) if result is None else result


def _is_plain(x: Tensor) -> bool:
    if x.device.type != "cpu" or x.dtype != torch.float32 or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return not torch.is_autocast_enabled("cpu")


def _convolution(input: Tensor, weight: Tensor, bias: Tensor | None = None, *rest: Any, **named: Any) -> Tensor | None:
    given = dict(zip(("stride", "padding", "dilation", "groups"), rest, strict=False)) | named
    if not torch.is_grad_enabled():
        return _without_gradients(input, weight, bias, given)
    if input.dim() != 5:
        return None
    strides, paddings = _axes(given.get("stride", 1)), _axes(given.get("padding", 0))
    dense = given.get("groups", 1) == 1 and _axes(given.get("dilation", 1)) == ONES
    if not dense or strides is None or paddings is None:
        return None
    if list(weight.shape[2:]) == ONES and strides == ONES and paddings == ZEROS:
        # One product of matrices: rows are voxels.
        rows = input.movedim(1, -1)
        return torch.nn.functional.linear(rows, weight.flatten(1), bias).movedim(-1, 1)
    if len(input) > 1:
        return None
    result: Tensor = _OneSample.apply(input, weight, bias, (strides, paddings))  # type: ignore[no-untyped-call]
    return result


def _without_gradients(x: Tensor, weight: Tensor, bias: Tensor | None, given: Mapping[str, Any]) -> Tensor | None:
    """Any convolution of one sample or several, in two or three dimensions."""
    named = [given.get("padding", 0), given.get("stride", 1), given.get("dilation", 1)]
    if x.dim() != weight.dim() or any(isinstance(value, str) for value in named):
        return None  # without the axis of samples, or padding by a word
    sizes = [[value] * (x.dim() - 2) if isinstance(value, int) else list(value) for value in named]
    padding, stride, dilation = sizes
    return torch.mkldnn_convolution(x, weight, bias, padding, stride, dilation, given.get("groups", 1))


def _transposed(input: Tensor, weight: Tensor, bias: Tensor | None = None, *rest: Any, **named: Any) -> Tensor | None:
    given = dict(zip(("stride", "padding", "output_padding", "groups", "dilation"), rest, strict=False)) | named
    if input.dim() != 5:
        return None
    strides = _axes(given.get("stride", 1))
    dense = given.get("groups", 1) == 1 and _axes(given.get("dilation", 1)) == ONES
    if not dense or any(_axes(given.get(name, 0)) != ZEROS for name in ("padding", "output_padding")):
        return None
    if strides != list(weight.shape[2:]):
        return None
    # No voxel is reached twice, so each becomes a block: one product of matrices, and blocks put in their places.
    samples, _, *grid = input.shape
    inputs, outputs = weight.shape[:2]
    blocks = input.movedim(1, -1).reshape(-1, inputs) @ weight.movedim(1, -1).reshape(inputs, -1)
    x, y, z = strides
    placed = blocks.reshape(samples, *grid, x, y, z, outputs).permute(0, 1, 4, 2, 5, 3, 6, 7)
    result = placed.reshape(samples, *(n * s for n, s in zip(grid, strides, strict=True)), outputs)
    return (result if bias is None else result + bias).movedim(-1, 1)


def _axes(value: Any) -> list[int] | None:
    if isinstance(value, str):
        return None
    return [value] * 3 if isinstance(value, int) else list(value) * (3 // len(value))


_OWN: dict[Callable[..., Any], Callable[..., Tensor | None]] = {
    torch.nn.functional.conv2d: _convolution,
    torch.nn.functional.conv3d: _convolution,
    torch.nn.functional.conv_transpose3d: _transposed,
}


class _OneSample(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, x: Tensor, weight: Tensor, bias: Tensor | None, grid: tuple[list[int], list[int]]
    ) -> Tensor:
        """Convolve; `grid` holds stride and padding."""
        stride, padding = grid
        context.save_for_backward(x, weight)
        context.stride, context.padding = stride, padding
        return torch.mkldnn_convolution(x, weight, bias, padding, stride, ONES, 1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = context.saved_tensors
        of_x, of_weight, of_bias = context.needs_input_grad[:3]
        gradient = gradient.contiguous(memory_format=LAYOUT)
        stride, padding = context.stride, context.padding
        return (
            _input_gradient(x, weight, gradient, stride, padding) if of_x else None,
            _weight_gradient(x, weight, gradient, stride, padding) if of_weight else None,
            gradient.sum((0, 2, 3, 4)) if of_bias else None,
            None,
        )


def _input_gradient(x: Tensor, weight: Tensor, gradient: Tensor, stride: list[int], padding: list[int]) -> Tensor:
    """A transposed convolution of the gradient; at stride 1 it is a convolution with the kernel turned around."""
    kernel = weight.shape[2:]
    if stride == ONES and all(k > p for k, p in zip(kernel, padding, strict=True)):
        turned = weight.flip((2, 3, 4)).transpose(0, 1).contiguous(memory_format=LAYOUT)
        around = [k - 1 - p for k, p in zip(kernel, padding, strict=True)]
        return torch.mkldnn_convolution(gradient, turned, None, around, ONES, ONES, 1)
    rest = [
        n + 2 * p - k - (m - 1) * s
        for n, p, k, m, s in zip(x.shape[2:], padding, kernel, gradient.shape[2:], stride, strict=True)
    ]
    result: Tensor = torch.ops.mkldnn._convolution_transpose_pointwise(
        gradient, weight, None, padding, rest, stride, ONES, 1, "none", [], ""
    )
    return result


def _weight_gradient(x: Tensor, weight: Tensor, gradient: Tensor, stride: list[int], padding: list[int]) -> Tensor:
    """Of both halves of the gradient along the first axis, as two samples, which PyTorch gives to oneDNN."""
    if gradient.shape[2] % 2:
        gradient = torch.nn.functional.pad(gradient, (0, 0, 0, 0, 0, 1)).contiguous(memory_format=LAYOUT)
    _, outputs, length, *plane = gradient.shape
    half = length // 2
    # Channels are last, so that halves lie one after the other in memory as two samples do.
    halves = gradient.movedim(1, -1).reshape(2, half, *plane, outputs).movedim(-1, 1)
    rows = (half - 1) * stride[0] + weight.shape[2]
    pair = torch.empty((2, x.shape[1], rows, *x.shape[3:]), dtype=x.dtype, memory_format=LAYOUT).zero_()
    for sample in range(2):
        begin = sample * half * stride[0] - padding[0]
        first, last = max(begin, 0), min(begin + rows, x.shape[2])
        pair[sample, :, first - begin : last - begin] = x[0, :, first:last]
    result: Tensor
    _, result, _ = torch.ops.aten.convolution_backward(
        halves, pair, weight, None, stride, [0, *padding[1:]], ONES, False, ZEROS, 1, [False, True, False]
    )
    return result
