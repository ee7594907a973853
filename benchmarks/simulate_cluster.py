"""Simulates what a million studies cost on a hundred machines; writes docs/benchmarks/cluster.md.

    python benchmarks/simulate_cluster.py [--cases 1000000] [--machines 100] [--out FILE]

The leases are those of `medseg.cluster.lease_table`, the very code that a real run uses; everything else is a model:

- a case computes for a time drawn from a log-normal distribution of a given mean and coefficient of variation, on a
  machine that is faster or slower than others by a factor drawn once;
- before, its file comes from storage that serves all machines one file after another; within a lease the next file is
  read while a case computes;
- every message of a case to the driver takes the driver some time, one after another;
- a machine fails after an exponentially distributed time, loses all its workers, and is back after a while;
- a poisonous case takes its worker down in the middle of it;
- a worker needs a while to start and load the model.

Times that were measured are inputs, and the page names where they were. With the same seed, the same figures come out.
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path

from markdown import table

from medseg.cluster.lease_table import LeaseTable

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks" / "cluster.md"


@dataclass(frozen=True)
class Setting:
    """What is simulated; seconds, megabytes and hours."""

    cases: int = 1_000_000
    machines: int = 100
    workers: int = 8  # a machine
    seconds: float = 6.3  # of computing, on the average
    variation: float = 0.5  # standard deviation over mean
    machine_variation: float = 0.1
    megabytes: float = 8.0  # of a case's file
    storage: float = 2000.0  # megabytes a second, for all machines together
    start: float = 15.0
    hours_between_failures: float = 1000.0  # of one machine
    repair: float = 1800.0
    poison: int = 20  # cases
    message: float = 0.005  # of the driver, for each of three messages of a case
    leased: bool = True  # else each worker has a fixed part of the cases, as with --shard
    seed: int = 0


@dataclass
class Outcome:
    """What a simulated run came to."""

    hours: float = 0.0
    computed: float = 0.0  # seconds, of cases that ended
    lost: float = 0.0  # seconds, of cases that a worker was lost with
    retries: int = 0
    blamed: int = 0
    failures: int = 0
    waited: float = 0.0  # seconds that workers waited for storage
    driver: float = 0.0  # seconds that the driver worked


MESSAGES = 3  # a case begins, its windows, it ends


class Shards:
    """Fixed parts, with the interface of the lease table: what a worker was lost with, the same worker does again."""

    def __init__(self, cases: int, workers: int) -> None:
        self.left = [deque(range(number, cases, workers)) for number in range(workers)]
        self.open = cases
        self.tries: dict[int, int] = {}

    @property
    def is_over(self) -> bool:
        return not self.open

    def lease(self, worker: int, _n_workers: int) -> tuple[int, ...]:
        return tuple(list(self.left[worker])[:1]) if self.left[worker] else ()

    def take_in_hand(self, worker: int, case: int) -> None:
        pass

    def end(self, worker: int, case: int) -> bool:
        self.left[worker].remove(case)
        self.open -= 1
        return True

    def hand_back(self, worker: int) -> None:
        pass

    def lose(self, worker: int) -> tuple[int, ...]:
        return ()


class Simulation:
    """A run, event after event; a worker that was lost ignores the events of its life before."""

    def __init__(self, setting: Setting) -> None:
        self.setting, self.outcome = setting, Outcome()
        self.random = random.Random(setting.seed)
        self.n_workers = setting.machines * setting.workers
        self.table: LeaseTable[int, int] | Shards
        self.table = LeaseTable(range(setting.cases)) if setting.leased else Shards(setting.cases, self.n_workers)
        self.poison = set(self.random.sample(range(setting.cases), setting.poison))
        self.speed = [max(0.5, self.random.gauss(1, setting.machine_variation)) for _ in range(setting.machines)]
        self.life = [0] * self.n_workers
        self.cases: list[deque[int]] = [deque() for _ in range(self.n_workers)]
        self.in_hand: list[tuple[int, float] | None] = [None] * self.n_workers
        self.ready_at = [0.0] * self.n_workers  # the file read ahead
        self.idle: set[int] = set()
        self.storage_free = self.driver_free = 0.0
        self.events: list[tuple[float, int, str, int, int]] = []
        self.number = 0
        variance = setting.variation**2
        self.sigma = math.log(1 + variance) ** 0.5
        self.mu = math.log(setting.seconds) - self.sigma**2 / 2

    def at(self, time: float, what: str, who: int) -> None:
        self.number += 1
        life = self.life[who] if what != "fail" else 0
        heapq.heappush(self.events, (time, self.number, what, who, life))

    def run(self) -> Outcome:
        setting = self.setting
        for worker in range(self.n_workers):
            self.at(setting.start, "lease", worker)
        for machine in range(setting.machines):
            self.at(self.until_failure(), "fail", machine)
        now = 0.0
        while not self.table.is_over:
            now, _, what, who, life = heapq.heappop(self.events)
            if what == "fail":
                self.fail(now, who)
            elif life == self.life[who]:
                getattr(self, what)(now, who)
        self.outcome.hours = now / 3600
        return self.outcome

    def until_failure(self) -> float:
        return self.random.expovariate(1 / (self.setting.hours_between_failures * 3600))

    def lease(self, now: float, worker: int) -> None:
        cases = self.table.lease(worker, self.n_workers)
        if not cases:
            self.idle.add(worker)
            return
        self.idle.discard(worker)
        self.cases[worker] = deque(cases)
        self.ready_at[worker] = self.read(now)
        self.begin(now, worker)

    def read(self, now: float) -> float:
        self.storage_free = max(now, self.storage_free) + self.setting.megabytes / self.setting.storage
        return self.storage_free

    def begin(self, now: float, worker: int) -> None:
        case = self.cases[worker].popleft()
        self.driver_free = max(now, self.driver_free) + MESSAGES * self.setting.message
        self.outcome.driver += MESSAGES * self.setting.message
        begins = max(now, self.ready_at[worker], self.driver_free)
        self.outcome.waited += max(0.0, self.ready_at[worker] - now)
        if self.cases[worker]:
            self.ready_at[worker] = self.read(begins)
        self.table.take_in_hand(worker, case)
        seconds = self.random.lognormvariate(self.mu, self.sigma) * self.speed[worker // self.setting.workers]
        self.in_hand[worker] = (case, begins)
        if case in self.poison:
            self.at(begins + seconds / 2, "crash", worker)
        else:
            self.at(begins + seconds, "end", worker)

    def end(self, now: float, worker: int) -> None:
        taken = self.in_hand[worker]
        assert taken is not None
        case, begun = taken
        self.in_hand[worker] = None
        self.outcome.computed += now - begun
        self.table.end(worker, case)
        if self.cases[worker]:
            self.begin(now, worker)
        else:
            self.table.hand_back(worker)
            self.lease(now, worker)

    def crash(self, now: float, worker: int) -> None:
        if not self.setting.leased:  # in its own process it fails by itself, and costs a start
            taken = self.in_hand[worker]
            assert taken is not None
            self.table.end(worker, taken[0])
            self.outcome.blamed += 1
        self.lose(now, worker, self.setting.start)

    def fail(self, now: float, machine: int) -> None:
        self.outcome.failures += 1
        for worker in range(machine * self.setting.workers, (machine + 1) * self.setting.workers):
            self.lose(now, worker, self.setting.repair + self.setting.start)
        self.at(now + self.setting.repair + self.until_failure(), "fail", machine)

    def lose(self, now: float, worker: int, back_in: float) -> None:
        taken = self.in_hand[worker]
        if taken is not None:
            self.outcome.lost += max(0.0, now - taken[1])
            self.outcome.retries += 1
            self.outcome.blamed += len(self.table.lose(worker))
        self.in_hand[worker] = None
        self.cases[worker].clear()
        self.idle.discard(worker)
        self.life[worker] += 1
        self.at(now + back_in, "lease", worker)
        for other in sorted(self.idle):  # those that had nothing to do take what is left
            self.idle.discard(other)
            self.at(now, "lease", other)


def row(setting: Setting) -> list[object]:
    """Figures of a setting, for the page."""
    outcome = Simulation(setting).run()
    workers = setting.machines * setting.workers
    ideal = outcome.computed / workers / 3600
    return [
        f"{outcome.hours:.2f}",
        f"{outcome.hours * setting.machines:.0f}",
        f"{100 * ideal / outcome.hours:.1f} %",
        f"{100 * outcome.waited / (outcome.hours * 3600 * workers):.1f} %",
        f"{100 * outcome.driver / (outcome.hours * 3600):.0f} %",
        outcome.failures,
        f"{outcome.retries:,}",
        outcome.blamed,
    ]


def settings(base: Setting) -> dict[str, Setting]:
    """What the page compares."""
    return {
        "as measured": base,
        "the same in fixed shards": replace(base, leased=False),
        "nothing ever fails": replace(base, hours_between_failures=1e9, poison=0),
        "machines fail once in 50 hours": replace(base, hours_between_failures=50),
        "the same in fixed shards, failing": replace(base, hours_between_failures=50, leased=False),
        "storage of 500 MB/s": replace(base, storage=500),
        "large cases: 60 s, 150 MB": replace(base, seconds=60, megabytes=150),
        "one GPU a machine: 3 s": replace(base, workers=1, seconds=3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--machines", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=Setting.seconds, help="of a case, measured on a worker")
    parser.add_argument("--megabytes", type=float, default=Setting.megabytes)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=PAGE)
    given = parser.parse_args()
    base = Setting(given.cases, given.machines, seconds=given.seconds, megabytes=given.megabytes, seed=given.seed)
    columns = ["hours", "machine-hours", "computing", "waiting for storage", "driver busy"]
    columns += ["machines failed", "workers lost with a case", "cases blamed"]
    rows = {name: row(setting) for name, setting in settings(base).items()}
    text = TEXT.format(table=table(columns, rows), **vars(base))
    given.out.write_text(text, encoding="utf-8")


TEXT = """# A million studies on a hundred machines, simulated

