"""Verdicts on the labels of a case, as the audit trail holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from medseg.review.events import Event

VerdictKind = Literal["accept", "reject", "take_back"]
# Why labels are rejected; closed, so that reasons can be counted.
REASONS = (
    "boundary", "missed", "false finding", "wrong side", "wrong class", "bad scan", "not evaluable", "other",
)  # fmt: skip
# Kind of the event -> what a verdict makes of a case.
VERDICTS: Mapping[VerdictKind, str] = {"accept": "accepted", "reject": "rejected", "take_back": "taken_back"}


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
