"""Packing changes what a search takes of memory, and nothing that it finds."""

import pytest
from small_series import small_series

from medseg.io.dicom import packed_series
from medseg.io.dicom.frame import frames_of
from medseg.io.dicom.header import read_header
from medseg.io.dicom.packed_series import PackedSeries
from medseg.io.discover import discover


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Series whose files lie in turn, one of a single image, and one in which every image has a UID of its own."""
    root = tmp_path_factory.mktemp("series")
    files = [small_series(root / f"from{n}", shape=(4, 4, 5))[0].files for n in range(4)]
    for number, several in enumerate(files[:3]):
        for place, path in enumerate(several):
            path.rename(root / f"{place}-{number}.dcm")
    small_series(root / "single", shape=(4, 4, 1))
    return root


def test_frames_come_back_as_they_were(folder):
    frames = [frames_of(read_header(path))[0] for path in sorted(folder.glob("*.dcm"))]
    store = PackedSeries(most_loose=4)
    for frame in frames:
        store.add(str(frame.header.SeriesInstanceUID), [frame])
    assert store._packed
    back = dict(store.several())
    assert sorted(map(len, back.values())) == [5, 5, 5]
    found = sorted((frame for members in back.values() for frame in members), key=lambda frame: frame.file)
    assert [(one, one.header.file_meta) for one in found] == [(one, one.header.file_meta) for one in frames]
    assert list(store.several()) == []


def test_a_search_that_packs_finds_what_one_that_does_not_finds(folder, monkeypatch):
    plain = discover([folder])
    monkeypatch.setattr(packed_series.PackedSeries.__init__, "__defaults__", (2,))
    assert discover([folder]) == plain
    assert len(plain.found) == 5
