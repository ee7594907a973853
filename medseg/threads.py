"""Threads that compute parts of one array side by side: NumPy lets others run while it computes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Lock
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def thread_limit() -> int | None:
    """How many threads this process is told to use at most, as schedulers say by OMP_NUM_THREADS; None: not told."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # one number a level of nested threads
    return int(first) if first.isascii() and first.isdecimal() and int(first) > 0 else None


# Of the machine, or of those this process may use; more than 8 wait for memory.
CORES = min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def side_by_side(compute: Callable[[Item], Result], parts: Iterable[Item]) -> list[Result]:
    """Compute every part, several at a time where there are several cores; results in the order of the parts.

    What is computed must not itself use this function, and must leave alone what other parts write.

    Parameters
    ----------
    compute : callable
        Of one part. The first error is raised, once all parts have ended or been left.
    parts : iterable
        Not too small: handing one over takes some 20 microseconds.
    """
    items = list(parts)
    if len(items) <= 1 or CORES == 1:
        return [compute(part) for part in items]
    return list(_pool().map(compute, items))


class OneAtATime:
    """A lock that a forked child finds open: there is no thread in it that could open it."""

    def __init__(self) -> None:
        self._lock, self._owner = Lock(), os.getpid()

    def __enter__(self) -> None:
        if self._owner != os.getpid():
            self._lock, self._owner = Lock(), os.getpid()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(CORES, thread_name_prefix="part")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # its threads stayed with the parent
