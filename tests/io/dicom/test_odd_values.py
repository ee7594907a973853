"""Header values that are not what their element should hold: each costs its own series, and is quoted nowhere."""

from pathlib import Path

import pydicom
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from small_series import small_series

from medseg.errors import MedsegError
from medseg.io.dicom import discover as dicom_discovery
from medseg.io.dicom.wanted import WANTED
from medseg.io.discover import discover
from medseg.io.read import read_scan
from medseg.isolation.boundary import attempt

MARK = "MARKXYZ1"
NUMBERS = [keyword for keyword in WANTED if dictionary_VR(keyword) in ("IS", "DS", "FD", "US", "SL")]
TEXTS = [keyword for keyword in WANTED if dictionary_VR(keyword) in ("DA", "TM", "DT", "CS", "UI", "SH", "AS")]
SAID = ("SOPClassUID", "Modality")  # what an object is, and from what: shown on purpose


def write(folder: Path, keyword: str, value: bytes) -> None:
    source, _ = small_series(folder, shape=(4, 4, 3))
    tag, kind = Tag(keyword), dictionary_VR(keyword)
    raw = value + b" " * (len(value) % 2)
    for path in source.files:
        header = pydicom.dcmread(path)
        header._dict[tag] = RawDataElement(tag, kind, len(raw), raw, 0, False, True)
        header.save_as(path)


@pytest.mark.parametrize("value", [MARK, "7x", "1\\2\\3\\4\\5\\6\\7", "nan", "1e400", "1.5", "9" * 20])
def test_every_number_that_is_read_may_be_anything(tmp_path, value):
    _check(tmp_path, NUMBERS, value)


def test_every_text_that_is_read_may_be_anything(tmp_path):
    _check(tmp_path, [keyword for keyword in TEXTS if keyword not in SAID], MARK)


def _check(folder: Path, keywords: list[str], value: str) -> None:
    for keyword in keywords:
        write(folder / keyword, keyword, value.encode())
    small_series(folder / "good", shape=(4, 4, 3))
    discovery = discover([folder])
    taken = {path for scan in discovery.found for path in scan.files} | {left.path for left in discovery.skipped}
    assert taken == {path for path in folder.rglob("*") if path.is_file()}
    [good] = [scan for scan in discovery.found if scan.files[0].parent.name == "good"]
    assert not isinstance(attempt(read_scan, good), MedsegError)
    said = [left.reason for left in discovery.skipped]
    for scan in discovery.found:
        outcome = attempt(read_scan, scan)
        said += [str(outcome)] if isinstance(outcome, MedsegError) else outcome.source.warnings
        said += [scan.description, *scan.warnings, scan.incomplete or ""]
    assert not [text for text in said if MARK in text or "unexpected" in text], said


@pytest.mark.parametrize("number", ["abcdefgh", "7x", "1\\2\\3"])
def test_a_series_number_that_is_none_does_not_keep_a_series_from_being_read(tmp_path, number):
    write(tmp_path, "SeriesNumber", number.encode())
    [found] = discover([tmp_path]).found
    assert found.series_number is None
    assert read_scan(found).array.shape == (1, 4, 4, 3)


@pytest.mark.parametrize("part", ["rejoined", "without_copies", "sort_into_volumes", "missing", "split_off", "_found"])
def test_whatever_sorting_raises_costs_that_series(tmp_path, monkeypatch, part):
    for name, count in {"alone": 1, "bad": 3, "good": 3}.items():
        small_series(tmp_path / name, shape=(4, 4, count))
    plain = getattr(dicom_discovery, part)

    def changed(*arguments, **options):
        if part == "rejoined" or "bad" in repr(arguments[: 1 + (part == "_found")]):
            raise LookupError(MARK)
        return plain(*arguments, **options)

    monkeypatch.setattr(dicom_discovery, part, changed)
    discovery = discover([tmp_path])
    lost = "alone" if part == "rejoined" else "bad"  # series of one image are looked at together
    assert {scan.files[0].parent.name for scan in discovery.found} == {"alone", "bad", "good"} - {lost}
    assert [left.path.parent.name for left in discovery.skipped] == [lost] * (1 if lost == "alone" else 3)
    assert all(left.corrupt and "report " in left.reason and MARK not in left.reason for left in discovery.skipped)
