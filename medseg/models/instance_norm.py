"""Instance normalization that is fast where PyTorch's is slow: backward, on the CPU, channels last."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from medseg.errors import ModelError


class InstanceNorm(nn.GroupNorm):
    """Instance normalization (Ulyanov 2016) with learned scale and shift, for any number of spatial dimensions.

    It is group normalization with one channel a group. That keeps the channels-last layout on the CPU, where
    `torch.nn.InstanceNorm3d` copies to channels-first and back. For training on the CPU the backward pass is that
    of batch normalization, sample by sample: the same mathematics, and fast in that layout, which PyTorch's backward
    pass of group normalization is not (docs/benchmarks/instance-norm.md has a whole training step with each).
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)

    def forward(self, input: Tensor) -> Tensor:
        """``(N, channels, *spatial)`` normalized over space, each sample and channel by itself."""
        if not self.training:
            return torch.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)
        if input.shape[2:].numel() == 1:
            raise ModelError(
                "a feature map of one voxel cannot be normalized",
                where="network",
                fix="Use a larger patch, fewer stages, or norm: batch.",
            )
        if torch.is_grad_enabled() and input.device.type == "cpu":
            result: Tensor = _Normalize.apply(input, self.weight, self.bias, self.eps)  # type: ignore[no-untyped-call]
            return result
        return super().forward(input)


class _Normalize(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        samples, channels = x.shape[:2]
        y, mean, inverse_std = torch.native_group_norm(
            x, weight, bias, samples, channels, x[0, 0].numel(), channels, eps
        )
        context.save_for_backward(x, weight, mean, inverse_std)
        context.eps = eps
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight, mean, inverse_std = context.saved_tensors
        x_gradient = torch.empty_like(x)
        weight_gradient, bias_gradient = torch.zeros_like(weight), torch.zeros_like(weight)
        for n in range(x.shape[0]):
            one, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
                gradient[n : n + 1], x[n : n + 1], weight, None, None, mean[n], inverse_std[n],
                True, context.eps, [True, True, True],
            )  # fmt: skip
            x_gradient[n : n + 1] = one
            weight_gradient += of_weight
            bias_gradient += of_bias
        return x_gradient, weight_gradient, bias_gradient, None
