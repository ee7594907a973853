"""Runs the cases in a process of their own, so that a crash, a hang or a flood of memory costs one case, not the batch.

The worker is started again after the case that brought it down.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from subprocess import TimeoutExpired

from medseg.engine.outcomes import Work, failure, pending, record_failure
from medseg.errors import Interrupted, MedsegError
from medseg.io.files.leftovers import sweep
from medseg.isolation.process import TOO_LONG, ChildProcess, Guard
from medseg.types.run import CaseOutcome, Preparing, WindowsDone
from medseg.types.scan import FoundScan

MODULE = "medseg.engine.worker"
CaseEvent = FoundScan | Preparing | WindowsDone | CaseOutcome


def run_isolated(work: Work, cases: Sequence[FoundScan], guard: Guard) -> Generator[CaseEvent, None, None]:
    """Run the cases in a worker process, in order; see `CaseProcess.run`."""
    with CaseProcess(work, guard) as process:
        yield from process.run(cases)


class CaseProcess:
    """A worker process that runs cases; it stays, and keeps what it has loaded, from one list of cases to the next."""

    def __init__(self, work: Work, guard: Guard) -> None:
        self.work, self.guard = work, guard
        self._limit = guard.bytes()
        self._child: ChildProcess | None = None
        self._is_stopped = False

    def __enter__(self) -> CaseProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.end(kind)

    def end(self, kind: type[BaseException] | None = None) -> None:
        """End the worker: at once where there is an error, else when it has nothing left to do."""
        child, self._child = self._child, None
        if child is not None:
            child.__exit__(kind)

    def stop(self) -> None:
        """End the worker in the middle of a case, from another thread; `run` then raises `Interrupted`."""
        self._is_stopped = True
        if (child := self._child) is not None:
            child.process.terminate()  # it deletes what it has half-written
            with suppress(TimeoutExpired):
                child.process.wait(3.0)

    def _worker(self) -> ChildProcess:
        if self._child is None:
            self._child = ChildProcess(MODULE).__enter__()
            self._child.send(self.work)
        return self._child

    def run(self, cases: Sequence[FoundScan]) -> Generator[CaseEvent, None, None]:
        """Run the cases in order, starting the worker again whenever a case brings it down.

        Where the worker dies with two cases in hand, one computed and one finished beside it, nobody knows which did
        it: both are run again with nothing beside them, so that the guilty one pays alone.

        Yields what `run_cases` yields and announces, and raises what it raises.
        """
        try:
            yield from self._run(cases)
        except BaseException as error:
            self.end(type(error))
            raise

    def _run(self, cases: Sequence[FoundScan]) -> Generator[CaseEvent, None, None]:
        work = self.work
        left = list(cases)
        alone = 0
        is_second_start = False
        while left:
            worker = self._worker()
            worker.send((left, alone))
            in_hand: dict[FoundScan, float] = {}  # since when
            begun = time.monotonic()
            has_begun = False
            while left:
                message, why = worker.next_message(self._limit, _deadline(in_hand, self.guard))
                if message is None:
                    self.end()
                    sweep(work.out)  # what the dead worker was writing
                    if self._is_stopped:
                        raise Interrupted("SIGTERM")
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
                    record_failure(outcome, model=work.model)
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
