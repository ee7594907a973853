"""Where workers may run on the machines of a cluster."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

# CPUs of a worker where nothing is said: inference gains little from more, and another worker gains all of it.
CPUS = 4
# Part of a machine's memory that all its workers may use together.
MEMORY = 0.9


@dataclass(frozen=True)
class Machine:
    """A machine of a cluster, with what the cluster counts there; `memory` in bytes."""

    node: str
    host: str
    cpus: int
    gpus: int
    memory: float


@dataclass(frozen=True)
class Place:
    """Where one worker may run: a machine, and which of its workers it is, of `count`.

    `gib` is the worker's part of the machine's memory, `of_cpus` how many CPUs the cluster counts there, and `folder`
    the one that the run was started in.
    """

    node: str
    host: str
    index: int
    count: int
    cpus: int
    of_cpus: int
    gpus: int
    gib: float
    folder: Path = field(default_factory=Path.cwd)

    def enter(self) -> None:
        """Let relative paths of scans and models mean what they mean to the run; a machine may not have its folder."""
        with suppress(OSError):
            os.chdir(self.folder)


def places_on(machines: Iterable[Machine], *, cpus: int | None, use_gpus: bool) -> list[Place]:
    """Return where workers may run: one a GPU on machines with GPUs that may be used, else one per `cpus` CPUs.

    The first worker of every machine comes before the second of any.
    """
    found: list[Place] = []
    for machine in machines:
        if not machine.cpus:
            continue
        gpus = machine.gpus if use_gpus else 0
        each = cpus or (max(1, machine.cpus // gpus) if gpus else min(CPUS, machine.cpus))
        count = min(gpus, machine.cpus // each) if gpus else machine.cpus // each
        gib = MEMORY * machine.memory / 2**30 / max(1, count)
        found += [
            Place(machine.node, machine.host, index, count, each, machine.cpus, int(gpus > 0), gib)
            for index in range(count)
        ]
    return sorted(found, key=lambda place: place.index)
