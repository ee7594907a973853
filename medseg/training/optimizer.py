"""Optimizers: AdamW, SGD, or Muon, which gets furthest in few steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from medseg.training.config import OptimizerConfig

# Weights with fewer channels on either side, as first layers and class scores have, are left to AdamW.
FEWEST_CHANNELS = 8
# AdamW's learning rate within Muon, as a fraction of that of the matrices.
ADAM_FRACTION = 0.1
ADAM_BETAS, ADAM_EPS = (0.9, 0.999), 1e-8


def build_optimizer(config: OptimizerConfig, network: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer of a configuration for all weights of a network."""
    weights = list(network.parameters())
    if config.name == "muon":
        return Muon(weights, config.learning_rate, weight_decay=config.weight_decay)
    if config.name == "sgd":
        return torch.optim.SGD(
            weights,
            config.learning_rate,
            momentum=config.momentum,
            nesterov=True,
            weight_decay=config.weight_decay,
        )
    return torch.optim.AdamW(weights, config.learning_rate, weight_decay=config.weight_decay, fused=True)


class Muon(torch.optim.Optimizer):
    """Momentum, made orthogonal, for the weights of convolutions and linear layers; AdamW for all others.

    A weight is taken as a matrix with a row for each of its first axis's channels. Its Nesterov momentum is replaced by
    the nearest matrix whose singular values are all about 1 (Jordan 2024, kellerjordan.github.io/posts/muon), so that
    rare directions are learned as fast as common ones. `torch.optim.Muon` takes two-dimensional weights only.

    `lr` is that of matrices, others have a tenth of it; weight decay is decoupled, times the learning rate.
    """

    def __init__(self, weights: Iterable[Tensor], lr: float, *, momentum: float = 0.95, weight_decay: float = 0.0):
        every = list(weights)
        matrices = [w for w in every if w.dim() >= 2 and min(w.shape[:2]) >= FEWEST_CHANNELS]
        known = {id(w) for w in matrices}
        groups = [
            {"params": matrices, "orthogonal": True},
            {"params": [w for w in every if id(w) not in known], "orthogonal": False},
        ]
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__([group for group in groups if group["params"]], defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update the weights by their gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            update = _update_matrix if group["orthogonal"] else _update_by_adam
            for weight in group["params"]:
                if weight.grad is not None:
                    update(weight, weight.grad, self.state[weight], group)
        return loss


def _update_matrix(weight: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    if not state:
        state["momentum"] = torch.zeros_like(weight)
    state["momentum"].lerp_(gradient, 1 - group["momentum"])
    ahead = gradient.lerp(state["momentum"], group["momentum"])
    weight.mul_(1 - group["lr"] * group["weight_decay"])
    weight.add_(_orthogonal(ahead.flatten(1)).reshape(weight.shape), alpha=-group["lr"])


def _orthogonal(matrix: Tensor) -> Tensor:
    """Nearest matrix with singular values of about 1 (0.7 to 1.2): five steps of a quintic Newton-Schulz iteration.

    Coefficients are Jordan's, chosen for the steepest slope at 0. All steps are polynomials of the small square matrix
    X X', so that the wide one is multiplied once.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = wide / (wide.norm() + 1e-7)
    square = x @ x.T
    whole = one = torch.eye(len(x), dtype=x.dtype, device=x.device)
    for _ in range(5):
        step = a * one + b * square + c * (square @ square)
        whole = step @ whole
        square = step @ square @ step
    result: Tensor = whole @ x
    return result if matrix.shape[0] <= matrix.shape[1] else result.T


def _update_by_adam(weight: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    if not state:
        state["step"], state["mean"], state["square"] = 0, torch.zeros_like(weight), torch.zeros_like(weight)
    state["step"] += 1
    first, second = ADAM_BETAS
    rate = ADAM_FRACTION * group["lr"]
    state["mean"].lerp_(gradient, 1 - first)
    state["square"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
    deviation = (state["square"] / (1 - second ** state["step"])).sqrt_().add_(ADAM_EPS)
    weight.mul_(1 - rate * group["weight_decay"])
    weight.addcdiv_(state["mean"], deviation, value=-rate / (1 - first ** state["step"]))
