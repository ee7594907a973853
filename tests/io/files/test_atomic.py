"""Files and folders that appear whole or not at all."""

from pathlib import Path

import pytest

from medseg.io.files.atomic import PREFIX, atomic_folder, atomic_path, sweep


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
