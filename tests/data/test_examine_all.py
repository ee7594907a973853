"""Cases examined in processes of their own: as in this one, resumable, and whatever one of them does to its process."""

import os
import subprocess
import sys
import textwrap
from dataclasses import fields, replace

import numpy as np
import psutil
import pytest
from small_files import classes, noise, volume

from medseg.data import examine_all as parallel
from medseg.data.audit import audit
from medseg.data.dataset import DatasetCase
from medseg.data.examine import VOXELS_A_CASE, examine
from medseg.data.examine_all import VOXELS_IN_ALL, examine_all, voxels_a_case, workers_for
from medseg.data.examined_journal import FILE
from medseg.data.layouts import read_dataset
from medseg.errors import ResourceLimit
from medseg.isolation import each

CASES = 6


@pytest.fixture
def folder(tmp_path):
    for number in range(CASES):
        volume(tmp_path / "images" / f"c{number}.nii.gz", noise((12, 11, 10), seed=number))
        volume(tmp_path / "labels" / f"c{number}.nii.gz", classes((12, 11, 10)))
    (tmp_path / "images" / "c4.nii.gz").write_bytes(b"no image")
    volume(tmp_path / "labels" / "c5.nii.gz", classes((12, 11, 10)), spacing=(2.0, 1.0, 1.0))
    return tmp_path


def content(one):
    """An examined case as values that compare."""
    values = {entry.name: getattr(one, entry.name) for entry in fields(one)}
    array = values.pop("foreground")
    values["foreground"] = None if array is None else (array.dtype, array.tolist())
    return {name: repr(value) for name, value in values.items()}


def contents(examined):
    return [content(one) for one in examined]


def test_processes_measure_what_this_one_does_in_the_same_order(folder):
    data = read_dataset(folder)
    assert contents(examine_all(data, data.labeled, jobs=3)) == contents(examine(data))


def test_no_case_is_read_twice_unless_its_files_change(folder, tmp_path, monkeypatch):
    data = read_dataset(folder)
    out = tmp_path / "out"
    out.mkdir()
    first = contents(examine_all(data, data.labeled[:4], folder=out))
    with (out / FILE).open("a") as stream:
        stream.write('{"key": "cut by a st')
    seen = []

    def counted(data, cases, *, most):
        seen.append([case.case_id for case in cases])
        return examine(data, cases, most=most)

    monkeypatch.setattr(parallel, "examine", counted)
    every = contents(examine_all(data, data.labeled, folder=out))
    assert seen.pop() == ["c4", "c5"]
    assert every[:4] == first
    assert every == contents(examine(data))
    assert contents(examine_all(data, data.labeled, folder=out)) == every
    assert seen.pop() == []
    volume(folder / "images" / "c2.nii.gz", noise((12, 11, 10), seed=77))
    os.utime(folder / "images" / "c2.nii.gz", (1, 1))
    examine_all(data, data.labeled, folder=out)
    assert seen.pop() == ["c2"]
    # Another reading of the same files.
    examine_all(replace(data, values={1: 2}), data.labeled, folder=out)
    assert len(seen.pop()) == CASES
    assert len((out / FILE).read_text().splitlines()) == CASES


STOPPED = """
    import sys
    from pathlib import Path
    from medseg.data import examine_all as parallel
    from medseg.data.audit import audit
    from medseg.data.examine import examine
    from medseg.data.layouts import read_dataset

    def cut(data, cases, *, most):
        for number, one in enumerate(examine(data, cases, most=most)):
            if number == 3:
                import os
                os._exit(9)
            yield one

    parallel.examine = cut
    audit(read_dataset(Path(sys.argv[1])), folder=Path(sys.argv[2]))
"""


def test_an_audit_that_was_killed_resumes(folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    arguments = [sys.executable, "-c", textwrap.dedent(STOPPED), str(folder), str(out)]
    assert subprocess.run(arguments, check=False).returncode == 9
    assert len((out / FILE).read_text().splitlines()) == 3
    data = read_dataset(folder)
    resumed, fresh = audit(data, folder=out), audit(data)
    assert resumed.findings == fresh.findings
    assert contents(resumed.examined) == contents(fresh.examined)


CRASHES = """
import os
from medseg.data import examine_all
from medseg.isolation.child import serve
from medseg.isolation.worker import answer
true = examine_all.examine
def examine(data, cases, *, most):
    if cases[0].case_id == "c1":
        {what}
    return true(data, cases, most=most)
examine_all.examine = examine
serve(answer)
"""


def worker_that(what, folder, monkeypatch):
    module = folder / "dying_worker.py"
    module.write_text(CRASHES.format(what=what))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(each, "MODULE", "dying_worker")


def test_a_case_that_crashes_its_process_is_a_finding_and_the_others_are_examined(folder, tmp_path, monkeypatch):
    worker_that("os.abort()", tmp_path, monkeypatch)
    data = read_dataset(folder)
    found = {one.case.case_id: one for one in examine_all(data, data.labeled, jobs=2)}
    assert len(found) == CASES
    assert found["c1"].trouble.kind == "unreadable"
    assert "the program crashed on it" in found["c1"].trouble.message
    assert {name for name, one in found.items() if one.trouble is None} == {"c0", "c2", "c3"}


@pytest.mark.starts_workers
def test_a_case_that_takes_too_much_memory_is_stopped(folder, tmp_path, monkeypatch):
    worker_that("import numpy, time; kept = numpy.ones(2**26); time.sleep(60)", tmp_path, monkeypatch)
    used = int(0.4 * 2**30 / 0.9)
    monkeypatch.setattr(parallel.psutil, "virtual_memory", lambda: type("Memory", (), {"available": used})())
    data = read_dataset(folder)
    found = {one.case.case_id: one for one in examine_all(data, data.labeled, jobs=1 + 1)}
    assert found["c1"].trouble.message == "it needed more than the 0.4 GiB of memory one case may have"
    assert found["c0"].trouble is None  # beside it, or after it


@pytest.mark.starts_workers
def test_processes_that_cannot_be_started_are_an_error_and_none_is_left(folder, monkeypatch):
    data = read_dataset(folder)
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    monkeypatch.setattr(each, "MODULE", "medseg.no_such_module")
    with pytest.raises(ResourceLimit, match="cannot be started"):
        examine_all(data, data.labeled, jobs=2)
    monkeypatch.undo()
    cases = parallel._each(data, data.labeled, VOXELS_A_CASE, 2)
    next(cases)
    cases.close()
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


def test_what_is_kept_is_bounded():
    assert voxels_a_case(400) == VOXELS_A_CASE
    assert all(n * voxels_a_case(n) <= VOXELS_IN_ALL for n in (401, 2000, 50_000))
    assert voxels_a_case(401) == voxels_a_case(800)


def test_the_fingerprint_keeps_as_many_intensities_as_it_is_told(folder):
    data = read_dataset(folder)
    (one,) = examine(data, data.labeled[:1], most=50)
    assert one.foreground.shape == (1, 50)
    assert one.foreground.dtype == np.float32


def test_few_small_cases_are_examined_in_this_process(folder):
    data = read_dataset(folder)
    assert workers_for(data.labeled, None) == 1
    assert workers_for(data.labeled, 4) == 4
    assert workers_for(data.labeled[:1], 4) == 1
    many = [DatasetCase(f"c{n}", ()) for n in range(64)]
    assert workers_for(many, None) <= 4
