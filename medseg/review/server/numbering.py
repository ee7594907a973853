"""Numbers of revisions as a blinded reader is shown them: 1, 2, 3, ... of their own, whatever others do."""

from __future__ import annotations

from dataclasses import dataclass

from medseg.errors import UsageError
from medseg.review.review_case import ReviewCase
from medseg.review.revisions import RevisionConflict


@dataclass(frozen=True)
class Numbering:
    """Translates the numbers of one case's revisions.

    Parameters
    ----------
    case : ReviewCase
        As the reader sees it: of a blinded one, their own revisions only.
    is_blind : bool
        Whether numbers are the reader's own; else they are the case's.
    """

    case: ReviewCase
    is_blind: bool

    @property
    def newest(self) -> int:
        """Number of the newest labels; 0 for the model's."""
        return len(self.case.revisions) if self.is_blind and self.case.revision else self.case.revision

    @property
    def next(self) -> int:
        """Number of the revision that is saved next."""
        return len(self.case.revisions) + 1 if self.is_blind else self.case.next_number

    def shown(self, number: int) -> int | None:
        """Return what a revision's number is to the reader; None of a blinded one where it is another reader's."""
        if not self.is_blind or number == 0:
            return number
        return next((place for place, one in enumerate(self.case.revisions, 1) if one.number == number), None)

    def stored(self, shown: int) -> int:
        """Return the store's number of a revision, by the reader's.

        Raises
        ------
        UsageError
            When a blinded reader has no revision of this number.
        """
        if not self.is_blind or shown == 0:
            return shown
        if shown > len(self.case.revisions):
            raise UsageError(
                f"there is no revision {shown}", where=self.case.case_id, fix=f"The newest is {self.newest}."
            )
        return self.case.revisions[shown - 1].number

    def newest_stored(self, shown: int) -> int:
        """Return the store's number of what a reader takes for the newest labels.

        Raises
        ------
        RevisionConflict
            When a blinded reader has newer ones; of others the store itself says so.
        """
        if not self.is_blind:
            return shown
        if shown != self.newest:
            raise RevisionConflict(
                f"revision {self.newest} of the labels is the newest, not {shown}",
                where=self.case.case_id,
                fix="Load it, and decide what to keep of each.",
            )
        return self.case.revision
