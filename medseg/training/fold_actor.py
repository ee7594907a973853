"""What a machine of a cluster holds for a fold: a process that trains it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from subprocess import TimeoutExpired

from medseg.cluster.places import Place
from medseg.errors import MedsegError, UsageError
from medseg.isolation.process import ChildProcess
from medseg.training.training_run import TrainingRun
from medseg.versions import versions

MODULE = "medseg.training.fold_worker"
# Seconds in which a fold that is asked to stop ends its step and writes its checkpoint.
SECONDS_TO_STOP = 60.0


class FoldActor:
    """Trains folds, one at a time, each in a process of its own that a request to stop ends with a checkpoint."""

    def __init__(self, version: str, place: Place) -> None:
        self.place, self.version = place, version
        place.enter()
        self._child: ChildProcess | None = None

    def train(self, run: TrainingRun) -> Iterator[tuple[int, str] | MedsegError]:
        """Train a run and yield the lines of its log, with their levels; an error where it ends with one."""
        where = f"machine {self.place.host} of the cluster"
        here = versions()["medseg"]
        if here != self.version:
            yield UsageError(f"it has medseg {here}, not {self.version}", where=where, fix="Install the same on all.")
            return
        if not run.dataset.folder.exists() or not run.out.parent.exists():
            what = "it does not see the dataset and the output folder"
            yield UsageError(what, where=where, fix="Put both where all machines see them.")
            return
        with ChildProcess(MODULE) as child:
            self._child = child
            child.send((run, "cuda" if self.place.gpus else "cpu"))
            while True:
                message, why = child.next_message(math.inf, None)
                if message is None and why[0]:
                    yield MedsegError(f"a fold ended early: {why[0]}", where=run.out.name, fix=why[1])
                elif isinstance(message, tuple):
                    yield message
                    continue
                elif message is not None:
                    yield message
                return

    def end(self) -> None:
        """Stop the fold in hand; it writes a checkpoint."""
        if (child := self._child) is not None:
            child.process.terminate()
            with suppress(TimeoutExpired):
                child.process.wait(SECONDS_TO_STOP)
