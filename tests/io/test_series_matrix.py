"""Every kind of series in the matrix is read right or rejected with a reason; the table in the docs says the same."""

import re
from pathlib import Path

import numpy as np
import pytest
from series_kinds import KINDS, Volume, judge

from medseg.errors import MedsegError
from medseg.io.discover import discover
from medseg.io.read import read_scan

TABLE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "reading.md"


# Gray levels a value may be off; beside these, half a one: a large slope leaves more.
SLACK = {"slopes": 0.51 * 2.5, "enhanced-slopes": 1.2, "rounded": 1.4}
MESSAGES = {
    "missing-slice": "1 of 9 slices are missing",
    "missing-slices": "3 of 9 slices are missing, the first gap after slice 2",
    "mixed-spacing": "unevenly spaced",
    "off-the-line": "straight line",
    "same-place": "share a place",
    "phases-nothing": "nothing in their headers says which belong together",
    "enhanced-missing": "1 of 9 slices are missing",
}


@pytest.mark.parametrize("name", KINDS)
def test_right_or_refused(tmp_path, name):
    kind = KINDS[name]
    kind.write(tmp_path / "series")
    volumes, refusals = [], []
    discovery = discover([tmp_path / "series"])
    for one in discovery.found:
        try:
            scan = read_scan(one)
            volumes.append(Volume(np.asarray(scan.array[0], dtype=np.float64), scan.geometry.affine))
        except MedsegError as error:
            refusals.append(error)
    refusals += [left for left in discovery.skipped if left.corrupt]
    if kind.answer == "rejected":
        assert refusals
        assert all(refusal.fix for refusal in refusals)
        assert MESSAGES.get(name, "") in " ".join(map(str, refusals))
        assert not volumes
    else:
        assert not refusals, refusals
        assert judge(kind, volumes, SLACK.get(name, 0.51)) == "right"


def test_a_wrong_answer_is_seen(tmp_path):
    """The judge must see every way of being wrong, or the matrix proves nothing."""
    kind = KINDS["phases-acquisition"]
    kind.write(tmp_path)
    good = []
    for one in discover([tmp_path]).found:
        scan = read_scan(one)
        good.append(Volume(scan.array[0].astype(float), scan.geometry.affine))
    assert judge(kind, good) == "right"
    assert judge(kind, good[:1]) == "incomplete"
    assert judge(kind, []) == "incomplete"
    mixed = np.where(np.arange(9) % 2, good[0].array, good[1].array)
    assert judge(kind, [Volume(mixed, good[0].affine)]) == "mixed"
    for axis in range(3):
        assert judge(kind, [Volume(np.flip(good[0].array, axis), good[0].affine)]) == "wrong"
    shifted = good[0].affine.copy()
    shifted[2, 3] += 0.5
    assert judge(kind, [Volume(good[0].array, shifted)]) == "wrong"
    assert judge(kind, [Volume(good[0].array[:, :, :-1], good[0].affine), good[1]]) == "incomplete"


def test_table_in_the_docs_is_of_these_kinds():
    matrix = TABLE.read_text(encoding="utf-8").partition("<!-- matrix")[2]
    told = dict(re.findall(r"^\| ([^*|\n]+?) \| (right|rejected) \|", matrix, re.MULTILINE))
    assert told == {kind.about: kind.answer for kind in KINDS.values()}
    assert len(told) >= 24
