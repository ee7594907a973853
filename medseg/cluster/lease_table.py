"""Which cases wait, which worker of a cluster has which, and which case brings workers down; nothing of the cluster."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

Worker = TypeVar("Worker", bound=Hashable)
Case = TypeVar("Case", bound=Hashable)

# Tries of a case whose workers die; two may be bad luck, such as two machines that are switched off.
TRIES = 3
# Cases that one worker is given at a time, so that it reads one while it computes another. Fewer towards the end, so
# that no worker has many left when the others have none.
MOST_AT_ONCE = 8
PER_WORKER = 4


class LeaseTable(Generic[Worker, Case]):
    """Leases cases to workers: every case ends once, whatever happens to the workers.

    A worker that is lost gives back what it has not ended. The cases it had in hand are suspected: each is tried again
    with nothing beside it, so that the guilty one is lost alone, and blamed when that has happened three times.
    """

    def __init__(self, cases: Sequence[Case]) -> None:
        self._waiting = deque(cases)
        self._leased: dict[Worker, list[Case]] = {}
        self._in_hand: dict[Worker, list[Case]] = {}
        self._losses: Counter[Case] = Counter()
        self._open = set(cases)
        self.lost: set[Case] = set()  # that a worker had when it was lost

    @property
    def is_over(self) -> bool:
        """Whether every case has ended."""
        return not self._open

    @property
    def n_open(self) -> int:
        """Number of cases that have not ended."""
        return len(self._open)

    @property
    def n_waiting(self) -> int:
        """Number of cases that no worker has."""
        return len(self._waiting)

    @property
    def leased(self) -> set[Case]:
        """Cases that workers have now."""
        return {case for cases in self._leased.values() for case in cases}

    def lease(self, worker: Worker, n_workers: int) -> tuple[Case, ...]:
        """Give a worker that has no cases the next ones, as one of `n_workers`; () where none waits."""
        if worker in self._leased:
            raise ValueError("the worker has cases already")
        if not self._waiting:
            return ()
        size = 1
        if not self._losses[self._waiting[0]]:
            size = max(1, min(MOST_AT_ONCE, len(self._waiting) // (PER_WORKER * max(1, n_workers))))
        cases = [self._waiting.popleft()]
        while len(cases) < size and self._waiting and not self._losses[self._waiting[0]]:
            cases.append(self._waiting.popleft())
        self._leased[worker] = cases
        self._in_hand[worker] = []
        return tuple(cases)

    def take_in_hand(self, worker: Worker, case: Case) -> None:
        """Note that a worker has begun a case."""
        if case not in self._in_hand[worker]:
            self._in_hand[worker].append(case)

    def end(self, worker: Worker, case: Case) -> bool:
        """Note that a worker has ended a case; whether that is news."""
        for cases in (self._leased[worker], self._in_hand[worker]):
            if case in cases:
                cases.remove(case)
        is_news = case in self._open
        self._open.discard(case)
        return is_news

    def hand_back(self, worker: Worker) -> None:
        """Note that a worker is through with its lease; what it did not end waits again."""
        left = self._leased.pop(worker)
        del self._in_hand[worker]
        self._waiting.extendleft(reversed(left))

    def lose(self, worker: Worker) -> tuple[Case, ...]:
        """Note that a worker is gone; return the cases that are to blame, which end with it.

        Where it is not known to have begun any of its cases, the first one is suspected.
        """
        left = self._leased.pop(worker, [])
        self.lost.update(left)
        suspects = self._in_hand.pop(worker, []) or left[:1]
        self._losses.update(suspects)
        blamed = tuple(case for case in suspects if self._losses[case] >= TRIES)
        self._open.difference_update(blamed)
        # The others first: a suspect that is guilty is lost again, and must hold up nobody.
        self._waiting.extendleft(reversed([case for case in left if case not in suspects]))
        self._waiting.extend(case for case in suspects if case not in blamed)
        return blamed
