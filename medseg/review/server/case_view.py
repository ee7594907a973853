"""What the page is told of cases: nothing of the patient, and nothing that a blinded reader must not know."""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import asdict
from typing import Any

from medseg.review.events import Event
from medseg.review.model_card import model_summary
from medseg.review.results import CaseResult
from medseg.review.review_case import ReviewCase, seen_by
from medseg.review.server.case_images import CaseImages
from medseg.review.server.numbering import Numbering
from medseg.review.server.reading import Reading
from medseg.review.verdicts import REASONS, Verdict
from medseg.types.axis_order import nearest_ras

OPEN_SECONDS = 45  # how long a case counts as open in a window that has not asked for it again
# Keys of an event's body that the page shows.
SHOWN = (
    "revision", "reason", "comment", "changed_voxels", "n_objects", "n_model_objects", "origin", "base", "class",
    "inside", "outside", "method", "refused",
)  # fmt: skip


class CaseView:
    """Describes the cases of a reading."""

    def __init__(self, reading: Reading, images: CaseImages) -> None:
        self.reading, self.images = reading, images
        self._process = f"{os.getpid()}-{secrets.token_hex(4)}"

    def worklist(self, who: str) -> dict[str, Any]:
        """Return the cases in order, and how the reading is done."""
        reading = self.reading
        cases, results = reading.worklist(who), reading.store.results.cases()
        finder = reading.store.finder
        # Those of a sample or a dispute were chosen among cases with labels.
        is_whole = reading.sample is None and reading.adjudication is None
        results_without_labels = reading.store.results.without_labels() if is_whole else {}
        return {
            "cases": [self._row(case, results[case.case_id], who) for case in cases if case.case_id in results],
            "judged": sum(case.is_judged for case in cases),
            "reasons": REASONS,
            "reviewer": who,
            "blind": reading.reader(who) is not None,
            "blind_model": reading.blind_model,
            "sample": None if reading.sample is None else len(reading.sample.case_ids),
            "without_labels": results_without_labels,
            "missing": [case.case_id for case in cases if finder.is_missing(case.case_id)],
        }

    def case(self, case_id: str, who: str, *, is_opened: bool = True, window: str = "") -> dict[str, Any]:
        """Return all that the page needs to know of a case, opened in a window of the reader's."""
        reading, store = self.reading, self.reading.store
        case, result = store.case(case_id, reading.reader(who)), store.result(case_id)
        image, table = self.images.image(case_id), reading.table(case_id, who)
        order, geometry = nearest_ras(image.geometry), image.geometry
        rows, numbering = self.images.rows(case_id), reading.numbering(case, who)
        return {
            **self._row(case, result, who),
            "model_sha256": case.model_sha256,
            "is_of_earlier_model": not reading.blind_model and case.is_of_earlier_model,
            # Axis i of what is sent is axis axes[i] of the scan's own file, backwards where flipped[i].
            "axes": order.permutation,
            "flipped": order.flips,
            "shape": order.select(geometry.shape),
            "spacing": order.select(geometry.spacing),
            "affine": order.geometry(geometry).affine.tolist(),
            "orientation": geometry.orientation,
            "is_2d": image.is_2d,
            "modality": image.modality,
            "voxel_ml": geometry.voxel_volume / 1000,
            "classes": [{"value": c.value, "name": c.name, "color": list(c.color)} for c in table],
            "notes": [] if reading.blind_model else result.content["notes"],
            "model_volumes": None if reading.blind_model else result.content["volumes"],
            "readings": self._readings(case_id),
            "dispute": self._dispute(case_id),
            "card": model_summary(store.results.folder),
            "instances": None if rows is None else [asdict(row) for row in rows],
            "clicks": None,
            "elsewhere": self._elsewhere(case_id, who, window, is_opened=is_opened),
            "events": [self._event(event, numbering) for event in seen_by(store.events(case_id), reading.reader(who))],
        }

    def _readings(self, case_id: str) -> list[dict[str, Any]]:
        """The two readings to settle, without the readers' names."""
        settled = self.reading.adjudication
        return (
            [] if settled is None else [{"name": name, "verdict": given} for name, given in settled.verdicts(case_id)]
        )

    def _dispute(self, case_id: str) -> dict[str, Any] | None:
        if self.reading.adjudication is None:
            return None
        one = self.reading.adjudication.disputes[case_id]
        return {"class": one.class_name, "dice": one.dice, "verdicts_differ": one.verdicts_differ}

    def _row(self, case: ReviewCase, result: CaseResult, who: str) -> dict[str, Any]:
        numbering = self.reading.numbering(case, who)
        hidden, has_thumbnail = self.reading.blind_model, "preview.png" in result.content["outputs"]
        return {
            "case_id": case.case_id,
            "state": case.state,
            "is_corrected": case.newest is not None if hidden else case.is_corrected,
            "revision": numbering.newest,
            "verdict": None if case.verdict is None else self._verdict(case.verdict, numbering),
            "review_priority": None if hidden else case.review_priority,
            "warnings": [] if hidden else case.warnings,
            "thumbnail": None if hidden or not has_thumbnail else f"/api/case/{case.case_id}/thumbnail",
        }

    def _verdict(self, given: Verdict, numbering: Numbering) -> dict[str, Any]:
        names = ("kind", "reason", "comment", "who", "t")
        # How many events there are would tell a blinded reader of others at work.
        n, revision = None if numbering.is_blind else given.n, numbering.shown(given.revision)
        return {**{name: getattr(given, name) for name in names}, "revision": revision, "n": n}

    def _event(self, event: Event, numbering: Numbering) -> dict[str, Any]:
        hidden = {"changed_voxels", "n_model_objects"} if self.reading.blind_model else set()
        body = {name: event.body[name] for name in SHOWN if name in event.body and name not in hidden}
        body |= {name: numbering.shown(body[name]) for name in ("revision", "base") if name in body}
        return {
            "n": None if numbering.is_blind else event.n,
            "t": event.t,
            "who": event.who,
            "kind": event.kind,
            "body": body,
        }

    def left(self, who: str, window: str) -> None:
        """Forget which case a window has open."""
        with self.reading.store.log.transaction() as database:
            database.execute("delete from windows where window=?", (self._window(who, window),))

    def _window(self, who: str, window: str) -> str:
        return f"{self._process}/{who}/{window}"

    def _elsewhere(self, case_id: str, who: str, window: str, *, is_opened: bool) -> str | None:
        """Who has the case open in another window, of a blinded reading only the reader; what names none is none."""
        log, now, mine = self.reading.store.log, time.time(), self._window(who, window)
        if is_opened and window:
            with log.transaction() as database:
                database.execute("delete from windows where until<?", (now,))
                row = (mine, case_id, who, now + OPEN_SECONDS)
                database.execute("insert or replace into windows values(?,?,?,?)", row)
        others = log.rows("select who from windows where case_id=? and window<>? and until>=?", (case_id, mine, now))
        is_blind = self.reading.reader(who) is not None
        return next((name for (name,) in others if not is_blind or name == who), None)
