"""Which part of the cases a process does, as a user or the scheduler of a cluster says."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from medseg.counted import counted
from medseg.errors import UsageError
from medseg.types.scan import Discovery

MOST_PARTS = 1_000_000
NAME_IT = "Name the part itself, for instance --shard 3/200."


@dataclass(frozen=True)
class Shard:
    """Which part of the cases this process does: number `index` of `count`, counting from 1.

    Parts `of_scheduler` were read from its environment, which says nothing of the run that a task repeats.
    """

    index: int = 1
    count: int = 1
    of_scheduler: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise UsageError(
                f"--shard {self.index}/{self.count}: the first number must lie between 1 and the second",
                fix="Write for instance --shard 1/4.",
            )
        if self.count > MOST_PARTS:
            raise UsageError(
                f"--shard {self.index}/{self.count}: more than {MOST_PARTS:,} parts",
                fix="Write for instance --shard 1/4.",
            )

    @property
    def name(self) -> str:
        """As the names of its files have it: ``3-of-200``."""
        return f"{self.index}-of-{self.count}"

    def own(self, discovery: Discovery) -> Discovery:
        """Return this shard's part of what was found, which is all of it where no more was looked for."""
        if discovery.elsewhere is not None:
            return discovery
        every = slice(self.index - 1, None, self.count)
        corrupt = [left for left in discovery.skipped if left.corrupt]
        rest = [left for left in discovery.skipped if not left.corrupt]
        found = discovery.found[every]
        elsewhere = len(discovery.found) + len(corrupt) - len(found) - len(corrupt[every])
        ids = [*(scan.case_id for scan in discovery.found), *(left.case_id or left.source for left in corrupt)]
        return Discovery(found, (*corrupt[every], *rest[every]), elsewhere, hash_of_list(ids))

    @classmethod
    def parse(cls, text: str, environment: Mapping[str, str] | None = None) -> Shard:
        """Read ``"k/n"``, ``"auto"`` or ``"auto/n"``; auto asks the scheduler's environment for the rest."""
        index, slash, count = (part.strip() for part in text.partition("/"))
        if index == "auto" and (not slash or _is_whole(count)):
            given = os.environ if environment is None else environment
            return replace(_scheduled(given, int(count) if slash else None), of_scheduler=True)
        if not (slash and _is_whole(index) and _is_whole(count)):
            raise UsageError(f"--shard {text}: not of the form k/n", fix="Write for instance --shard 1/4.")
        return cls(int(index), int(count))


def hash_of_list(case_ids: Iterable[str]) -> str:
    """Return a hash over the ids of all cases in their order: shards of other lists are no shards of one run."""
    return hashlib.sha256(json.dumps(list(case_ids)).encode()).hexdigest()


def _scheduled(environment: Mapping[str, str], count: int | None) -> Shard:
    environment = {name: value for name, value in environment.items() if value}  # an empty one is not set
    if "SLURM_ARRAY_TASK_ID" in environment:
        return _of_slurm(environment, count)
    if "JOB_COMPLETION_INDEX" in environment:
        return _of_kubernetes(environment, count)
    raise UsageError(
        "--shard auto: neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set, so this is no task of an array",
        fix=f"Start it as a task of a SLURM array or of a Kubernetes Indexed Job. {NAME_IT}",
    )


def _of_slurm(environment: Mapping[str, str], count: int | None) -> Shard:
    """A task of an array that is a range from 0 or 1 on, in whatever steps."""
    task = _whole(environment, "SLURM_ARRAY_TASK_ID")
    tasks, first, last = (
        _whole(environment, f"SLURM_ARRAY_TASK_{name}") if f"SLURM_ARRAY_TASK_{name}" in environment else None
        for name in ("COUNT", "MIN", "MAX")
    )
    step = _whole(environment, "SLURM_ARRAY_TASK_STEP") if "SLURM_ARRAY_TASK_STEP" in environment else 1
    if tasks is None:
        raise UsageError("--shard auto: SLURM does not say how many tasks the array has", fix=NAME_IT)
    if first is None and task in (0, tasks):  # whoever passes on only these two numbers counts from 0 or from 1
        first = min(task, 1)
    if first is None:
        raise UsageError(
            f"--shard auto: SLURM_ARRAY_TASK_MIN is not set, so that task {task} of {tasks} may count from 0 or from 1",
            fix=NAME_IT,
        )
    if count not in (None, tasks):
        raise UsageError(f"--shard auto/{count}: the SLURM array has {counted(tasks, 'task')}", fix=NAME_IT)
    if tasks == 1 and task > 1:  # one of a larger array, started again: all cases are hardly meant
        raise UsageError(
            f"--shard auto: the SLURM array is task {task} alone, which does not say of how many parts", fix=NAME_IT
        )
    if first > 1:  # some of a larger array, started again: all cases, dealt out anew, are hardly meant
        raise UsageError(
            f"--shard auto: the SLURM array begins with {first}, which does not say which part of all cases is meant",
            fix=f"Let it begin with 0 or 1. {NAME_IT}",
        )
    place, rest = divmod(task - first, max(step, 1))
    is_range = last is None or last == first + (tasks - 1) * max(step, 1)
    if rest or not is_range or not 0 <= place < tasks:
        raise UsageError("--shard auto: the SLURM array is no range of tasks with one step", fix=NAME_IT)
    return Shard(place + 1, tasks)


def _of_kubernetes(environment: Mapping[str, str], count: int | None) -> Shard:
    if "JOB_COMPLETIONS" in environment:
        completions = _whole(environment, "JOB_COMPLETIONS")
        if count not in (None, completions):
            raise UsageError(f"--shard auto/{count}: JOB_COMPLETIONS is {completions}", fix="Make them one number.")
        count = completions
    if count is None:
        raise UsageError(
            "--shard auto: Kubernetes does not say how many completions the job has",
            fix="Write --shard auto/N with the job's completions, or set JOB_COMPLETIONS in the container.",
        )
    index = _whole(environment, "JOB_COMPLETION_INDEX")
    if index >= count:
        raise UsageError(
            f"--shard auto: JOB_COMPLETION_INDEX is {index}, and counts from 0 to {count - 1} in a job of {count}",
            fix="Give the job's completions: --shard auto/N.",
        )
    return Shard(index + 1, count)


def _whole(environment: Mapping[str, str], name: str) -> int:
    if not _is_whole(environment[name]):
        raise UsageError(f"--shard auto: {name} is '{environment[name]}', no whole number from 0 up", fix=NAME_IT)
    return int(environment[name])


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdecimal()
