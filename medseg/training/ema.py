"""Exponential moving average of the weights: steadier than the last step's, and what the package holds."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Ema:
    """Average of a network's state over the steps (Polyak & Juditsky 1992; decay warmed up as in TensorFlow's).

    `decay` is the weight of the past; the first steps use ``(1 + step) / (10 + step)`` where that is smaller, so that
    the random start is soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state: dict[str, Tensor] = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Add the state after a step, counted from 0."""
        decay = min(self.decay, (1 + step) / (10 + step))
        pairs = [(self.state[name], value.detach()) for name, value in network.state_dict().items()]
        averaged = [(mean, value) for mean, value in pairs if mean.is_floating_point()]
        torch._foreach_lerp_([mean for mean, _ in averaged], [value for _, value in averaged], 1 - decay)
        for mean, value in pairs:
            if not mean.is_floating_point():
                mean.copy_(value)

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Resume from a state saved before."""
        for name, mean in self.state.items():
            mean.copy_(state[name])
