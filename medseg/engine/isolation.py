"""Runs the cases in a process of their own, so that a crash, a hang or a flood of memory costs one case, not the batch.

The worker is started again after the case that brought it down.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace

from medseg.engine.outcomes import Work, failure, pending, record_failure
from medseg.errors import MedsegError
from medseg.isolation.process import TOO_LONG, ChildProcess, Guard
from medseg.types.run import CaseOutcome, Preparing, WindowsDone
from medseg.types.scan import FoundScan

MODULE = "medseg.engine.worker"


def run_isolated(
    work: Work, cases: Sequence[FoundScan], guard: Guard
) -> Generator[FoundScan | Preparing | WindowsDone | CaseOutcome, None, None]:
    """Run the cases in a worker process, in order, starting it again whenever a case brings it down.

    Where the worker dies with two cases in hand, one computed and one finished beside it, nobody knows which did it:
    both are run again with nothing beside them, so that the guilty one pays alone.

    Yields what `run_cases` yields and announces, and raises what it raises.
    """
    limit = guard.bytes()
    left = list(cases)
    alone = 0
    is_second_start = False
    while left:
        with ChildProcess(MODULE) as worker:
            worker.send((work, left, alone))
            in_hand: dict[FoundScan, float] = {}  # since when
            begun = time.monotonic()
            has_begun = False
            while left:
                message, why = worker.next_message(limit, _deadline(in_hand, guard))
                if message is None and len(in_hand) > 1 and why != TOO_LONG:
                    alone = len(in_hand)
                    break
                if message is None and not has_begun and not is_second_start:
                    is_second_start = True  # nobody's fault: the system may have been short of memory
                    break
                if message is None:
                    # Over its time is the case longest in hand. Brought down twice before it took a case in hand, the
                    # worker would be so again: the first case pays.
                    found = next(iter(in_hand), left[0])
                    outcome = failure(pending(found, work.out), *why)
                    record_failure(outcome)
                    left.remove(found)
                    alone = max(0, alone - 1)
                    yield replace(outcome, seconds=time.monotonic() - in_hand.get(found, begun))
                    break
                has_begun, is_second_start = True, False
                if isinstance(message, MedsegError):
                    raise message
                if isinstance(message, FoundScan):
                    in_hand[message] = time.monotonic()
                elif isinstance(message, Preparing):
                    in_hand.clear()  # no case's time is spent on it
                elif isinstance(message, CaseOutcome):
                    in_hand.pop(left.pop(0), None)
                    alone = max(0, alone - 1)
                yield message


def _deadline(in_hand: Mapping[FoundScan, float], guard: Guard) -> float | None:
    return None if guard.seconds is None or not in_hand else min(in_hand.values()) + guard.seconds
