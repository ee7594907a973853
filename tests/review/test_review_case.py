"""The state of a case: which labels a verdict counts for, and what becomes of it under another model."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from reviewed_results import CASE, draw, edited, make_case, predict_again, save

from medseg.errors import UsageError
from medseg.review.readings import verdict_of
from medseg.review.revisions import UNAIDED, RevisionConflict
from medseg.review.sample import draw_sample, error_rate
from medseg.review.store import Store


def test_a_case_says_in_one_short_line_what_it_is(store: Store) -> None:
    save(store)
    case = store.case(CASE)
    assert repr(case) == f"ReviewCase('{CASE}', {case.state}, revision=1, warnings={len(case.warnings)})"
    assert repr(case.newest).startswith(f"Revision('{CASE}', 1, who='Ada'")


def test_another_models_labels_open_a_judged_case_again_and_keep_the_old_verdict(store: Store, out: Path) -> None:
    save(store)
    store.verdict(CASE, kind="accept", revision=1, who="Ada")
    before = store.case(CASE)
    make_case(out, CASE, out.parent / "scans" / f"{CASE}.nii.gz")  # the same labels again
    assert store.case(CASE).state == "accepted"
    make_case(out, CASE, out.parent / "scans" / f"{CASE}.nii.gz", seed=3)
    after = store.case(CASE)
    assert after.state == "open, model changed"
    assert after.verdict == before.verdict
    assert after.verdict.model_sha256 == before.model_sha256 != after.model_sha256
    assert np.array_equal(store.labels(CASE).array, edited(store.labels(CASE, 1), (0, 0, 1), 300).array)
    store.verdict(CASE, kind="accept", revision=1, who="Ada")
    assert store.case(CASE).state == "accepted"


def test_what_nobody_corrected_gives_way_to_the_present_models_labels(store: Store, out: Path) -> None:
    save(store)
    draw(store, store.labels(CASE, 0), who="Ada", expected=1)  # every stroke undone
    store.verdict(CASE, kind="accept", revision=2, who="Ada")
    old = store.labels(CASE)
    predict_again(out, 3)
    case = store.case(CASE)
    assert (case.state, case.revision, case.is_corrected) == ("open, model changed", 0, False)
    assert np.array_equal(store.labels(CASE).array, store.model_labels(CASE).array)
    assert np.array_equal(store.labels(CASE, 2).array, old.array)
    with pytest.raises(RevisionConflict, match="the model's labels changed"):
        save(store, expected=2)
    assert save(store, expected=0, voxel=(1, 1, 1)).number == 3
    predict_again(out, 0)  # the first model again
    assert store.case(CASE).revision == 3


def test_what_a_person_corrected_stays_and_is_compared_with_the_present_model(store: Store, out: Path) -> None:
    save(store, 65535, voxel=np.unravel_index(3, (9, 11, 7)))
    model = store.labels(CASE)
    draw(store, edited(store.labels(CASE), (0, 0, 0), 0), who="Ada", expected=1)
    assert not store.case(CASE).is_of_earlier_model
    predict_again(out, 5)
    case = store.case(CASE)
    assert (case.revision, case.is_corrected, case.is_of_earlier_model) == (2, True, True)
    assert [one.number for one in store.corrections()] == [2]
    predict_again(out, 3)  # finds by itself what was corrected
    case = store.case(CASE)
    assert np.array_equal(store.labels(CASE).array, store.model_labels(CASE).array)
    assert (case.revision, case.is_corrected, case.is_of_earlier_model) == (2, False, True)
    assert store.corrections() == ()
    draw(store, model, who="Ada", expected=2)
    assert store.case(CASE).is_corrected


def test_labels_drawn_unaided_stay_whatever_the_model_makes(store: Store, out: Path) -> None:
    store.save_labels(CASE, store.labels(CASE), who="Ada", expected=0, origin=UNAIDED, reader="Ada")
    predict_again(out, 3)
    case = store.case(CASE, "Ada")
    assert (case.revision, case.is_of_earlier_model) == (1, False)


def test_an_earlier_correction_counts_as_an_error_of_the_new_model_only_where_it_differs(store, out: Path) -> None:
    save(store, 65535, voxel=np.unravel_index(3, (9, 11, 7)))
    draw(store, edited(store.labels(CASE), (0, 0, 0), 0), who="Ada", expected=1)
    sample = draw_sample(store, 2, "Ada")
    for seed, wrong in ((5, 1), (3, 0)):
        predict_again(out, seed)
        store.verdict(CASE, kind="accept", revision=2, who="Ada")
        cases = store.all_cases()
        assert (error_rate(sample, cases).wrong, verdict_of(cases[CASE])) == (wrong, ("accepted", "corrected")[wrong])


def test_labels_drawn_over_judged_ones_are_not_judged(store: Store) -> None:
    first = save(store)
    store.verdict(CASE, kind="accept", revision=1, who="Ada")
    other = edited(store.labels(CASE), (0, 0, 2), 300)
    draw(store, other, who="Bo", expected=1)
    after = store.case(CASE)
    assert (after.state, after.is_judged, after.verdict.revision, after.revision) == (
        "open, labels changed",
        False,
        1,
        2,
    )
    # Undone and saved again: they are the labels that were judged.
    again = draw(store, store.labels(CASE, 1), who="Bo", expected=2)
    assert again.sha256 == first.sha256
    assert store.case(CASE).state == "accepted"
    draw(store, other, who="Bo", expected=3)
    store.verdict(CASE, kind="accept", revision=4, who="Bo")
    assert store.case(CASE).state == "accepted"


def test_labels_drawn_over_the_models_after_these_were_accepted_are_not_judged(store: Store) -> None:
    store.verdict(CASE, kind="accept", revision=0, who="Ada")
    draw(store, store.labels(CASE), who="Ada", expected=0)  # nothing was drawn
    assert store.case(CASE).state == "accepted"
    draw(store, edited(store.labels(CASE), (0, 0, 1), 300), who="Ada", expected=1)
    assert store.case(CASE).state == store.all_cases()[CASE].state == "open, labels changed"


def test_a_blinded_readers_work_beside_judged_labels_leaves_their_verdict(store: Store) -> None:
    model = store.labels(CASE)
    draw(store, edited(model, (0, 0, 1), 300), who="Ada", expected=0, reader="Ada")
    draw(store, edited(model, (0, 0, 2), 300), who="Bo", expected=0, reader="Bo")
    store.verdict(CASE, kind="accept", revision=1, who="Ada", reader="Ada")
    draw(store, edited(model, (0, 0, 3), 300), who="Bo", expected=2, reader="Bo")
    assert store.case(CASE, "Ada").state == store.case(CASE).state == "accepted"


def test_a_reviewed_case_whose_results_are_gone_is_still_listed(store: Store, out: Path) -> None:
    revision = save(store)
    shutil.rmtree(out / CASE)
    assert store.cases() == ("scan_0", "scan_1")
    case = store.case(CASE)
    assert case.model_labels_path is None
    assert case.revisions == (revision,)
    assert store.labels(CASE).array[0, 0, 1] == 300
    assert set(store.all_cases()) == {"scan_0", "scan_1"}


def test_blinded_readers_see_their_own_revisions_only(store: Store) -> None:
    first = save(store, who="A", reader="A")
    second = save(store, 1, who="B", reader="B")
    third = save(store, 1, who="A", reader="A", expected=first.number, voxel=(2, 2, 6))
    assert (first.number, second.number, third.number) == (1, 2, 3)
    assert store.labels(CASE, reader="A").array[0, 0, 1] == 300
    assert store.labels(CASE, reader="B").array[0, 0, 1] == 1
    store.verdict(CASE, kind="reject", revision=2, who="B", reason="missed", reader="B")
    assert store.case(CASE, reader="A").state == "open"
    assert store.case(CASE, reader="B").state == "rejected"
    assert [one.number for one in store.case(CASE).revisions] == [1, 2, 3]
    with pytest.raises(UsageError, match="there is no revision 2"):
        store.labels(CASE, 2, reader="A")
