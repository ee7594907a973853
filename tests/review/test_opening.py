"""Opening a review: only where it is asked to, and never over labels that lost their trail."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from reviewed_results import save

from medseg.errors import InputError, UsageError
from medseg.review.opening import open_store


def test_a_review_begins_only_where_it_is_asked_to(out: Path) -> None:
    with pytest.raises(UsageError, match="nothing was reviewed there yet"):
        open_store(out)
    assert not (out / "review").exists()
    with pytest.raises(UsageError, match="there is no such folder"):
        open_store(out / "nowhere", create=True)
    with open_store(out, create=True) as store:
        assert store.cases() == ("scan_0", "scan_1")
        assert {store.case(case).state for case in store.cases()} == {"open"}
    assert stat.S_IMODE((out / "review/review.sqlite").stat().st_mode) == 0o600
    assert stat.S_IMODE((out / "review").stat().st_mode) == 0o700


@pytest.mark.parametrize("change", [Path.unlink, lambda database: database.write_bytes(b"")])
@pytest.mark.parametrize("create", [True, False])
def test_saved_labels_outlive_the_loss_of_their_trail(out: Path, change, create: bool) -> None:
    with open_store(out, create=True) as store:
        saved = save(store).file
    change(out / "review/review.sqlite")
    for check in (True, False):
        with pytest.raises(InputError, match=r"labels that people saved are there, and the audit trail .* is gone or"):
            open_store(out, create=create, check=check)
    assert saved.is_file()
