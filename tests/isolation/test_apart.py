import os
import threading
from pathlib import Path

import numpy as np
import pytest
from odd_functions import EVERY, act, read

from medseg.errors import InputError, MedsegError
from medseg.isolation import apart, child
from medseg.isolation.each import each_isolated

FILE = Path("scan.nrrd")


def process_of(answer: object) -> int:
    return int(str(answer).split()[-1])


def test_one_process_reads_all_and_a_crash_costs_one_file():
    first = process_of(read(FILE, "fine"))
    assert first not in (os.getpid(), 0)
    for name in (*EVERY, "unpicklable"):
        with pytest.raises(MedsegError) as raised:
            read(FILE, name)
        assert "Doe" not in str(raised.value)
    assert process_of(read(FILE, "fine")) == first
    with pytest.raises(InputError, match=r"scan\.nrrd: the program crashed on it \(SIGSEGV, report [0-9a-f]{8}\)"):
        read(FILE, "crash")
    assert process_of(read(FILE, "fine")) != first


def test_arrays_come_whole_and_can_be_written():
    array = read(FILE, "array")
    assert np.array_equal(array, np.arange(12).reshape(3, 4))
    array[0, 0] = 5


def test_a_relative_path_is_of_the_folder_the_caller_is_in_now(tmp_path, monkeypatch):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert read(FILE, "folder") == str(tmp_path / name)


def test_it_outlives_the_thread_that_started_it():
    with pytest.raises(InputError):
        read(FILE, "crash")
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(process_of(read(FILE, "fine"))))
    thread.start()
    thread.join()
    assert process_of(read(FILE, "fine")) == found[0]


def test_one_that_ended_for_want_of_work_is_started_again():
    before = process_of(read(FILE, "fine"))
    helper = apart._helpers[os.getpid()]
    helper.child.connection.close()
    helper.child.process.wait(10)
    assert process_of(read(FILE, "fine")) != before


def test_in_a_worker_files_are_read_right_there(monkeypatch):
    [(_, answer)] = each_isolated(read_fine, [FILE])
    assert answer[0] == answer[1]
    monkeypatch.setattr(child, "_ends_alone", True)
    assert process_of(read(FILE, "fine")) == os.getpid()


def read_fine(path: Path) -> tuple[int, int]:
    return process_of(read(path, "fine")), process_of(act("fine"))
