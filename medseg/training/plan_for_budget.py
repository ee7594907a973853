"""Makes the plan for a CPU follow the steps that a time budget gives on this machine."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from medseg.config.load import build
from medseg.data.plan import Plan
from medseg.training.config import TrainConfig
from medseg.training.cost import predict_cost

# With fewer steps, more of them that are cheaper get further: docs/benchmarks/training.md.
ENOUGH_STEPS = 1000
# Of the patch along each axis, by dimensions (docs/benchmarks/training.md and arena.md). Nothing smaller was measured.
SMALLER = {2: 0.5, 3: 0.75}
# Of the features of each stage, where the smaller patch does not make steps enough (docs/benchmarks/arena.md).
NARROWER = 0.5
# Of the budget, what preparing, augmenting and validating leave to the network.
FOR_STEPS = 0.7


def plan_for_budget(plan: Plan, seconds: float, classes: int, showing: Callable[[], Plan] | None = None) -> Plan:
    """Return a plan for a CPU: with few steps, a coarser grid or a smaller patch, and fewer features.

    - `showing`: makes the plan on a grid on which a patch shows more than a class. Where that grid is a coarser one, it
      takes the place of the smaller patch.
    """
    steps, coarser = _steps(plan, seconds, classes), False
    reason = f"{seconds / 60:.3g} minutes give about {steps:.0f} steps on this machine"
    if steps < ENOUGH_STEPS:
        reason += f", fewer than {ENOUGH_STEPS}"
        other = plan if showing is None else showing()
        coarser = other.values["input"]["spacing"] != plan.values["input"]["spacing"]
        if coarser:
            plan, steps = other, _steps(other, seconds, classes)
            reason += f"; on the coarser grid about {steps:.0f}"
    values, reasons = dict(plan.values), dict(plan.reasons)
    if steps < ENOUGH_STEPS:
        patch, smaller = values["input"]["patch"], _smaller_patch(plan)
        if smaller != patch and not coarser:
            steps *= math.prod(patch) / math.prod(smaller)
            reason += f"; of patches of {' x '.join(map(str, smaller))} about {steps:.0f}"
            values["input"] = {**values["input"], "patch": smaller}
        if steps < ENOUGH_STEPS:
            network = values["network"]
            features = [math.ceil(NARROWER * count) for count in network["arguments"]["features"]]
            values["network"] = {**network, "arguments": {**network["arguments"], "features": features}}
            reasons["network.arguments.features"] += " Half of that, for more steps, as there are few."
    reasons["input.patch"] += f" {reason}."
    return replace(plan, values=values, reasons=reasons)


def _steps(plan: Plan, seconds: float, classes: int) -> float:
    """Steps that a budget gives on this machine."""
    cost = predict_cost(build(TrainConfig, plan.values), classes, device="cpu").seconds_a_step
    return FOR_STEPS * seconds / cost


def _smaller_patch(plan: Plan) -> list[int]:
    """The patch for few steps; one of one or two multiples of the strides stays as it is."""
    patch: list[int] = plan.values["input"]["patch"]
    network = plan.values["network"]
    multiples = [math.prod(axis) for axis in zip(*network["arguments"]["strides"], strict=True)]
    factor = SMALLER[network["dimensions"]]
    smaller = [max(1, round(factor * n / k)) * k for n, k in zip(patch, multiples, strict=False)]
    return smaller + patch[len(smaller) :]  # of a network of two dimensions 1
