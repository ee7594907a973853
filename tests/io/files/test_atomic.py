"""Files and folders that appear whole or not at all."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from medseg.io.files import leftovers
from medseg.io.files.atomic import atomic_folder, atomic_path, kept_once, write_text
from medseg.io.files.leftovers import PREFIX, sweep
from medseg.io.files.temporary import sweep_temporary, temporary_folder


def test_a_folder_takes_the_place_of_the_old_one_when_it_is_whole(tmp_path):
    final = tmp_path / "deep" / "series"
    for content in ("old", "new"):
        with atomic_folder(final) as part:
            (part / content).write_text(content)
            assert part.name.startswith(".")
            assert not (final / content).exists()
    assert [path.name for path in final.iterdir()] == ["new"]
    assert list(final.parent.iterdir()) == [final]


def test_a_folder_that_fails_leaves_the_old_one(tmp_path):
    (tmp_path / "series").mkdir()
    (tmp_path / "series" / "old").write_text("old")
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "series") as part:
        (part / "new").write_text("half")
        raise RuntimeError
    assert [path.name for path in tmp_path.rglob("*")] == ["series", "old"]


def test_a_file_that_fails_leaves_the_old_one(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "a.txt") as part:
        part.write_text("half")
        raise RuntimeError
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_folder_in_the_way_of_a_file_is_named(tmp_path):
    (tmp_path / "cases.csv").mkdir()
    with pytest.raises(OSError, match=r"cases\.csv'$") as caught:
        write_text(tmp_path / "cases.csv", "a")
    assert "medseg-part" not in str(caught.value)


def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").write_text("old")
    rename = Path.rename

    def refusing(self, target):
        if (self / "new").exists():
            raise PermissionError("not now")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refusing)
    with pytest.raises(PermissionError), atomic_folder(tmp_path / "model") as part:
        (part / "new").write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model" / "old").read_text() == "old"


def test_what_a_killed_process_left_is_deleted_files_and_folders(tmp_path):
    (tmp_path / f"{PREFIX}1-labels.nii.gz").write_text("half")
    (tmp_path / f"{PREFIX}2-series").mkdir()
    (tmp_path / f"{PREFIX}2-series" / "image.dcm").write_text("a patient's")
    (tmp_path / "kept").write_text("whole")
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


KILLED = """
import os, sys
from pathlib import Path
from medseg.io.files.atomic import atomic_folder, atomic_path
from medseg.io.files.temporary import folder_until_exit, temporary_folder
where = Path(sys.argv[1])
with atomic_path(where / "a.txt") as part, atomic_folder(where / "series") as folder, temporary_folder() as scans:
    part.write_text("half"), (folder / "image").write_text("a patient's"), (scans / "image").write_text("a patient's")
    (folder_until_exit() / "image").write_text("a patient's")
    os.kill(os.getpid(), int(sys.argv[2]))
    print("ready", flush=True)
    sys.stdin.read()
"""


def started(tmp_path: Path, number: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    command = [sys.executable, "-c", KILLED, str(tmp_path / "out"), str(number)]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for folder in ("tmp", "out") for path in (tmp_path / folder).iterdir())


def test_what_a_killed_process_left_is_deleted_by_the_next_and_what_a_living_one_holds_is_not(tmp_path, monkeypatch):
    for folder in ("tmp", "out"):
        (tmp_path / folder).mkdir()
    (tmp_path / "tmp" / "medseg-temporary-mine").mkdir()  # somebody's own, without our mark
    monkeypatch.setattr("medseg.io.files.leftovers.YOUNG_SECONDS", 0.0)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    started(tmp_path, signal.SIGKILL).wait(30)
    assert len(left(tmp_path)) == 5
    for path in (tmp_path / "out").iterdir():
        os.utime(path, (0, 0))
    living = started(tmp_path, 0)  # the same, and it goes on
    try:
        assert living.stdout is not None
        assert living.stdout.readline() == b"ready\n"
        held_by_it = left(tmp_path)
        assert len(held_by_it) == 5  # it has deleted what the first left, and made its own
        write_text(tmp_path / "out" / "b.txt", "ours")
        with temporary_folder():
            assert set(held_by_it) < set(left(tmp_path))
    finally:
        living.kill()
        living.wait()
    leftovers._swept.clear()
    write_text(tmp_path / "out" / "b.txt", "ours")
    sweep_temporary()
    assert left(tmp_path) == ["b.txt", "medseg-temporary-mine"]


def test_a_folder_about_to_be_replaced_is_put_back(tmp_path):
    (tmp_path / f"{PREFIX}old-01234567-model").mkdir()
    (tmp_path / f"{PREFIX}89abcdef-model").mkdir()
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_is_filled_once(tmp_path):
    filled = [kept_once(tmp_path / "deep" / "one", lambda part: (part / "x").write_text("x")) for _ in range(2)]
    assert [path.name for path in filled[0].iterdir()] == ["x"]
    with pytest.raises(ZeroDivisionError):
        kept_once(tmp_path / "deep" / "two", lambda part: 1 / 0)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["one"]


def test_a_file_name_that_is_no_utf_8_can_be_written_in_json_and_read_back(tmp_path):
    name = os.fsdecode(b"M\xfcller.nii.gz")
    write_text(tmp_path / "a.json", json.dumps({"source": name}, ensure_ascii=False))
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"source": name}
