"""What each reader of a review made of each case."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from medseg.errors import UsageError, did_you_mean
from medseg.evaluation.readers import MODEL, Reading
from medseg.review.case_table import with_values_of
from medseg.review.review_case import ReviewCase
from medseg.review.revisions import ADJUDICATED, SAVED
from medseg.review.store import Store
from medseg.review.verdicts import VERDICTS
from medseg.types import LabelMap

ACCEPTED, CORRECTED, REJECTED = "accepted", "corrected", "rejected"


def readers_of(store: Store) -> tuple[str, ...]:
    """Everybody who saved labels or gave a verdict, by name."""
    kinds = {SAVED, *VERDICTS.values()}
    return tuple(sorted({event.who for event in store.events() if event.kind in kinds}))


def chosen_readers(store: Store, names: Sequence[str], *, option: str = "--reviewer") -> tuple[str, ...]:
    """Return the readers named by an option, or all of them.

    Raises
    ------
    UsageError
        When one of them read nothing.
    """
    known = readers_of(store)
    if unknown := next((name for name in names if name not in known), None):
        listed = f"They are {', '.join(known)}." if known else "Nobody read any."
        raise UsageError(
            "nobody of that name read a case",
            where=f"{option} {unknown}",
            fix=f"{did_you_mean(unknown, known)} {listed}".strip(),
        )
    return tuple(names) or known


def readings_of(store: Store, readers: Sequence[str], *, with_model: bool = True) -> list[Reading]:
    """Return what each of some readers made of each case, and the model's labels of every case one of them read.

    A reader's labels are those that their verdict accepts, or without a verdict the newest they saved. A rejected case
    has none. A verdict on labels the model has changed since does not count, nor do labels drawn on another scan.
    """
    found: list[Reading] = []
    for name in readers:
        for case_id, case in store.all_cases(name).items():
            if case.model_sha256 is None or not (case.newest or case.is_judged):
                continue
            number = _number(case)
            read = None if number is None else partial(labels_of, store, case_id, number)
            found.append(Reading(name, case_id, read, verdict_of(case)))
    if with_model:
        cases = sorted({reading.case_id for reading in found})
        found += [Reading(MODEL, case_id, partial(labels_of, store, case_id, 0)) for case_id in cases]
    return found


def not_independent(store: Store, readers: Sequence[str]) -> dict[str, list[str]]:
    """Cases, by reader, on which a reader started from another one's labels, judged them, or settled between two."""
    found: dict[str, list[str]] = {name: [] for name in readers}
    for case_id, case in store.all_cases().items():
        by = {revision.number: revision.who for revision in case.revisions}
        for name in readers:
            own = store.case(case_id, name)
            bases = {revision.base for revision in own.revisions}
            bases |= {own.verdict.revision} if own.verdict is not None else set()
            settled = any(revision.origin == ADJUDICATED for revision in own.revisions)
            if settled or any(by.get(number, name) != name for number in bases):
                found[name].append(case_id)
    return {name: cases for name, cases in found.items() if cases}


def labels_of(store: Store, case_id: str, revision: int) -> LabelMap:
    """Return a revision, 0 for the model's labels, with the values that the case has for every class now."""
    return with_values_of(store.labels(case_id, revision), store.table(case_id))


def _number(case: ReviewCase) -> int | None:
    """Revision that holds a reader's labels; None where they left none."""
    if case.is_judged and case.verdict is not None:
        return case.verdict.revision if case.verdict.kind == "accept" else None
    newest = case.newest
    return newest.number if newest is not None and newest.input_sha256 == case.input_sha256 else None


def verdict_of(case: ReviewCase) -> str | None:
    """Return the verdict that counts, labels accepted as the model made them told from those changed; None without."""
    if not case.is_judged or case.verdict is None:
        return None
    if case.verdict.kind == "reject":
        return REJECTED
    return CORRECTED if case.is_accepted_corrected else ACCEPTED
