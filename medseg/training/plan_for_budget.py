"""Makes the plan for a CPU follow the steps that a time budget gives on this machine."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from medseg.config.load import build
from medseg.data.plan import Plan
from medseg.training.config import TrainConfig
from medseg.training.cost import predict_cost

# With fewer steps, more of them on smaller patches get further: docs/benchmarks/training.md.
ENOUGH_STEPS = 1000
# Of the scan along each axis, where the preset's patch is too large. Nothing smaller was measured.
SMALLER = 0.6
# Of the budget, what preparing, augmenting and validating leave to the network.
FOR_STEPS = 0.7


def plan_for_budget(seconds: float, make: Callable[[float | None], Plan], classes: int) -> Plan:
    """Return the plan with the preset's patch, or a smaller one where a budget gives few steps.

    `make` plans with a fraction of the scan that a patch covers at most, or by default with the preset's.
    """
    plan = make(None)
    cost = predict_cost(build(TrainConfig, plan.values), classes, device="cpu").seconds_a_step
    whole = _voxels(plan)
    steps = FOR_STEPS * seconds / cost
    if steps < ENOUGH_STEPS:
        plan = make(SMALLER)
    own = steps * whole / _voxels(plan)
    reason = f"{seconds / 60:.3g} minutes give about {own:.0f} steps of such patches on this machine"
    if _voxels(plan) < whole:
        reason += f"; of larger ones {steps:.0f}, fewer than {ENOUGH_STEPS}"
    reasons = {**plan.reasons, "input.patch": f"{plan.reasons['input.patch']} {reason}."}
    return replace(plan, reasons=reasons)


def _voxels(plan: Plan) -> int:
    return math.prod(plan.values["input"]["patch"])
