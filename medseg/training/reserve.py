"""Keeps time of a budget for the validation that follows training."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import torch

from medseg.training.loop import Loop
from medseg.training.samples.prepared import PreparedCase

__all__ = ["validation_seconds"]

# What a forward pass on one patch costs is measured this often.
WARM_UP_PASSES = 3


def validation_seconds(loop: Loop, held_out: int, cases: Sequence[PreparedCase]) -> float:
    """Roughly how long validation will take: forward passes over as many windows as the training cases need.

    Parameters
    ----------
    loop : Loop
        Before it runs.
    held_out : int
        Cases to be measured.
    cases : sequence of PreparedCase
        Trained on, of about the same size.
    """
    if loop.config.time_budget is None or not held_out or loop.finished:
        return 0.0
    patch = loop.config.input.patch
    shape = patch[: loop.config.network.dimensions]
    channels = len(cases[0].open()[0])
    image = torch.zeros(1, channels, *shape, device=loop.device)
    loop.network.eval()
    with torch.inference_mode():
        seconds = []
        for _ in range(WARM_UP_PASSES):
            before = time.monotonic()
            loop.network(image)
            seconds.append(time.monotonic() - before)
    windows = sum(
        math.prod(max(1, math.ceil((n - p) / (p / 2)) + 1) for n, p in zip(case.shape, patch, strict=True))
        for case in cases
    )
    copies = {"none": 1, "left-right": 2, "all": 4 if len(shape) == 2 else 8}[loop.config.mirror]
    return 1.5 * copies * min(seconds) * windows / len(cases) * held_out
