"""Volumes with an interval: split conformal prediction from cases that were not trained on.

The residual of a held-out case is |v - v'| / v' ** power, v' measured and v the reference's. In a further case that is
exchangeable with n held-out ones, the residual is at most the k-th smallest, k = (n + 1) x level rounded up, with a
probability of at least the level, whatever the network and the distribution (Vovk et al., Algorithmic Learning in a
Random World, 2005; Lei et al., Journal of the American Statistical Association 113, 1094, 2018).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from medseg.counted import counted
from medseg.types import Prediction
from medseg.types.run import ClassVolume, Volumes
from medseg.types.volume_interval import IntervalRule

LEVEL = 0.9
# Measured (benchmarks/bench_intervals.py): of the powers 0, 1/2, 2/3 and 1, the last holds as often for small volumes
# as for large ones, where these differ by a factor of 500, and gives the narrowest intervals.
POWER = 1.0
UNUSUAL = "No intervals of the volumes: they hold for scans like those the model was trained on, and this one differs."


def conformal_quantile(residuals: Sequence[float], level: float = LEVEL) -> float | None:
    """Residual that a further case stays within with a probability of `level`; None where there are too few."""
    # Exact for levels such as 0.9, whose product with a whole number need not be.
    rank = math.ceil(round((len(residuals) + 1) * level, 9))
    if rank > len(residuals):
        return None
    found = sorted(residuals)[rank - 1]
    return found if math.isfinite(found) else None


def residual(reference: float, measured: float, power: float = POWER) -> float:
    """Distance of two volumes for the size of the measured one; infinite where nothing was measured."""
    return abs(reference - measured) / measured**power if measured > 0 else math.inf


def interval_rule(
    volumes: Mapping[str, Sequence[tuple[float, float]]], level: float = LEVEL, power: float = POWER
) -> IntervalRule:
    """Make the rule from held-out cases.

    - `volumes`: by class name, the reference's and the measured volume in ml of each case; a case that has neither
      counts nothing.
    """
    residuals = {
        name: [residual(v, measured, power) for v, measured in pairs if v > 0 or measured > 0]
        for name, pairs in volumes.items()
    }
    quantiles = {name: conformal_quantile(found, level) for name, found in residuals.items()}
    return IntervalRule(
        level,
        power,
        {name: float(f"{value:.6g}") for name, value in quantiles.items() if value is not None},
        {name: len(found) for name, found in residuals.items()},
    )


def with_intervals(volumes: Volumes, prediction: Prediction) -> Volumes:
    """Add its interval to each volume of a prediction, where the model's card allows one.

    Withheld, with a note, where the scan is not like those the model was trained on, and where too few cases were held
    out.
    """
    rule = prediction.interval_rule
    if rule is None:
        return volumes
    if prediction.out_of_distribution or (prediction.expected is not None and prediction.expected.overridden):
        return replace(volumes, notes=(UNUSUAL,))
    voxel_ml = prediction.labels.geometry.voxel_volume / 1000
    rows = tuple(_with_interval(row, rule, voxel_ml) for row in volumes.rows)
    few: dict[int, list[str]] = {}
    for row in rows:
        if _has_too_few(row, rule) and (count := rule.cases[row.class_name]) < rule.least_cases:
            few.setdefault(count, []).append(row.class_name)
    notes = tuple(
        f"{', '.join(names)}: No interval of the volume, as {counted(count, 'held-out case')} "
        f"{'is' if count == 1 else 'are'} too few for {rule.level:.0%} (at least {rule.least_cases})."
        for count, names in few.items()
    )
    return replace(volumes, rows=rows, notes=notes)


def _has_too_few(row: ClassVolume, rule: IntervalRule) -> bool:
    return row.interval is None and row.voxels > 0 and row.class_name in rule.cases


def _with_interval(row: ClassVolume, rule: IntervalRule, voxel_ml: float) -> ClassVolume:
    volume_ml = row.voxels * voxel_ml
    found = rule.interval(row.class_name, volume_ml)
    if found is None:
        return row
    unit = row.size / volume_ml  # 1, or what a ml is of an area
    return replace(row, interval=replace(found, low=found.low * unit, high=found.high * unit))
