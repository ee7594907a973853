"""Examines many cases, several at a time in processes of their own; what is kept of them is bounded.

A case that ends its process, by a crash or by taking more than its part of the memory, is examined again alone when
all others are done; if that ends the process too, the case is what is wrong.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil

from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.examine import VOXELS_A_CASE, Examined, Trouble, examine
from medseg.data.examined_journal import ExaminedJournal
from medseg.errors import MedsegError
from medseg.isolation.each import each_isolated
from medseg.isolation.process import POSSIBLE
from medseg.progress import count_bar

# Intensities kept of all cases together, for the fingerprint: 10,000 a case for 400 cases, fewer of each beyond.
VOXELS_IN_ALL = 4_000_000
# Less than this for each worker is done sooner than another is started.
CASES_A_WORKER, BYTES_A_WORKER = 16, 128 * 2**20
# What a worker holds with an ordinary case in hand.
MEMORY_A_WORKER = 2**30


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
    # The dataset goes to every process once, its cases one by one to whichever is free.
    function = partial(_examine_one, replace(data, cases=data.cases[:1]), most)
    failed: list[DatasetCase] = []
    for case, found in each_isolated(function, cases, jobs=workers):
        if isinstance(found, MedsegError):
            failed.append(case)
        else:
            yield found
    for case, found in each_isolated(function, failed):
        yield Examined(case, Trouble("unreadable", found.what)) if isinstance(found, MedsegError) else found


def _examine_one(data: Dataset, most: int, case: DatasetCase) -> Examined:
    return next(examine(data, [case], most=most))
