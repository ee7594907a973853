"""How a step is computed on this machine, where there is a choice: found by trying, in about two seconds at most."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from medseg.training.cpu_parallel import Scores, SideBySide, can_be_split, one_thread
from medseg.training.device import Precision, possible_dtypes

# Seconds that comparing methods may take, and how often each method is tried again within them.
LIMIT = 2.0
REPEATS = 4


@dataclass(frozen=True)
class StepMethod:
    """Parts of a batch that are computed at a time, threads for each of them, and dtype of the forward pass."""

    parts: int
    threads: int
    dtype: torch.dtype

    @property
    def dtype_name(self) -> str:
        """Name of the dtype: float32, bfloat16 or float16."""
        return str(self.dtype).removeprefix("torch.")

    def __str__(self) -> str:
        shown = "the batch as a whole" if self.parts == 1 else f"{self.parts} parts of the batch side by side"
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}{' each' if self.parts > 1 else ''}"
        return f"{shown} with {threads} in {self.dtype_name}"

    def to_state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"parts": self.parts, "threads": self.threads, "dtype": self.dtype_name}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> StepMethod:
        """Return the method a checkpoint kept."""
        return cls(int(state["parts"]), int(state["threads"]), getattr(torch, state["dtype"]))


def step_methods(
    network: nn.Module, name: str, batch: int, precision: Precision, *, alone: bool = True
) -> list[StepMethod]:
    """Methods that this machine computes in hardware; the first is taken where nothing is measured.

    `name` is that of the network's family; several processes, not `alone`, compute each its batch as a whole.
    """
    device = next(network.parameters()).device
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    parts = min(batch, threads) if alone and can_be_split(network, name) else 1
    split = [(parts, each) for each in sorted({1, threads // parts})] if parts > 1 else []
    dtypes = possible_dtypes(precision, device)
    return [StepMethod(*shape, dtype) for dtype in dtypes for shape in (*split, (1, threads))]


def measure(
    network: nn.Module,
    methods: Sequence[StepMethod],
    images: Tensor,
    loss_of: Callable[[Scores], Tensor],
    *,
    limit: float,
) -> dict[StepMethod, float]:
    """Seconds of a forward and backward pass by each method, the fastest first; the network stays as it is.

    Where trying all would take longer than `limit`, only the first method is in it, which is the one to take.
    """
    tried = copy.deepcopy(network).train()
    passes = {method: SideBySide(tried, method.dtype, method.parts, method.threads) for method in methods}
    best: dict[StepMethod, float] = {}

    def seconds(method: StepMethod) -> float:
        before = time.monotonic()
        passes[method].backward(images, loss_of)
        return time.monotonic() - before

    began = time.monotonic()
    first, *others = methods
    with torch.random.fork_rng(devices=[]), one_thread():
        best[first] = seconds(first)  # warms up
        if best[first] < limit:
            best[first] = seconds(first)
        if time.monotonic() - began + 2 * len(others) * best[first] > limit:
            return best
        for method in others:
            seconds(method)
            best[method] = seconds(method)
        for _ in range(REPEATS):
            if time.monotonic() - began + sum(best.values()) > limit:
                break
            best = {method: min(known, seconds(method)) for method, known in best.items()}
    return dict(sorted(best.items(), key=lambda item: item[1]))
