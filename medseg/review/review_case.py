"""What the audit trail says of one case: its revisions, the verdict that counts, and the state it is in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medseg.review.events import Event
from medseg.review.revisions import ADJUDICATED, UNAIDED, Revision
from medseg.review.verdicts import Verdict

State = Literal["open", "open, model changed", "open, labels changed", "accepted", "rejected"]


@dataclass(frozen=True)
class ReviewCase:
    """A case as a reader sees it."""

    case_id: str
    state: State
    model_labels_path: Path | None  # None where the results of the case are gone or failed since
    model_sha256: str | None
    input_sha256: str | None  # by which its scan is found, see `Store.scan`
    revisions: tuple[Revision, ...]  # oldest first
    # The last one not taken back. Where the labels changed since, it stays, and does not count: see `state`.
    verdict: Verdict | None
    review_priority: float = 0.0
    warnings: tuple[str, ...] = ()
    # Numbers of those revisions that differ from the labels the model makes now: of the newest, and of the judged one.
    changed: frozenset[int] = frozenset()

    def __repr__(self) -> str:
        return f"ReviewCase('{self.case_id}', {self.state}, revision={self.revision}, warnings={len(self.warnings)})"

    @property
    def revision(self) -> int:
        """Number of the newest revision; 0 for the model's labels."""
        return 0 if self.newest is None else self.newest.number

    @property
    def newest(self) -> Revision | None:
        """The newest revision; None before the first, and where it is an untouched copy of an earlier model's labels.

        There, the labels that the model makes now take its place.
        """
        last = self.revisions[-1] if self.revisions else None
        return last if last is not None and last.stands(self.model_sha256) else None

    @property
    def next_number(self) -> int:
        """Number of the revision that is saved next."""
        return self.revisions[-1].number + 1 if self.revisions else 1

    @property
    def is_of_earlier_model(self) -> bool:
        """Whether the newest labels are a person's, drawn when the model made others than it does now."""
        newest = self.newest
        is_beside_a_model = newest is not None and newest.origin not in (UNAIDED, ADJUDICATED)
        return is_beside_a_model and newest is not None and self.model_sha256 not in (None, newest.model_sha256)

    @property
    def is_judged(self) -> bool:
        """Whether a verdict counts."""
        return self.state in ("accepted", "rejected")

    @property
    def is_corrected(self) -> bool:
        """Whether the newest labels differ from those that the model makes now."""
        return self.revision in self.changed

    @property
    def is_accepted_corrected(self) -> bool:
        """Whether labels were accepted that differ from those that the model makes now."""
        return self.state == "accepted" and self.verdict is not None and self.verdict.revision in self.changed


def seen_by(events: Iterable[Event], reader: str | None) -> list[Event]:
    """Return what a blinded reader may know of: their own events; everything without a reader."""
    return [event for event in events if reader is None or event.who == reader]


def state(
    given: Verdict | None, model_sha256: str | None, input_sha256: str | None, drawn: Sequence[Revision] = ()
) -> State:
    """State of a case: a verdict counts for the labels and the scan it was given on, and for no others.

    `drawn` are the case's revisions, oldest first.
    """
    if given is None:
        return "open"
    if given.model_sha256 != model_sha256 or given.input_sha256 != input_sha256:
        return "open, model changed"
    if _is_redrawn(given, drawn):
        return "open, labels changed"
    return "accepted" if given.kind == "accept" else "rejected"


def _is_redrawn(given: Verdict, drawn: Sequence[Revision]) -> bool:
    """Whether somebody drew on after a verdict, and left other labels than those it was given for."""
    # Only what was drawn over the judged labels counts; a blinded reader's own work lies beside them.
    numbers, judged, last = {given.revision}, None, None
    for one in drawn:
        if one.number == given.revision:
            judged = one
        if one.n > given.n and one.base in numbers:
            numbers.add(one.number)
            last = one
    if last is None:
        return False
    if judged is None:  # the model's own labels
        return last.is_changed
    return (last.sha256, last.instances_sha256) != (judged.sha256, judged.instances_sha256)
