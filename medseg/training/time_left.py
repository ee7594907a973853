"""What of a time budget is left for training: said before the first step, refused where it is less than an epoch."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TypeVar

from medseg.errors import UsageError
from medseg.training.loop import Loop
from medseg.training.samples.prepared import PreparedCase

log = logging.getLogger("medseg.train")

# Steps that are timed, after one that warms up.
TIMED = 2
# Of what preparing left of a budget, for measuring held-out cases: a large part of many held-out images, each of many
# windows, left no time to train.
FOR_MEASURING = 1 / 3
FEWEST_MEASURED = 2

Case = TypeVar("Case")


def seconds_a_step(loop: Loop) -> float:
    """How long a step of a run with a time budget takes, by its own steps or by some that leave no trace.

    Every process that trains calls this; the first one's figure counts. 0 for a run that no time budget ends.
    """
    if loop.config.time_budget is None or loop.finished:
        return 0.0
    return loop.processes.of_first(loop.elapsed / loop.step if loop.step else _timed(loop))


def seconds_a_pass(loop: Loop, took: float) -> float:
    """At most how long the network takes for a patch, where a step takes `took`: a step goes forward and backward."""
    return took / (2 * loop.config.sampling.batch * loop.config.sampling.accumulate)


def validation_seconds(loop: Loop, took: float, held_out: int, cases: Sequence[PreparedCase]) -> float:
    """Roughly how long validation will take: as many windows a case as the training cases need."""
    patch = loop.config.input.patch
    windows = sum(
        math.prod(max(1, math.ceil((n - p) / (p / 2)) + 1) for n, p in zip(case.shape, patch, strict=True))
        for case in cases
    )
    copies = {"none": 1, "left-right": 2, "all": 4 if loop.config.network.dimensions == 2 else 8}[loop.config.mirror]
    return 1.5 * copies * seconds_a_pass(loop, took) * windows / len(cases) * held_out


def cases_to_measure(held_out: Sequence[Case], seconds: Callable[[int], float], most: float) -> tuple[Case, ...]:
    """As many held-out cases as are measured in `most` seconds, at least two, from the first to the last.

    - `seconds`: how long measuring so many takes.
    """
    count = len(held_out)
    while count > FEWEST_MEASURED and seconds(count) > most:
        count -= 1
    return tuple(held_out[place * len(held_out) // count] for place in range(count))


def check_time_left(loop: Loop, took: float, before: float, after: float) -> None:
    """Say how long the steps of a run may take and how many that is; raises `UsageError` for less than an epoch.

    - `took`: seconds of a step. `before`, `after`: seconds of the budget spent on preparing, and kept for validating.
      Every process that trains calls this; the first one's figures count.
    """
    if loop.config.time_budget is None or loop.finished:
        return
    left = loop.bounds.seconds or 0.0
    steps = loop.step + int(max(left - loop.elapsed, 0.0) / took)
    if loop.bounds.steps is not None:
        steps = min(steps, loop.bounds.steps)
    needed = loop.config.iterations_per_epoch
    if steps < needed:
        # What is spent and kept may be more than the whole budget.
        budget = max(before + after, loop.config.time_budget - left) + 1.2 * needed * took
        raise _too_short(loop, f"leaves {_shown(left)} for training, about {steps} steps at {took:.2g} s each", budget)
    spent = "" if loop.resumed else f" {_shown(before)} went into preparing, {_shown(after)} are kept for validating."
    log.info(
        "Of the time budget of %s, %s are left for training: about %d steps at %.2g s each, %.1f epochs.%s",
        _shown(loop.config.time_budget),
        _shown(left - loop.elapsed),
        steps - loop.step,
        took,
        (steps - loop.step) / needed,
        spent,
    )


def check_epoch_done(loop: Loop) -> None:
    """Refuse a run that its time budget ended before one epoch; raises `UsageError`."""
    needed = loop.config.iterations_per_epoch
    if loop.config.time_budget is None or loop.step >= needed:
        return
    took = loop.elapsed / max(loop.step, 1)
    budget = loop.config.time_budget + 1.2 * (needed - loop.step) * took
    raise _too_short(loop, f"gave {loop.step} steps at {took:.2g} s each", budget)


def _too_short(loop: Loop, what: str, enough: float) -> UsageError:
    return UsageError(
        f"the time budget of {_shown(loop.config.time_budget or 0.0)} {what}, less than an epoch of "
        f"{loop.config.iterations_per_epoch} steps, so no model is made",
        where="--time-budget",
        fix=f"Run the same command with --time-budget {_written(enough)} or more.",
    )


def _timed(loop: Loop) -> float:
    """Time real steps, and put everything back as it was."""
    network = copy.deepcopy(loop.network.state_dict())
    stepper = copy.deepcopy(loop.stepper.state())
    accumulate = loop.config.sampling.accumulate
    seconds = []
    loop.network.train()
    with closing(loop.patches.batches(0, (1 + TIMED) * accumulate)) as batches:
        for number in range(1 + TIMED):
            before = time.monotonic()
            loop.stepper.step([next(batches) for _ in range(accumulate)], number, loop.config.optimizer.learning_rate)
            seconds.append(time.monotonic() - before)
    loop.network.load_state_dict(network)
    loop.stepper.load(stepper)
    return max(min(seconds[1:]), 1e-6)


def _shown(seconds: float) -> str:
    """Seconds as a person reads them."""
    for length, unit in ((3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{max(seconds, 0.0):.3g} seconds"


def _written(seconds: float) -> str:
    """Seconds as ``--time-budget`` takes them, rounded up."""
    return f"{int(seconds // 60) + 1}m" if seconds > 90 else f"{int(seconds) + 1}s"
