"""Makes the plan for a CPU follow the steps that a time budget gives on this machine."""

from __future__ import annotations

import math
from dataclasses import replace

from medseg.config.load import build
from medseg.data.plan import Plan
from medseg.training.config import TrainConfig
from medseg.training.cost import predict_cost

# With fewer steps, more of them on smaller patches get further: docs/benchmarks/training.md.
ENOUGH_STEPS = 1000
# Of the patch along each axis, by dimensions (docs/benchmarks/training.md and arena.md). Nothing smaller was measured.
SMALLER = {2: 0.5, 3: 0.75}
# Of the budget, what preparing, augmenting and validating leave to the network.
FOR_STEPS = 0.7


def plan_for_budget(plan: Plan, seconds: float, classes: int) -> Plan:
    """Return a plan for a CPU, with a smaller patch for the same network where a budget gives few steps."""
    cost = predict_cost(build(TrainConfig, plan.values), classes, device="cpu").seconds_a_step
    steps = FOR_STEPS * seconds / cost
    patch, network = plan.values["input"]["patch"], plan.values["network"]
    reason = f"{seconds / 60:.3g} minutes give about {steps:.0f} steps on this machine"
    if steps < ENOUGH_STEPS:
        multiples = [math.prod(axis) for axis in zip(*network["arguments"]["strides"], strict=True)]
        factor = SMALLER[network["dimensions"]]
        smaller = [max(1, round(factor * n / k)) * k for n, k in zip(patch, multiples, strict=False)]
        smaller += patch[len(smaller) :]  # of a network of two dimensions 1
        reason += f", fewer than {ENOUGH_STEPS}"
        # A patch of one or two multiples of the strides stays as it is.
        if smaller != patch:
            more = steps * math.prod(patch) / math.prod(smaller)
            reason += f"; of patches of {' x '.join(map(str, smaller))} about {more:.0f}"
            patch = smaller
    values = {**plan.values, "input": {**plan.values["input"], "patch": patch}}
    return replace(
        plan, values=values, reasons={**plan.reasons, "input.patch": f"{plan.reasons['input.patch']} {reason}."}
    )
