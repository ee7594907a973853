"""Files and folders that appear whole or not at all."""

import pytest

from medseg.io.files.atomic import atomic_folder, atomic_path


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
