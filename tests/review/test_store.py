"""The store of a review: verdicts on its cases, and what `verify` finds."""

from __future__ import annotations

from pathlib import Path

import pytest
from reviewed_results import CASE, save

from medseg.errors import InputError, UsageError
from medseg.review.revisions import RevisionConflict
from medseg.review.store import Store
from medseg.review.verdicts import REASONS


def test_a_verdict_names_the_newest_revision(store: Store) -> None:
    store.verdict(CASE, kind="accept", revision=0, who="Ada")
    case = store.case(CASE)
    assert case.state == "accepted"
    assert case.verdict.labels_sha256 == case.model_sha256
    revision = save(store)
    with pytest.raises(RevisionConflict):
        store.verdict(CASE, kind="accept", revision=0, who="Ada")
    store.verdict(CASE, kind="reject", revision=1, who="Ada", reason="boundary", comment="tail cut off")
    case = store.case(CASE)
    assert (case.state, case.verdict.reason, case.verdict.comment) == ("rejected", "boundary", "tail cut off")
    assert case.verdict.labels_sha256 == revision.sha256
    store.verdict(CASE, kind="take_back", revision=1, who="Ada")
    assert store.case(CASE).state == "open"
    assert store.case(CASE).verdict is None
    with pytest.raises(UsageError, match="no verdict to take back"):
        store.verdict(CASE, kind="take_back", revision=1, who="Ada")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"kind": "reject"}, "a rejection needs a reason"),
        ({"kind": "reject", "reason": "ugly"}, "'ugly' is no reason"),
        ({"kind": "accept", "reason": "boundary"}, "only a rejection has a reason"),
        ({"kind": "maybe"}, "'maybe' is no verdict"),
        ({"kind": "accept", "comment": "x" * 2001}, "the comment has 2001 letters"),
    ],
)
def test_a_verdict_that_is_none_is_refused(store: Store, asked, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        store.verdict(CASE, revision=0, who="Ada", **asked)
    assert not store.events()
    assert "other" in REASONS


def test_verify_finds_a_changed_byte_a_lost_file_and_a_file_nobody_saved(store: Store, out: Path) -> None:
    revisions = [save(store, expected=n, voxel=(n, n, n)) for n in range(3)]
    assert store.verify() == ()
    data = bytearray(revisions[0].file.read_bytes())
    data[-9] ^= 1
    revisions[0].file.write_bytes(data)
    revisions[1].file.unlink()
    (out / "review/labels/extra.nii.gz").write_bytes(b"")
    found = [str(finding) for finding in store.verify()]
    assert len(found) == 3
    assert "event 1" in found[0]
    assert "changed since" in found[0]
    assert "event 2" in found[1]
    assert "gone" in found[1]
    assert "labels/extra.nii.gz" in found[2]
    with pytest.raises(InputError, match="changed since they were saved"):
        store.labels(CASE, 1)
