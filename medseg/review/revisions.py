"""The revisions of a case's labels, as the audit trail holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medseg.errors import MedsegError
from medseg.review.events import Event
from medseg.types import LabelClass, LabelTable

# What a revision was drawn with: the page, the page while it hid the model's labels, or with two readings in sight.
PAGE = "medseg review"
UNAIDED, ADJUDICATED = f"{PAGE}, without the model's labels", f"{PAGE}, adjudication"
SAVED = "saved"  # kind of the event


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


def revisions(events: Iterable[Event], folder: Path) -> tuple[Revision, ...]:
    """Return the revisions among events; their files lie below `folder`."""
    return tuple(_revision(event, folder) for event in events if event.kind == SAVED)


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
