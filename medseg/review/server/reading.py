"""One reading of a folder of results: who reads, which cases, in what order, and what they may see."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from medseg.review.adjudication import Adjudication
from medseg.review.review_case import ReviewCase
from medseg.review.revisions import ADJUDICATED, PAGE, UNAIDED
from medseg.review.sample import Sample
from medseg.review.server.numbering import Numbering
from medseg.review.store import Store
from medseg.types import LabelTable


@dataclass(frozen=True)
class Reading:
    """How a folder is read.

    Parameters
    ----------
    store : Store
        What is recorded.
    reviewer : str
        Who reads, where no proxy says so.
    blind : bool
        Whether a reader sees their own events only, in an order of their own.
    blind_model : bool
        Whether the model's labels are hidden too, so that a reader draws unaided.
    sample : Sample, optional
        The cases to read, of a random sample.
    adjudication : Adjudication, optional
        The readings to settle: the reader sees both as A and B, and no events but their own.
    """

    store: Store
    reviewer: str
    blind: bool = False
    blind_model: bool = False
    sample: Sample | None = None
    adjudication: Adjudication | None = None

    def reader(self, who: str) -> str | None:
        """Whose events count."""
        return who if self.blind or self.blind_model or self.adjudication is not None else None

    def numbering(self, case: ReviewCase, who: str) -> Numbering:
        """Return the numbers of a case's revisions as the reader is shown them."""
        return Numbering(case, self.reader(who) is not None)

    @property
    def origin(self) -> str:
        """What a revision that is saved here was drawn with."""
        if self.adjudication is not None:
            return ADJUDICATED
        return UNAIDED if self.blind_model else PAGE

    def table(self, case_id: str, who: str) -> LabelTable:
        """Return the classes of a case; all readers' where two readings are settled."""
        return self.store.table(case_id, None if self.adjudication is not None else self.reader(who))

    def is_listed(self, case_id: str) -> bool:
        """Whether a case is on the worklist."""
        if self.sample is not None and case_id not in self.sample.case_ids:
            return False
        if self.adjudication is not None and case_id not in self.adjudication.disputes:
            return False
        return self.store.results.case(case_id) is not None

    def worklist(self, who: str) -> list[ReviewCase]:
        """Return the cases with labels, in the order they are to be read in."""
        cases = [case for case in self.store.all_cases(self.reader(who)).values() if case.model_sha256 is not None]
        if self.sample is not None:
            drawn = {case_id: place for place, case_id in enumerate(self.sample.case_ids)}
            cases = [case for case in cases if case.case_id in drawn]
        if self.adjudication is not None:
            place = {case_id: number for number, case_id in enumerate(self.adjudication.disputes)}
            return sorted((case for case in cases if case.case_id in place), key=lambda case: place[case.case_id])
        if self.reader(who) is not None:
            # An order of priority would tell what the model found difficult, and one order for all tires all alike.
            return sorted(cases, key=lambda case: hashlib.sha256(f"{who}\n{case.case_id}".encode()).digest())
        if self.sample is not None:
            return sorted(cases, key=lambda case: drawn[case.case_id])
        return sorted(cases, key=lambda case: (-case.review_priority, case.case_id))
