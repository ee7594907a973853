"""Whatever one input raises, or crashes, where it is found, read, written or sent: the others are done."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from odd_functions import EVERY, error
from small_nifti import phantom, save
from small_series import small_series

import medseg
from medseg.io import convert, nifti
from medseg.io import discover as discovery
from medseg.io.dicom import discover as dicom_discovery
from medseg.isolation.boundary import attempt
from medseg.review import inspect as inspection
from medseg.service import dimse, outgoing


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A folder of two scans; what is done with the one called bad raises."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in ("bad", "good"):
        save(folder / f"{name}.nii.gz", phantom())
    return folder


def raising(function: Callable[..., Any], name: str, mark: str = "bad") -> Callable[..., Any]:
    """The same function, but that it raises where its first argument has the mark in its name."""

    def changed(first: Any, *arguments: Any, **options: Any) -> Any:
        if mark in str(first):
            raise error(name)
        return function(first, *arguments, **options)

    return changed


def here(function: Callable[[Any], Any], items: Iterable[Any], *_: object, **__: object) -> Iterator[tuple[Any, Any]]:
    """`each_isolated` without the processes, into which nothing can be patched."""
    return ((item, attempt(function, item)) for item in items)


def _written(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save(path, phantom())


def check(verdict: str) -> None:
    assert "Doe" not in verdict
    assert "report " in verdict or "nested" in verdict or "memory" in verdict


@pytest.mark.parametrize("name", EVERY)
def test_where_a_file_is_found(two, monkeypatch, name):
    monkeypatch.setattr(nifti, "look", raising(nifti.look, name))
    found = discovery.discover([two])
    assert [scan.case_id for scan in found.found] == ["good"]
    check(found.skipped[0].reason)
    monkeypatch.undo()
    monkeypatch.setattr(discovery, "recognize", raising(discovery.recognize, name))
    found = discovery.discover([two])
    assert [scan.case_id for scan in found.found] == ["good"]
    check(found.skipped[0].reason)


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("series")
    small_series(folder / "good", shape=(4, 4, 3))
    shutil.copy(next((folder / "good").iterdir()), folder / "bad.dcm")
    return folder


@pytest.mark.parametrize("name", EVERY)
def test_where_dicom_is_found_and_before_it_is_sent(series, monkeypatch, name):
    monkeypatch.setattr(dicom_discovery, "read_header", raising(dicom_discovery.read_header, name))
    found = discovery.discover([series])
    assert len(found.found) == 1
    [left] = [left for left in found.skipped if left.corrupt]
    check(left.reason)
    monkeypatch.setattr(outgoing, "recognize", raising(outgoing.recognize, name))
    items, [passed_over] = outgoing.outgoing([series])
    assert len(items) == 3
    check(passed_over.reason)


@pytest.mark.parametrize("name", EVERY)
def test_where_a_scan_is_read_or_written(two, tmp_path, monkeypatch, name):
    for module, function in ((inspection, "read_scan"), (convert, "read_scan"), (nifti, "write_scan")):
        with monkeypatch.context() as patch:
            patch.setattr(inspection, "each_isolated", here)
            patch.setattr(convert, "each_isolated", here)
            if function == "write_scan":
                patch.setattr(nifti, function, lambda scan, path: raising(_written, name)(path))
            else:
                patch.setattr(module, function, raising(getattr(module, function), name, "'bad'"))
            if module is inspection:
                volumes = medseg.inspect([two]).volumes
                verdicts = [volume.reason for volume in volumes]
            else:
                verdicts = [one.error for one in medseg.convert([two], tmp_path / f"{function}-out").converted]
            assert verdicts[1] is None
            check(str(verdicts[0]))


@pytest.mark.parametrize("name", EVERY)
def test_where_an_object_is_sent(name):
    def send(path: Path) -> None:
        raise error(name)

    item = outgoing.Outgoing(Path("x.dcm"), dimse.UID("1.2"), dimse.UID("1.3"), dimse.ExplicitVRLittleEndian)
    answer = dimse._store(SimpleNamespace(is_established=True, send_c_store=send), item)  # type: ignore[arg-type]
    assert answer.reason is not None
    assert "Doe" not in answer.reason


@pytest.mark.starts_workers  # which Python starts with what is put in its way
def test_a_crash_of_a_library_costs_one_case_in_every_verb_that_reads(two, tmp_path, monkeypatch):
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "sitecustomize.py").write_text(
        "import os, signal\n"
        "import medseg.io.nifti as nifti\n"
        "read = nifti.read_scan, nifti.read_labels\n"
        "def guarded(function):\n"
        "    def inner(path, *rest, **options):\n"
        "        if 'bad' in str(path):\n"
        "            os.kill(os.getpid(), signal.SIGSEGV)\n"
        "        return function(path, *rest, **options)\n"
        "    return inner\n"
        "nifti.read_scan, nifti.read_labels = map(guarded, read)\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "path")
    bad, good = medseg.inspect([two]).volumes
    assert good.is_valid
    assert "crashed on it (SIGSEGV, report " in str(bad.reason)
    bad, good = medseg.convert([two], tmp_path / "converted").converted
    assert good.error is None
    assert "SIGSEGV" in str(bad.error)
    labels = tmp_path / "labels"
    labels.mkdir()
    for name in ("bad", "good"):
        save(labels / f"{name}.nii.gz", np.ones((9, 11, 7), np.uint8))
    evaluated = medseg.evaluate(labels, labels)
    assert "SIGSEGV" in evaluated.failed["bad"]
    assert {row.case_id for row in evaluated.rows} >= {"good"}
