"""What a machine of a cluster holds for a batch: a worker process with the models, as on one machine."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medseg.cluster.places import Place
from medseg.engine.isolation import CaseEvent, CaseProcess
from medseg.engine.outcomes import Work
from medseg.errors import Interrupted, MedsegError, UsageError
from medseg.isolation.process import Guard
from medseg.types.run import WindowsDone
from medseg.types.scan import FoundScan
from medseg.versions import versions

# Seconds between two messages of how far the network has come in a case.
WINDOWS_EVERY = 1.0
# Seconds between two looks at whether the run is still there.
LOOK_FOR_RUN = 1.0
# Seconds until a file written by one machine is seen by another; network file systems keep what they know for a while.
SECONDS_TO_SEE = 10.0


@dataclass(frozen=True)
class Shared:
    """What every machine must have: a mark in the output folder, files of the first case, and the driver's version."""

    mark: Path
    files: tuple[Path, ...]
    version: str


class CaseActor:
    """Runs the cases it is leased in a process of its own, whose crashes cost a case and not the worker."""

    def __init__(self, work: Work, guard: Guard, place: Place) -> None:
        self.place = place
        place.enter()
        _use_cores(place)
        self.process = CaseProcess(work, replace(guard, memory=guard.memory or place.gib))

    def check(self, shared: Shared) -> Iterator[MedsegError]:
        """Yield an error where this machine cannot do the work; nothing where it can."""
        where = f"machine {self.place.host} of the cluster"
        here = versions()["medseg"]
        if here != shared.version:
            yield UsageError(f"it has medseg {here}, not {shared.version}", where=where, fix="Install the same on all.")
        elif not _appears(shared.mark):
            yield UsageError(
                "it does not see the output folder", where=where, fix="Choose an --out that all machines share."
            )
        elif not all(_appears(file) for file in shared.files):
            yield UsageError("it does not see the scans", where=where, fix="Put them where all machines see them.")
        threading.Thread(target=self._end_with, args=(shared.mark,), daemon=True).start()

    def _end_with(self, mark: Path) -> None:
        """End when the run does: where the driver is lost, nobody calls `end`, and the cluster takes a while."""
        while mark.exists():
            time.sleep(LOOK_FOR_RUN)
        self.end()

    def run(self, cases: Sequence[FoundScan]) -> Iterator[CaseEvent | MedsegError]:
        """Run the cases and yield what happens; an error that is no case's ends it."""
        last_sent = 0.0
        try:
            for event in self.process.run(cases):
                if isinstance(event, WindowsDone):
                    if time.monotonic() - last_sent < WINDOWS_EVERY:
                        continue
                    last_sent = time.monotonic()
                yield event
        except MedsegError as error:
            yield error
        except Interrupted:
            return

    def end(self) -> None:
        """End the process in the middle of its case, which is left undone."""
        self.process.stop()


def _use_cores(place: Place) -> None:
    """Keep workers on the same machine off each other's cores, where the cluster has the whole machine."""
    if place.gpus or not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == place.of_cpus:
        os.sched_setaffinity(0, cores[place.index * place.cpus :][: place.cpus])


def _appears(file: Path) -> bool:
    until = time.monotonic() + SECONDS_TO_SEE
    while not file.exists():
        if time.monotonic() > until:
            return False
        time.sleep(0.5)
    return True
