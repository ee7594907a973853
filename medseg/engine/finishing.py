"""Finishes one small case in a thread of its own while the network has the next one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from medseg.types.run import CaseOutcome

# Voxels of a scan that may be kept while the next one is computed: 64 MB as float32 beside its labels. Small scans gain
# by it, because their finishing is mostly waiting for the disk and work of one core; a large one keeps all cores busy,
# and the memory that a run is predicted to take holds for one case at a time.
SMALL = 16_000_000


class Abandoned(BaseException):
    """The run ends, so that the case being finished is left undone; no `Exception`, because it is no failure of it."""


class Finishing:
    """The case being finished; at most one, so that outcomes stay in order.

    `at_once` hears an outcome in the thread and at the moment it is known, instead of `outcome` giving it later.
    """

    def __init__(self, at_once: Callable[[CaseOutcome], None] | None = None) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="finish")
        self._at_once = at_once
        self._stop = threading.Event()
        self._case: Future[CaseOutcome] | None = None

    def __enter__(self) -> Finishing:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End the thread; where the run is left early, the case stays undone from the next step on."""
        if kind is not None:
            self._stop.set()
        self._thread.shutdown()

    def begin(self, finish: Callable[[], CaseOutcome]) -> None:
        """Finish a case in the thread; the one before must have been waited for."""

        def work() -> CaseOutcome:
            outcome = finish()
            if self._at_once is not None:
                self._at_once(outcome)
            return outcome

        self._case = self._thread.submit(work)

    def stop_if_left(self) -> None:
        """Raise `Abandoned` where the run was left; called before each step and before the record is written."""
        if self._stop.is_set():
            raise Abandoned

    def outcome(self) -> Iterator[CaseOutcome]:
        """Wait for the case being finished, if there is one; yields its outcome unless `at_once` has heard it."""
        case, self._case = self._case, None
        if case is None:
            return
        outcome = case.result()
        if self._at_once is None:
            yield outcome
