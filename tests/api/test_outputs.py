"""An output that cannot be written is said before any work, in the same words whatever the function."""

from __future__ import annotations

import errno
import inspect
from pathlib import Path

import pytest

import medseg
from medseg.io.files import writable

WITH_OUT = [
    name
    for name in medseg.__all__
    if inspect.isfunction(function := getattr(medseg, name)) and "out" in inspect.signature(function).parameters
]
# What other than a path must be given; nothing else is there, so that any work would end in another error.
NEEDED = {"evaluations": ["a", "b"], "format": "nifti", "around": (0.0, 0.0, 0.0)}


def call(name: str, out: Path) -> None:
    function = getattr(medseg, name)
    needed = [key for key, one in inspect.signature(function).parameters.items() if one.default is one.empty]
    if name == "convert":
        needed.remove("out")
    if name == "bundle":  # without a model that is not there, it would collect packages
        needed.append("model")
    function(**{key: NEEDED.get(key, "is-not-there") for key in needed} | {"out": out})


def test_every_function_with_an_output_is_here() -> None:
    verbs = "audit, bundle, compare, convert, crop, evaluate, export, follow, inspect, label_next, monitor, "
    verbs += "plan, predict, train"
    assert set(WITH_OUT) == set(verbs.split(", "))


NO_FOLDERS = ["/proc/x", "file/below", "n" * 300]
# These write one file, which may take another one's place.
ONE_FILE = ("crop", "label_next")
PLACES = [(name, out) for name in WITH_OUT for out in NO_FOLDERS + ([] if name in ONE_FILE else ["file", "link"])]


@pytest.mark.parametrize(("name", "out"), PLACES)
def test_where_nothing_can_be_written(name: str, out: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(medseg.UsageError, match=r"nothing can be written there: .*\. Choose another output\.$"):
        call(name, tmp_path / out)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", WITH_OUT)
def test_where_a_folder_may_only_be_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_given: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(writable.tempfile, "TemporaryFile", refuse)  # nothing is write-protected for root
    with pytest.raises(medseg.UsageError, match=f"{tmp_path} is write-protected. Choose another output"):
        call(name, tmp_path / "out")


@pytest.mark.parametrize("name", WITH_OUT)
def test_a_good_place_is_not_in_the_way(name: str, tmp_path: Path) -> None:
    with pytest.raises(medseg.MedsegError) as raised:
        call(name, tmp_path / "new" / "out")
    assert "nothing can be written" not in str(raised.value)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["dataset.yaml", "mine.yaml"])
def test_a_plan_replaces_nothing_that_it_is_made_from(name: str, tmp_path: Path) -> None:
    for file in ("dataset.yaml", "mine.yaml"):
        (tmp_path / file).write_text("# by hand")
    with pytest.raises(medseg.UsageError, match="would take the place of the file that it is made from"):
        medseg.plan(tmp_path, tmp_path / name, config=tmp_path / "mine.yaml")
    assert (tmp_path / name).read_text() == "# by hand"
