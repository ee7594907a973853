"""A small part of `make fuzz`, always the same files, and a proof that what is damaged was good."""

import contextlib
import io

import pytest
from fuzz_mutations import MUTATIONS, mutate
from fuzz_seeds import MAKERS, make_seeds
from fuzz_survive import NOWHERE, READ, VERBS, Task, _own_place, digests, survive

from medseg.cli.app import run
from medseg.errors import MedsegError
from medseg.isolation.each import each_isolated

PER_SEED = 6
BAD = ("bug", "silent", "left")
REFUSED_AS_A_WHOLE = ("push",)  # there is no archive


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    return {seed.name: seed for seed in make_seeds(tmp_path_factory.mktemp("seeds"))}


def test_the_same_number_is_the_same_damage():
    content = bytes(range(256)) * 8
    assert [mutate(content, n) for n in range(50)] == [mutate(content, n) for n in range(50)]
    assert {mutate(content, n)[1] for n in range(200)} == {kind.__name__[1:] for kind in MUTATIONS}


def test_damaged_files_are_read_or_refused(seeds):
    """In a child process, because libraries in C crash on some; what a verb does of these is isolated by itself."""
    tasks = [Task(seed, n, "read") for seed in seeds.values() if seed.role in READ for n in range(PER_SEED)]
    became = list(each_isolated(survive, tasks))
    assert len(became) == len(tasks)
    bad = []
    for task, result in became:
        if isinstance(result, MedsegError):
            assert "crashed" in str(result), result
            continue
        bad += [(task.seed.name, task.number, one) for one in result if one.verdict in BAD]
    assert not bad
    assert sum(one.verdict == "refused" for _, result in became if isinstance(result, tuple) for one in result) > 20


@pytest.mark.parametrize("name", [name for name, maker in MAKERS.items() if maker[1] in READ])
def test_the_whole_file_is_read(seeds, name):
    assert digests(seeds[name].folder)


@pytest.mark.parametrize(
    "line",
    sorted(
        {(role, line) for role, lines in VERBS.items() for line in lines if role in ("config", "package", "report")}
    ),
    ids=lambda line: line[1].split(" {")[0],
)
def test_verbs_take_the_whole_file(seeds, tmp_path, line):
    role, words = line
    seed = next(seed for seed in seeds.values() if seed.role == role)
    damaged = seed.folder / seed.damaged
    names = {"f": seed.folder, "d": damaged, "o": tmp_path / "out", "n": NOWHERE, "p": damaged.parent}
    (tmp_path / "tmp").mkdir()
    with contextlib.redirect_stdout(io.StringIO()), _own_place(tmp_path, tmp_path / "tmp"):
        code = run([word.format(**names) for word in words.split()])
    assert code == (4 if words.startswith(REFUSED_AS_A_WHOLE) else 0)


@pytest.mark.parametrize("name", ["train.yaml", "model.yaml", "safetensors", "per_case.csv", "dicom-seg", "dicom-sr"])
def test_verbs_survive_damage(seeds, name):
    for number in range(2):
        for outcome in survive(Task(seeds[name], number, "verb")):
            assert outcome.verdict not in BAD, f"damage {number} ({outcome.damage}): {outcome.detail}"
