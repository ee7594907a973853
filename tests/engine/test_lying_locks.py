"""Where a file system gives everybody the same lock, two runs of one shard leave whole results all the same."""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from toy_stages import script

from medseg.engine.case_folder import CaseFolder
from medseg.engine.journal import finish
from medseg.errors import InputError
from medseg.io.files import leftovers
from medseg.io.files.leftovers import part_name, sweep
from medseg.types.run import CaseOutcome

LIE = "import fcntl, time, random; fcntl.flock = lambda *_: None\n"
# Each write takes a moment of its own, so that the two get into each other's way at every step.
SLOWLY = """
from medseg.engine import case_folder, journal
for module, name in ((journal, 'finish'), (case_folder, 'place_folder'), (case_folder, '_clear')):
    def slow(*given, was=getattr(module, name)):
        time.sleep(random.random() / 50)
        return was(*given)
    setattr(module, name, slow)
"""


def write(folder: CaseFolder, text: str) -> None:
    (folder.path / "labels.txt").write_text(text)
    finish(folder.path, text, "", CaseOutcome("c", "done", "c"))


def check_whole(folder: Path) -> None:
    """A record, and all the files it names with the hashes it has."""
    status = json.loads((folder / "status.json").read_text())
    files = {path.name for path in folder.iterdir()} - {"status.json"}
    assert files == set(status["outputs"])
    for name, digest in status["outputs"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_two_runs_that_both_have_the_lock_leave_whole_cases(texts: Path, tmp_path: Path) -> None:
    for number in range(8):
        (texts / f"t{number}.txt").write_text(f"text {number}")
    out = tmp_path / "out"
    command = script(texts, out, {}, isolate=False)
    command[-1] = LIE + SLOWLY + command[-1].replace("isolate=False", "isolate=False, overwrite=True")
    runs = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [run.communicate(timeout=120)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    for number in range(8):
        check_whole(out / f"t{number}")
        assert (out / f"t{number}" / "loud.txt").read_text() == f"TEXT {number}!"
    assert json.loads((out / "run.json").read_text())["counts"]["done"] == 10
    assert not [*out.glob(".medseg-part-*")]


@pytest.mark.parametrize("first", [0, 1])
def test_whoever_comes_last_stays_and_no_case_is_made_of_two(tmp_path: Path, first: int) -> None:
    both = [CaseFolder(tmp_path / "c"), CaseFolder(tmp_path / "c")]
    for number, folder in enumerate(both):
        write(folder, f"by {number}")
    both[first].publish()
    check_whole(tmp_path / "c")
    both[1 - first].publish()
    check_whole(tmp_path / "c")
    assert (tmp_path / "c" / "labels.txt").read_text() == f"by {1 - first}"
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_folders_of_somebody_in_a_case_stay(tmp_path: Path) -> None:
    first = CaseFolder(tmp_path / "c")
    write(first, "one")
    first.publish()
    (tmp_path / "c" / "mine").mkdir()
    (tmp_path / "c" / "mine" / "notes.txt").write_text("precious")
    second = CaseFolder(tmp_path / "c")
    assert not (tmp_path / "c" / "status.json").exists()
    write(second, "two")
    second.publish()
    assert (tmp_path / "c" / "mine" / "notes.txt").read_text() == "precious"
    assert (tmp_path / "c" / "labels.txt").read_text() == "two"
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "scan.nii").write_text("a scan")
    with pytest.raises(InputError, match="holds other files"):
        CaseFolder(tmp_path / "d")


def test_what_a_living_process_writes_is_kept_whatever_locks_say(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    (tmp_path / part_name("ours")).write_text("half")
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    theirs = part_name("theirs").replace(f"-{os.getpid()}-", f"-{gone.stdout.strip()}-")
    (tmp_path / theirs).write_text("half")
    far = part_name("far").replace(leftovers._machine(), "0" * 8)
    (tmp_path / far).write_text("half")
    sweep(tmp_path)
    assert {path.name.rpartition("-")[2] for path in tmp_path.iterdir()} == {"ours", "far"}
    sweep(tmp_path, lost=["ours"])
    assert {path.name.rpartition("-")[2] for path in tmp_path.iterdir()} == {"ours", "far"}
    sweep(tmp_path, lost=["ours", "far"])  # whose writer a driver knows to be lost
    assert {path.name.rpartition("-")[2] for path in tmp_path.iterdir()} == {"ours"}
    (tmp_path / far).write_text("half")
    os.utime(tmp_path / far, (0, 0))
    sweep(tmp_path)
    assert {path.name.rpartition("-")[2] for path in tmp_path.iterdir()} == {"ours"}


def test_a_process_that_ended_and_that_nobody_has_waited_for_writes_no_more(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    theirs = tmp_path / part_name("theirs").replace(f"-{os.getpid()}-", f"-{ended.pid}-")
    theirs.write_text("half")
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    sweep(tmp_path)
    assert not theirs.exists()
    ended.wait()