Written by `python benchmarks/simulate_cluster.py`, whose head says what is modeled. The table of leases is the one that
`medseg predict --ray` uses; machines, storage and failures are simulated, and no cluster of this size was at hand.

{cases:,} cases on {machines} machines with {workers} workers of two CPUs each, seed {seed}. Inputs:

| input | value | from |
| --- | --- | --- |
| seconds a case computes on a worker | {seconds} | [a whole case](whole-case.md), OpenVINO bfloat16 on 2 cores |
| standard deviation of that | {variation:.0%} | assumed |
| machines differ in speed by | {machine_variation:.0%} | assumed |
| a case's file | {megabytes} MB | assumed, a scan of 144 x 144 x 144 voxels compressed |
| storage, for all machines together | {storage:.0f} MB/s | assumed |
| start of a worker | {start:.0f} s | assumed |
| a machine fails once in | {hours_between_failures:.0f} hours, and is back after {repair:.0f} s | assumed |
| cases that take their worker down | {poison} | assumed |
| the driver's time for a message | {message} s, three a case | [measured](ray.md) |

{table}

"Computing" is the part of all workers' time that went into cases that ended. Fixed shards are those of `--shard K/N`,
one a worker, whose worker does the rest of its shard when its machine is back. Not in the figures: finding the cases
before ([finding](finding.md)), and the tables and report that are refreshed meanwhile.

What this says: with short cases on 800 workers the one driver decides. It is busy all the time, and half of what the
workers could compute is lost; several runs at once, each with a driver and a part of the cases (`--shard`), are the
way out. Where cases take longer, or workers are fewer, the sum of computing decides, and leases keep nearly all workers
busy until the end, where fixed shards wait for the slowest machine and for those that failed. Storage that is too slow
for the machines costs more than everything that fails.

Throughput of two workers against one: [measured](ray.md).
"""

if __name__ == "__main__":
    main()
