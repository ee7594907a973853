"""Damages good files of every kind that medseg reads, thousands of times, and gives them to its readers and verbs.

python tests/fuzz/run.py --count 10000 --jobs 2: each file is damaged, read and given to a verb in a child process with
limits of memory and time. Nothing may crash the parent or hang, no message may say that there is a bug, no file whose
checksum or length tells of the damage may be read as if nothing were, and no temporary file may stay. What fails is
kept in --keep. Exit code 1 where anything failed.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1]), str(HERE.parent / "infer")]

from fuzz_mutations import mutate  # noqa: E402
from fuzz_seeds import Seed, make_seeds  # noqa: E402
from fuzz_survive import READ, Outcome, Task, survive  # noqa: E402

from medseg.errors import MedsegError, ResourceLimit  # noqa: E402
from medseg.isolation.each import each_isolated  # noqa: E402
from medseg.isolation.process import Guard  # noqa: E402

FAILURES = ("crash", "bug", "silent", "left", "limit")
LIMITS = Guard(memory=3.0, seconds=60.0)


def fuzz(seeds: list[Seed], count: int, first: int, jobs: int) -> Iterator[tuple[Task, Outcome]]:
    """Yield what became of each damaged file in a verb, and in the readers by themselves.

    Here neither has processes of its own for libraries in C, so a crash of one costs the child, and is counted. A verb
    runs once more then, as a user's would, and is a failure if that crashes as well.
    """
    tasks = (
        Task(seed, number, step)
        for number in range(first, first + count)
        for seed in (seeds[number % len(seeds)],)
        for step in ("verb", *(("read",) if seed.role in READ else ()))
    )
    for task, result in each_isolated(survive, tasks, LIMITS, jobs=jobs):
        if isinstance(result, ResourceLimit):
            yield task, Outcome("?", "limit", str(result))
        elif isinstance(result, MedsegError):
            is_crash = "crashed" in str(result) or "killed" in str(result)
            yield task, Outcome("?", "in C" if is_crash else "bug", str(result))
            if is_crash and task.step == "verb":
                yield from ((task, outcome) for outcome in survive(replace(task, as_user=True)))
        else:
            yield from ((task, outcome) for outcome in result)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first damage")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--only", help="names of seeds, separated by commas")
    options = parser.parse_args()
    counts: Counter[tuple[str, str]] = Counter()
    failed = 0
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-seeds-") as folder:
        seeds = make_seeds(Path(folder))
        if options.only:
            seeds = [seed for seed in seeds if seed.name in options.only.split(",")]
        for task, outcome in fuzz(seeds, options.count, options.first, options.jobs):
            counts[task.seed.name, outcome.verdict] += 1
            if outcome.verdict in (*FAILURES, "in C"):
                failed += outcome.verdict in FAILURES
                which = f"{task.seed.name} {task.number} {task.step} ({outcome.damage})"
                print(f"{which}: {outcome.verdict}: {outcome.detail}", flush=True)
                keep(task, options.keep)
    verdicts = ("read", "refused", "in C", *FAILURES)
    print(f"{'seed':<22}" + "".join(f"{verdict:>9}" for verdict in verdicts))
    for name in sorted({name for name, _ in counts}):
        print(f"{name:<22}" + "".join(f"{counts[name, verdict]:>9}" for verdict in verdicts))
    total = {verdict: sum(n for (_, v), n in counts.items() if v == verdict) for verdict in verdicts}
    print(f"{'all':<22}" + "".join(f"{total[verdict]:>9}" for verdict in verdicts))
    print(
        f"{options.count} damaged files in {time.monotonic() - begun:.0f} s; {failed} failures, kept in {options.keep}"
    )
    return 1 if failed else 0


def keep(task: Task, folder: Path) -> None:
    """Leave the damaged file, beside what surrounds it, for a second look."""
    place = folder / f"{task.seed.name.replace('/', '-')}-{task.number}"
    if not place.exists():
        shutil.copytree(task.seed.folder, place)
        damaged = place / task.seed.damaged
        damaged.write_bytes(mutate(damaged.read_bytes(), task.number)[0])


if __name__ == "__main__":
    sys.exit(main())
