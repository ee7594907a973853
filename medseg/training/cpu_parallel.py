"""Shows a batch to a network in parts, each part on CPU cores of its own.

Small patches keep one core busy, but not several: threads inside an operator then mostly wait for one another. Parts of
a batch have nothing to wait for until their scores meet in the loss.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from medseg.models.onednn_convolution import InOneDnn

Scores = Tensor | list[Tensor]


def can_be_split(network: nn.Module, name: str) -> bool:
    """Whether parts of a batch on the CPU neither influence each other nor draw at random, so that the result is equal.

    Of the families of networks only U-Nets, by their `name`, are known to hide no random numbers.
    """
    if next(network.parameters()).device.type != "cpu" or name != "unet":
        return False
    return not any(
        isinstance(layer, _BatchNorm) or (isinstance(layer, _DropoutNd) and layer.p > 0) for layer in network.modules()
    )


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Inside, operators called by this thread use one core: small ones lose more by waiting than they gain."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class SideBySide:
    """Forward and backward pass of a batch in parts, each on some threads; gradients are added up in order."""

    def __init__(self, network: nn.Module, dtype: torch.dtype, parts: int, threads: int = 1) -> None:
        self.network = network
        self.dtype = dtype
        self.parts = parts
        self.threads = threads
        self._pool: ThreadPoolExecutor | None = None

    def backward(self, images: Tensor, loss_of: Callable[[Scores], Tensor]) -> Tensor:
        """Add the gradient of a batch (N, C, *spatial) to that of the weights, and return the loss."""
        pool = self._workers()
        parts = images.tensor_split(min(self.parts, len(images)))
        scores = list(pool.map(self._forward, parts))
        levels = [torch.cat([part.detach() for part in level]).requires_grad_() for level in zip(*scores, strict=True)]
        loss = loss_of(levels if len(levels) > 1 else levels[0])
        loss.backward()  # type: ignore[no-untyped-call]
        sizes = [len(part) for part in parts]
        gradients = list(zip(*(torch.split(_gradient_of(level), sizes) for level in levels), strict=True))
        weights = [weight for weight in self.network.parameters() if weight.requires_grad]
        found = list(pool.map(_gradients_of, scores, gradients, [weights] * len(parts)))
        for weight, own in zip(weights, zip(*found, strict=True), strict=True):
            for gradient in own:
                if gradient is not None:
                    if weight.grad is None:
                        # In the weight's own layout, which fused optimizers take for granted.
                        weight.grad = torch.zeros_like(weight)
                    weight.grad.add_(gradient)
        return loss.detach()

    def _forward(self, images: Tensor) -> list[Tensor]:
        with InOneDnn(), torch.autocast("cpu", self.dtype, enabled=self.dtype != torch.float32):
            scores = self.network(images)
        return [scores] if isinstance(scores, Tensor) else list(scores)

    def _workers(self) -> ThreadPoolExecutor:
        if self._pool is None:
            # How many threads an operator uses is set by the thread that calls it.
            self._pool = ThreadPoolExecutor(
                self.parts, thread_name_prefix="part", initializer=torch.set_num_threads, initargs=(self.threads,)
            )
        return self._pool


def _gradient_of(scores: Tensor) -> Tensor:
    return torch.zeros_like(scores) if scores.grad is None else scores.grad


def _gradients_of(
    scores: Sequence[Tensor], gradients: Sequence[Tensor], weights: Sequence[Tensor]
) -> tuple[Tensor | None, ...]:
    # Both passes of a part may run on either thread; each sees the same numbers.
    return torch.autograd.grad(list(scores), weights, list(gradients), allow_unused=True)
