"""What the audit trail says of one case: its revisions, the verdict that counts, and the state it is in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from medseg.errors import MedsegError
from medseg.review.events import Event
from medseg.types import LabelClass, LabelTable

VerdictKind = Literal["accept", "reject", "take_back"]
State = Literal["open", "open, model changed", "open, labels changed", "accepted", "rejected"]
# Why labels are rejected; closed, so that reasons can be counted.
REASONS = (
    "boundary", "missed", "false finding", "wrong side", "wrong class", "bad scan", "not evaluable", "other",
)  # fmt: skip

# What a revision was drawn with: the page, the page while it hid the model's labels, or with two readings in sight.
PAGE = "medseg review"
UNAIDED, ADJUDICATED = f"{PAGE}, without the model's labels", f"{PAGE}, adjudication"
SAVED, SAMPLED = "saved", "sampled"
SUGGESTED = "suggested"  # voxels of a class, from marks of a reader
# Kind of the event -> what a verdict makes of a case.
VERDICTS: Mapping[VerdictKind, str] = {"accept": "accepted", "reject": "rejected", "take_back": "taken_back"}


class RevisionConflict(MedsegError):
    """A newer revision of the labels exists than the one that was seen; nothing is merged silently."""


@dataclass(frozen=True)
class Revision:
    """One saved state of a case's labels."""

    case_id: str
    number: int  # 1, 2, 3, ...; 0 stands for the model's labels, which are no revision
    file: Path
    sha256: str
    who: str
    t: str  # when, UTC, ISO 8601
    n: int  # number of its event
    origin: str  # what it was drawn with, for instance ``"medseg review"``
    base: int  # the revision it was drawn over
    model_sha256: str | None  # of the model's labels at that time
    input_sha256: str | None  # of the scan
    changed_voxels: int | None  # voxels that differ from the model's labels
    dice_with_model: Mapping[str, float | None]  # class name to Dice; None where neither has the class
    volume_ml: Mapping[str, float]
    table: LabelTable  # its classes
    instances_file: Path | None = None  # ids of objects, where the model makes objects
    instances_sha256: str | None = None
    objects_changed: bool = False  # whether objects were deleted, merged, split or drawn

    @property
    def is_changed(self) -> bool:
        """Whether it differs from what the model made at that time: in a voxel's class, or in what object it is of."""
        return self.changed_voxels != 0 or self.objects_changed

    def stands(self, model_sha256: str | None) -> bool:
        """Whether it is to be shown beside the labels that a model makes now.

        What a person corrected or drew is; an untouched copy of an earlier model's labels is not. `model_sha256` is
        None where there are no labels of a model any more.
        """
        is_own = self.is_changed or self.origin in (UNAIDED, ADJUDICATED)
        return is_own or model_sha256 in (None, self.model_sha256)

    def __repr__(self) -> str:
        return f"Revision('{self.case_id}', {self.number}, who='{self.who}', t='{self.t}')"


@dataclass(frozen=True)
class Verdict:
    """What a reader says of one revision of a case's labels."""

    case_id: str
    kind: Literal["accept", "reject"]
    revision: int  # 0 for the model's labels as they are
    labels_sha256: str | None  # of the file the verdict is about
    model_sha256: str | None  # of the model's labels at that time
    input_sha256: str | None
    who: str
    t: str
    n: int
    reason: str | None
    comment: str

    def __repr__(self) -> str:
        reason = f", reason='{self.reason}'" if self.reason else ""
        return f"Verdict('{self.case_id}', {self.kind}, revision={self.revision}, who='{self.who}'{reason})"


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


def revisions(events: Iterable[Event], folder: Path) -> tuple[Revision, ...]:
    """Return the revisions among events; their files lie below `folder`."""
    return tuple(_revision(event, folder) for event in events if event.kind == SAVED)


def verdict(events: Iterable[Event]) -> Verdict | None:
    """Return the last verdict that was not taken back."""
    last = next((event for event in reversed(list(events)) if event.kind in VERDICTS.values()), None)
    if last is None or last.kind == VERDICTS["take_back"]:
        return None
    body = last.body
    return Verdict(
        last.case_id,
        "accept" if last.kind == VERDICTS["accept"] else "reject",
        body["revision"],
        body["labels_sha256"],
        body["model_sha256"],
        body["input_sha256"],
        last.who,
        last.t,
        last.n,
        body["reason"],
        body["comment"],
    )


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


def _revision(event: Event, folder: Path) -> Revision:
    body = event.body
    objects = body.get("instances")
    return Revision(
        event.case_id,
        body["revision"],
        folder / body["file"],
        body["sha256"],
        event.who,
        event.t,
        event.n,
        body["origin"],
        body["base"],
        body["model_sha256"],
        body["input_sha256"],
        body["changed_voxels"],
        body["dice_with_model"],
        body["volume_ml"],
        table_from_json(body["classes"]),
        None if objects is None else folder / objects["file"],
        None if objects is None else objects["sha256"],
        # Before it was recorded, objects counted as changed.
        body.get("objects_changed", objects is not None),
    )


def table_to_json(table: LabelTable) -> list[dict[str, Any]]:
    """Return a table of classes as an event holds it."""
    return [{"value": entry.value, "name": entry.name, "color": list(entry.color)} for entry in table]


def table_from_json(classes: Sequence[Mapping[str, Any]]) -> LabelTable:
    """Return the table that an event holds."""
    entries = []
    for entry in classes:
        red, green, blue = entry["color"]
        entries.append(LabelClass(entry["value"], entry["name"], color=(red, green, blue)))
    return LabelTable(tuple(entries))
