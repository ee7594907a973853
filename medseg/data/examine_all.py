"""Examines many cases, several at a time in processes of their own; what is kept of them is bounded.

A case that ends its process, by a crash or by taking more than its part of the memory, is examined again alone when
all others are done; if that ends the process too, the case is what is wrong.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue

import psutil

from medseg.child_process import POSSIBLE, Child
from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.examine import VOXELS_A_CASE, Examined, Trouble, examine
from medseg.data.examined_journal import ExaminedJournal
from medseg.errors import ResourceLimit
from medseg.progress import count_bar

WORKER = "medseg.data.examine_worker"
# Intensities kept of all cases together, for the fingerprint: 10,000 a case for 400 cases, fewer of each beyond.
VOXELS_IN_ALL = 4_000_000
# Less than this for each worker is done sooner than another is started.
CASES_A_WORKER, BYTES_A_WORKER = 16, 128 * 2**20
# What a worker holds with an ordinary case in hand.
MEMORY_A_WORKER = 2**30
LOOK_EVERY = 0.2


def examine_all(
    data: Dataset, cases: Sequence[DatasetCase], *, folder: Path | None = None, jobs: int | None = None
) -> tuple[Examined, ...]:
    """Read each case once and measure it.

    Parameters
    ----------
    data : Dataset
        Whose they are.
    cases : sequence of DatasetCase
        What to examine.
    folder : Path, optional
        Where ``examined.jsonl`` keeps what was measured. Cases in there whose files are the same are not read again.
    jobs : int, optional
        How many cases are examined at a time; by default as many as cores and free memory allow.
    """
    most = voxels_a_case(len(cases))
    journal = None if folder is None else ExaminedJournal(folder, data, most)
    known = {} if journal is None else journal.read(cases)
    left = [case for case in cases if case.case_id not in known]
    with count_bar("audit", len(cases)) as advance:
        advance(len(known))
        for one in _each(data, left, most, workers_for(left, jobs)):
            known[one.case.case_id] = one
            if journal is not None:
                journal.add(one)
            advance(1)
    return tuple(known[case.case_id] for case in cases)


def voxels_a_case(cases: int) -> int:
    """Intensities kept of each of so many cases; halved now and then, so that a case more seldom changes it."""
    most = VOXELS_A_CASE
    while most * cases > VOXELS_IN_ALL and most > 1:
        most //= 2
    return most


def workers_for(cases: Sequence[DatasetCase], jobs: int | None) -> int:
    """Number of processes; 1 means this one."""
    if not POSSIBLE or len(cases) < 2:
        return 1
    if jobs is not None:
        return min(jobs, len(cases))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = psutil.virtual_memory().available // MEMORY_A_WORKER
    size = 0
    for case in cases:
        for path in case.files:
            with contextlib.suppress(OSError):
                size += path.stat().st_size
    worth = max(len(cases) // CASES_A_WORKER, size // BYTES_A_WORKER)
    return max(1, min(cores, memory, worth, len(cases)))


def _each(data: Dataset, cases: Sequence[DatasetCase], most: int, workers: int) -> Iterator[Examined]:
    """Every case, in the order in which they are done."""
    if workers == 1:
        yield from examine(data, cases, most=most)
        return
    memory = 0.9 * psutil.virtual_memory().available
    # The dataset goes to every worker, its cases one by one to whoever is free.
    frame = replace(data, cases=data.cases[:1])
    failed: list[DatasetCase] = []
    for one in _side_by_side(_Share(frame, most, memory / workers), cases, workers):
        if isinstance(one, Examined):
            yield one
        else:
            failed.append(one.case)
    for case in failed:
        for one in _side_by_side(_Share(frame, most, memory), [case], 1):
            yield one if isinstance(one, Examined) else Examined(case, Trouble("unreadable", one.why))


@dataclass(frozen=True)
class _Share:
    """What a worker is given: the dataset, the voxels to keep of a case, and the bytes it may hold."""

    data: Dataset
    most: int
    memory: float


@dataclass(frozen=True)
class _Ended:
    """A case that ended its process."""

    case: DatasetCase
    why: str


def _side_by_side(share: _Share, cases: Sequence[DatasetCase], workers: int) -> Iterator[Examined | _Ended]:
    """Every case, by threads that each keep one process busy."""
    crew = _Crew(share, deque(cases))
    threads = [threading.Thread(target=crew.work, daemon=True) for _ in range(min(workers, len(cases)))]
    for thread in threads:
        thread.start()
    try:
        for _ in cases:
            done = crew.done.get()
            if isinstance(done, BaseException):
                raise done
            yield done
    finally:
        crew.stopping.set()
        for thread in threads:
            thread.join()


@dataclass(frozen=True)
class _Crew:
    """What the threads share."""

    share: _Share
    waiting: deque[DatasetCase]
    done: SimpleQueue[Examined | _Ended | BaseException] = field(default_factory=SimpleQueue)
    stopping: threading.Event = field(default_factory=threading.Event)

    def work(self) -> None:
        """Have cases examined by a process, and by another where one has ended, until there are none."""
        worker: Child | None = None
        try:
            while not self.stopping.is_set():
                try:
                    case = self.waiting.popleft()
                except IndexError:
                    break
                worker = worker or self._started()
                found = self._examined(worker, case)
                if isinstance(found, _Ended):
                    worker.stop()
                    worker = None
                self.done.put(found)
        except BaseException as error:
            self.done.put(error)
        finally:
            if worker is not None:
                worker.stop()

    def _started(self) -> Child:
        worker = Child(WORKER)
        try:
            worker.connection.recv()
            worker.connection.send((self.share.data, self.share.most))
        except (EOFError, OSError) as error:
            worker.stop()
            raise ResourceLimit(
                "a process that examines cases cannot be started", fix="Examine them in this one: --jobs 1."
            ) from error
        return worker

    def _examined(self, worker: Child, case: DatasetCase) -> Examined | _Ended:
        try:
            worker.connection.send(case)
            while not worker.connection.poll(LOOK_EVERY):
                if self.stopping.is_set():
                    return _Ended(case, "stopped")
                if worker.memory() > self.share.memory:
                    return _Ended(case, f"reading it takes more than {self.share.memory / 2**30:.1f} GiB of memory")
            found: Examined = worker.connection.recv()
        except (EOFError, OSError):
            return _Ended(case, "reading it ends the process, by a crash of a library or for want of memory")
        return found
