import errno
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from odd_functions import EVERY, act

from medseg.errors import InputError, MedsegError, ResourceLimit
from medseg.isolation import each, process
from medseg.isolation.each import each_isolated
from medseg.isolation.process import ChildProcess, Guard

pytestmark = pytest.mark.starts_workers


def outcomes(*items: str, guard: Guard | None = None, jobs: int = 1) -> dict[str, str | MedsegError]:
    return dict(each_isolated(act, items, guard, jobs=jobs))


def test_every_exception_costs_one_item_and_all_are_done_by_one_process():
    found = outcomes("fine", *EVERY, "unpicklable", "print")
    assert list(found) == ["fine", *EVERY, "unpicklable", "print"]
    for name in (*EVERY, "unpicklable"):
        assert isinstance(found[name], MedsegError), name
    assert found["fine"].split()[-1] == found["print"].split()[-1]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_crash_costs_one_item(jobs, capfd):
    found = outcomes("fine", "crash", "print", "exit", "killed", jobs=jobs)
    assert str(found["fine"]).startswith("did fine")
    assert str(found["print"]).startswith("did print")
    assert isinstance(found["crash"], InputError)
    number = re.search(r"crashed on it \(SIGSEGV, report ([0-9a-f]{8})\)", found["crash"].what).group(1)
    assert number not in found["exit"].what
    assert "exit code 7" in found["exit"].what
    assert "memory ran out" in found["killed"].what
    assert "noise" not in capfd.readouterr().out  # standard output is the caller's


def test_what_a_library_prints_reaches_nobody_and_the_log_does(capfd):
    outcomes("shout", "warn", "configure", "log")
    assert capfd.readouterr() == ("", "a word of its own\n")


def test_time_and_memory_are_limited():
    found = outcomes("hang", "fine", guard=Guard(seconds=0.5))
    assert isinstance(found["hang"], ResourceLimit)
    assert "longer than one case may" in found["hang"].what
    assert str(found["fine"]).startswith("did fine")
    assert "0.5 GiB of memory" in str(outcomes("hoard", guard=Guard(memory=0.5))["hoard"])


def test_where_no_process_can_be_started_it_is_said(monkeypatch):
    def none_left(*_arguments: object, **_options: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(process.subprocess, "Popen", none_left)
    with pytest.raises(ResourceLimit, match=r"no process can be started \(Resource temporarily"):
        outcomes("fine")


def test_a_process_killed_before_it_answers_is_started_again_once(monkeypatch):
    kills = 1
    start = ChildProcess.__enter__

    def killed_at_once(child: ChildProcess) -> ChildProcess:
        nonlocal kills
        start(child)
        if kills:
            kills -= 1
            child.process.kill()
        return child

    monkeypatch.setattr(ChildProcess, "__enter__", killed_at_once)
    assert str(outcomes("fine")["fine"]).startswith("did fine")
    kills = 2
    assert "memory ran out" in str(outcomes("fine")["fine"])


def test_whoever_asks_for_no_more_leaves_no_process():
    answers = each_isolated(act, ["fine", "hang"])
    next(answers)
    answers.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(each.MODULE in " ".join(c.cmdline()) for c in _alive()):
        time.sleep(0.05)
    assert not [child for child in _alive() if each.MODULE in " ".join(child.cmdline())]


def _alive() -> list[psutil.Process]:
    return [c for c in psutil.Process().children() if c.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_process_ends_with_its_parent(number):
    script = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from odd_functions import act; "
        "from medseg.isolation.each import each_isolated; list(each_isolated(act, ['hang']))"
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    deadline = time.monotonic() + 30
    children: list[psutil.Process] = []
    while time.monotonic() < deadline and not children:
        children = psutil.Process(parent.pid).children()
        time.sleep(0.05)
    parent.send_signal(number)
    parent.wait(10)
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive


def test_the_length_of_the_temporary_folder_does_not_matter(tmp_path, monkeypatch):
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    monkeypatch.setattr(process.os, "environ", {**process.os.environ, "TMPDIR": str(folder)})
    assert str(outcomes("fine")["fine"]).startswith("did fine")
