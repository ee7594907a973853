"""What of a time budget is left for training: said before the first step, refused where it is less than an epoch."""

from __future__ import annotations

import copy
import logging
import time
from contextlib import closing

from medseg.errors import UsageError
from medseg.training.loop import Loop

log = logging.getLogger("medseg.train")

# Steps that are timed, after one that warms up.
TIMED = 2


def check_time_left(loop: Loop, before: float, after: float) -> None:
    """Say how long the steps of a run may take and how many that is; raises `UsageError` for less than an epoch.

    - `before`, `after`: seconds of the budget spent on preparing, and kept for validating. Every process that trains
      calls this; the first one's figures count.
    """
    if loop.config.time_budget is None or loop.finished:
        return
    took = loop.processes.of_first(loop.elapsed / loop.step if loop.step else _seconds_a_step(loop))
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


def _seconds_a_step(loop: Loop) -> float:
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
