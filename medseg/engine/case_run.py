"""Cases through a pipeline: what is read ahead, computed, and finished aside."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from medseg.engine.case_in_hand import CaseInHand, start
from medseg.engine.finishing import Finishing
from medseg.engine.outcomes import Work
from medseg.engine.pipeline import Pipeline
from medseg.engine.schedule import Schedule
from medseg.errors import MedsegError
from medseg.isolation.boundary import STOPS
from medseg.types.run import CaseOutcome, Preparing, WindowsDone
from medseg.types.scan import FoundScan

log = logging.getLogger("medseg.run")


def run_cases(
    work: Work,
    cases: Sequence[FoundScan],
    announce: Callable[[Preparing | WindowsDone], None] | None = None,
    at_once: Callable[[CaseOutcome], None] | None = None,
    alone: int = 0,
) -> Generator[FoundScan | CaseOutcome, None, None]:
    """Run the cases in turn; while one is computed, the next is read and a small one before it finished.

    While the first case that is to be computed is read, the stages make themselves ready; `announce` hears what takes
    long, and the case is then taken in hand again. A large case is finished in the thread of the caller.

    Parameters
    ----------
    work, cases
        What to do, and on what.
    announce : callable, optional
        Hears what is done once, from another thread, and how far the network has come in a case.
    at_once : callable, optional
        Hears, from another thread, the outcome of a case finished there, which is then not yielded. Without it, that
        outcome is yielded after the next case is computed.
    alone : int
        Of how many cases from the first on nothing runs beside another.

    Yields each case as it is taken in hand, and the outcomes in the same order; at most two cases are in hand. No
    failure of a case raises; a stage that cannot be made ready does, once, before any case is computed.
    """
    schedule = Schedule.from_steps(work.pipeline.each)
    readiness: Future[bool] | None = None
    waited = False

    def get_ready() -> None:
        nonlocal readiness
        readiness = readiness or preparing.submit(_get_ready, work.pipeline, announce)

    with (
        ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as reader,
        ThreadPoolExecutor(max_workers=1, thread_name_prefix="get-ready") as preparing,
        Finishing(at_once) as finishing,
    ):
        ahead: Future[CaseInHand] | None = None
        for number, found in enumerate(cases):
            yield found
            started = time.perf_counter()
            # A case read ahead leaves it to its turn: its log lines must not fall into the case before.
            case = ahead.result() if ahead is not None else start(found, work, schedule.ahead, get_ready)
            ahead = None
            last = number + 1 == len(cases)
            if not last and number >= alone:
                ahead = reader.submit(start, cases[number + 1], work, schedule.ahead)
            if case.to_compute:
                get_ready()
            if readiness is not None and not waited:
                waited = True
                if readiness.result():
                    yield found
                    started = time.perf_counter()
            beside = number >= alone and case.is_small
            if not beside:
                yield from finishing.outcome()
            case.compute(schedule.main, announce)
            yield from finishing.outcome()
            finish = partial(case.finish, schedule.aside, started, finishing.stop_if_left)
            if beside and not last and case.error is None:
                finishing.begin(finish)
            else:
                yield finish()
            del case, finish  # all of this case, before the next is computed


def _get_ready(pipeline: Pipeline, announce: Callable[[Preparing | WindowsDone], None] | None) -> bool:
    """Let every stage do what it does once; whether any had something to announce."""
    anything = False

    def forward(text: str) -> None:
        nonlocal anything
        anything = True
        if announce is not None:
            announce(Preparing(text))

    for step in pipeline.each:
        try:
            step.get_ready(forward)
        except (MedsegError, *STOPS):
            raise  # no case could be done: a device or an engine that is not here, for instance
        except BaseException as error:  # it is met again in the case itself, whose outcome it becomes
            log.debug("%s", step.name, exc_info=error)
    return anything
