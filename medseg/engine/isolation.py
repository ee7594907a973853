"""Runs the cases in a process of their own, so that a crash, a hang or a flood of memory costs one case, not the batch.

The worker is started again after the case that brought it down. It is an ordinary subprocess and no `multiprocessing`
child, because the latter runs the caller's script a second time. The two processes talk over a local socket with a
key made for the occasion; what they send each other are medseg's own types.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, Listener

import psutil

from medseg.engine.outcomes import Work, failure, pending, record_failure
from medseg.errors import MedsegError, UsageError
from medseg.log_file import console_level
from medseg.types.run import CaseOutcome, Preparing, WindowsDone
from medseg.types.scan import FoundScan

LOOK_EVERY = 0.2
STDERR = 2
TOO_LONG = ("it took longer than one case may", "Allow more with --max-seconds.")


@dataclass(frozen=True)
class Guard:
    """What one case may use: GiB of resident memory, else 9/10 of what is free at the start; seconds of wall time."""

    memory: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name, limit in (("memory", self.memory), ("seconds", self.seconds)):
            if limit is not None and not limit > 0:
                raise UsageError(f"--max-{name} {limit:g}: must be more than 0", fix="Omit it to set no limit.")


def run_isolated(
    work: Work, cases: Sequence[FoundScan], guard: Guard
) -> Generator[FoundScan | Preparing | WindowsDone | CaseOutcome, None, None]:
    """Run the cases in a worker process, in order, starting it again whenever a case brings it down.

    Where the worker dies with two cases in hand, one computed and one finished beside it, nobody knows which did it:
    both are run again with nothing beside them, so that the guilty one pays alone.

    Yields what `run_cases` yields and announces, and raises what it raises.
    """
    limit = guard.memory * 2**30 if guard.memory else 0.9 * psutil.virtual_memory().available
    left = list(cases)
    alone = 0
    while left:
        with _Worker() as worker:
            worker.connection.send((work, left, alone))
            in_hand: dict[FoundScan, float] = {}  # since when
            begun = time.monotonic()
            while left:
                message, why = worker.next_message(limit, _deadline(in_hand, guard))
                if message is None and len(in_hand) > 1 and why != TOO_LONG:
                    alone = len(in_hand)
                    break
                if message is None:
                    # Over its time is the case longest in hand. Brought down before it took a case in hand, the worker
                    # would be so again: the first case pays.
                    found = next(iter(in_hand), left[0])
                    outcome = failure(pending(found, work.out), *why)
                    record_failure(outcome)
                    left.remove(found)
                    alone = max(0, alone - 1)
                    yield replace(outcome, seconds=time.monotonic() - in_hand.get(found, begun))
                    break
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


class _Worker:
    """The process, for as long as it lives."""

    connection: Connection

    def __enter__(self) -> _Worker:
        key = secrets.token_bytes(32)
        # In between lie messages for a log without a progress bar in it.
        level = logging.DEBUG if console_level() <= logging.DEBUG else logging.WARNING
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(entry for entry in sys.path if entry))
        with Listener(authkey=key) as listener:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "medseg.engine.worker"],
                stdin=subprocess.PIPE,
                # The caller's standard output carries data; whatever a library prints in here must not reach it.
                stdout=STDERR,
                env=environment,
            )
            assert self.process.stdin is not None
            self.process.stdin.write(f"{os.getpid()}\n{listener.address}\n{key.hex()}\n{level}\n".encode())
            self.process.stdin.close()
            self.connection = listener.accept()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.connection.close()
        if kind is not None:
            self.process.kill()
        try:
            self.process.wait(5.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def next_message(
        self, limit: float, deadline: float | None
    ) -> tuple[FoundScan | Preparing | WindowsDone | CaseOutcome | MedsegError | None, tuple[str, str]]:
        """Wait for the next message of the worker; None and the reason when it died or had to be stopped."""
        while True:
            try:
                if self.connection.poll(LOOK_EVERY):
                    return self.connection.recv(), ("", "")
            except (EOFError, OSError):
                return None, self._why_it_died()
            if deadline is not None and time.monotonic() > deadline:
                self.process.kill()
                return None, TOO_LONG
            used = self._memory()
            if used > limit:
                self.process.kill()
                what = f"it needed more than the {limit / 2**30:.1f} GiB of memory one case may have"
                return None, (what, "Allow more with --max-memory, or use a machine with more memory.")

    def _memory(self) -> float:
        try:
            return float(psutil.Process(self.process.pid).memory_info().rss)
        except psutil.Error:
            return 0.0

    def _why_it_died(self) -> tuple[str, str]:
        code = self.process.wait()
        if code == -signal.SIGKILL:
            return (
                "the system killed it, most likely because memory ran out",
                "Use a machine with more memory.",
            )
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"the program crashed on it ({how})", "Check the file in another program, and report it."
