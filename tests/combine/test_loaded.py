"""Networks of a composite stay loaded while memory allows, and those that are wanted last go first."""

from types import SimpleNamespace

import pytest

from medseg.combine import loaded
from medseg.combine.loaded import MOST, TIMES_ITS_FILE, LoadedParts

SIZE = 1000  # bytes of each part's weights


@pytest.fixture
def parts(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(bytes(SIZE))
    return {name: SimpleNamespace(weights_path=path, name=name) for name in "abcd"}


def rounds(kept, parts, count=3):
    for _ in range(count):
        for name, package in parts.items():
            assert kept.get(name, package) == name.upper()


def opened_with(parts, monkeypatch, count, **options):
    """How often each part is opened in three scans, where so many networks fit into memory."""
    opened = []
    kept = LoadedParts(lambda package: opened.append(package.name) or package.name.upper(), **options)
    whole = (count + 0.5) * SIZE * TIMES_ITS_FILE / MOST
    monkeypatch.setattr(loaded, "available_bytes", lambda: int(whole - len(kept) * SIZE * TIMES_ITS_FILE))
    rounds(kept, parts)
    return {name: opened.count(name) for name in parts}, len(kept)


def test_all_that_fit_are_opened_once(parts, monkeypatch):
    assert opened_with(parts, monkeypatch, 4) == ({"a": 1, "b": 1, "c": 1, "d": 1}, 4)


def test_what_does_not_fit_takes_the_place_of_the_last(parts, monkeypatch):
    counts, kept = opened_with(parts, monkeypatch, 3)
    assert kept == 3
    assert sum(counts.values()) < 9  # of 12; one that goes by how long ago each ran opens all 12
    assert counts["a"] == 1


@pytest.mark.parametrize(("count", "options"), [(0, {}), (4, {"limit": 0.0})])
def test_where_none_fits_there_is_one_at_a_time(parts, monkeypatch, count, options):
    assert opened_with(parts, monkeypatch, count, **options) == ({"a": 3, "b": 3, "c": 3, "d": 3}, 1)
