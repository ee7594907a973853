"""Measures how many cases two workers of a Ray cluster do in the time of one, on work that memory does not hold up.

    python benchmarks/bench_cluster.py [--cases 60] [--seconds 1.0] [--out docs/benchmarks/ray.md]

Each case hashes for about so many CPU seconds in one thread and writes a small file. A cluster of one CPU and one of
two are started on this machine, one after the other; the time counts from the first case that ends to the last, so
that no start is in it. Also the driver's CPU time for each message. Needs two free cores and the extra `ray`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
from pydantic import BaseModel

from medseg.types import FoundScan
from medseg.types.stage import RunContext

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))
from markdown import load, table, write  # noqa: E402


class Options(BaseModel):
    rounds: int = 0


class Burn:
    """A stage that hashes."""

    Options = Options

    def __init__(self, options: Options) -> None:
        self.options = options

    def identity(self) -> Mapping[str, Any]:
        return {}

    def run(self, item: FoundScan, context: RunContext) -> FoundScan:
        digest = b""
        for _ in range(self.options.rounds):
            digest = hashlib.sha256(digest * 100).digest()
        (context.case_folder / "digest.txt").write_text(digest.hex())
        return item


def rounds_of(seconds: float) -> int:
    """How many rounds take so long on this machine now."""
    count, digest, began = 0, b"", time.process_time()
    while time.process_time() - began < 1.0:
        for _ in range(1000):
            digest = hashlib.sha256(digest * 100).digest()
        count += 1000
    return int(count * seconds)


def cpu_seconds() -> float:
    """CPU seconds of this process and of the one that speaks with the cluster for it."""
    (driver,) = [one for one in psutil.Process().children() if "medseg.cluster.driver" in one.cmdline()]
    return time.process_time() + sum(driver.cpu_times()[:2])


def one(workers: int, cases: int, rounds: int) -> dict[str, float]:
    """Run the cases on a cluster of this many CPUs; called in a process of its own."""
    import ray

    from medseg.cluster.connection import OnCluster, connected
    from medseg.engine.cluster_cases import run_on_cluster
    from medseg.engine.outcomes import Work
    from medseg.engine.pipeline import Pipeline, Step
    from medseg.isolation.process import Guard
    from medseg.types.run import CaseOutcome

    ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, object_store_memory=100_000_000)
    import bench_cluster  # under this name the workers find it too

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "case.txt"
        source.write_text("a case")
        stage = bench_cluster.Burn(bench_cluster.Options(rounds=rounds))
        step = Step("burn", stage, "case", FoundScan)
        work = Work(Pipeline("burn", step, (step,), ()), Path(folder))
        found = [FoundScan(f"c{number:05d}", "nifti", (source,)) for number in range(cases)]
        ended, messages = [], 0
        with connected(OnCluster("local", 1)) as cluster:  # the one that was just started
            began = cpu_seconds()
            for event in run_on_cluster(work, found, Guard(), cluster):
                messages += 1
                if isinstance(event, CaseOutcome):
                    if event.state != "done":
                        raise SystemExit(f"{event.case_id}: {event.error}")
                    ended.append(time.monotonic())
            cpu = cpu_seconds() - began
    return {"cases_per_second": (len(ended) - 1) / (ended[-1] - ended[0]), "driver_ms": 1000 * cpu / messages}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", type=int, nargs=2, metavar=("WORKERS", "ROUNDS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(given.one[0], given.cases, given.one[1])))
        return
    if find_spec("ray") is None:
        print("Ray is not installed (pip install 'medseg[ray]'), so nothing is measured.")
        return
    rounds = rounds_of(given.seconds)
    paths = os.pathsep.join([str(HERE), str(HERE.parent)])
    environment = {**os.environ, "PYTHONPATH": paths, "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
    rates = {}
    for workers in (1, 2):
        command = [sys.executable, __file__, "--cases", str(given.cases), "--one", str(workers), str(rounds)]
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        rates[workers] = json.loads(done.stdout.splitlines()[-1])
        print(f"{workers} workers: {rates[workers]}")
    ratio = rates[2]["cases_per_second"] / rates[1]["cases_per_second"]
    print(f"two against one: {ratio:.2f}")
    if given.out is not None:
        rows = {
            f"{workers} worker{'s' if workers > 1 else ''}": [
                f"{one['cases_per_second']:.3f}",
                f"{one['driver_ms']:.2f}",
            ]
            for workers, one in rates.items()
        }
        about = (
            f"By `python benchmarks/bench_cluster.py`: {given.cases} cases that each hash for about {given.seconds:g} "
            "CPU seconds in one thread, so that memory holds nothing up, on a Ray cluster of one and of two CPUs of "
            "one machine. Starting is not counted."
        )
        said = (
            f"Two workers do {ratio:.2f} times the cases of one in the same time. Only a "
            "machine whose load is that of the workers alone says what a second one gains: other work takes its core."
        )
        write(
            given.out,
            "Two workers against one",
            [about, table(["cases a second", "CPU-ms of the driver for a message"], rows), said, load()],
        )


if __name__ == "__main__":
    main()
