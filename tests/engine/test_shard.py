"""Which part of the cases a process does: as typed, or as the scheduler of a cluster says."""

import pytest

from medseg.engine.shard import Shard
from medseg.errors import UsageError


def slurm(task: int, count: int, first: int = 0, step: int = 1) -> dict[str, str]:
    """The environment of one task of ``--array=first-last:step``."""
    last = first + (count - 1) * step
    values = {"ID": task, "COUNT": count, "MIN": first, "MAX": last, "STEP": step}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}


@pytest.mark.parametrize(("first", "step"), [(0, 1), (1, 1), (1, 5), (0, 2)])
def test_an_array_does_every_part_once_whatever_its_first_index_and_step(first: int, step: int) -> None:
    tasks = range(first, first + 4 * step, step)
    assert [Shard.parse("auto", slurm(task, 4, first, step)) for task in tasks] == [Shard(k, 4) for k in (1, 2, 3, 4)]


def test_an_indexed_job_counts_from_zero() -> None:
    index = {"JOB_COMPLETION_INDEX": "2"}
    assert Shard.parse("auto", {**index, "JOB_COMPLETIONS": "5"}) == Shard(3, 5)
    assert Shard.parse("auto/5", index) == Shard(3, 5)
    assert Shard.parse("auto/7", slurm(6, 7)) == Shard(7, 7)
    assert Shard.parse("auto/5", {**index, "JOB_COMPLETIONS": "5", "SLURM_ARRAY_TASK_ID": ""}) == Shard(3, 5)


def test_two_numbers_of_slurm_are_enough_where_they_leave_no_doubt() -> None:
    assert Shard.parse("auto", {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "4"}) == Shard(1, 4)
    assert Shard.parse("auto", {"SLURM_ARRAY_TASK_ID": "4", "SLURM_ARRAY_TASK_COUNT": "4"}) == Shard(4, 4)


@pytest.mark.parametrize(
    ("text", "environment", "said"),
    [
        ("auto", {}, "neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set"),
        ("auto", {"JOB_COMPLETION_INDEX": "0"}, "does not say how many completions"),
        ("auto", {"JOB_COMPLETION_INDEX": "x", "JOB_COMPLETIONS": "2"}, "is 'x', no whole number"),
        ("auto/2", {"JOB_COMPLETION_INDEX": "2"}, "JOB_COMPLETION_INDEX is 2, and counts from 0 to 1"),
        ("auto/2", {"JOB_COMPLETION_INDEX": "-1"}, "is '-1', no whole number from 0 up"),
        ("auto/4", {"JOB_COMPLETION_INDEX": "\u0662"}, "no whole number from 0 up"),
        ("\u0663/\u0663", {}, "not of the form"),
        ("auto", slurm(7, 1, 7), "is task 7 alone"),
        ("auto", {"SLURM_ARRAY_TASK_ID": "0"}, "does not say how many tasks"),
        ("auto", {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "4"}, "SLURM_ARRAY_TASK_MIN is not set"),
        ("auto/5", {"JOB_COMPLETION_INDEX": "3", "JOB_COMPLETIONS": "4"}, "JOB_COMPLETIONS is 4"),
        ("auto/9", slurm(0, 4), "the SLURM array has 4 tasks"),
        # --array=1,3,7: a part done again, whose numbers say nothing of the whole.
        ("auto", {**slurm(3, 3, 1), "SLURM_ARRAY_TASK_MAX": "7"}, "no range of tasks"),
        ("auto", slurm(8, 4), "no range of tasks"),
        ("auto/", {}, "not of the form"),
        ("auto", slurm(101, 100, 101), "begins with 101"),
        ("auto", slurm(8, 2, 7), "begins with 7"),
        ("1/1000001", {}, "more than 1,000,000 parts"),
    ],
)
def test_what_is_not_known_is_not_guessed(text: str, environment: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Shard.parse(text, environment)
