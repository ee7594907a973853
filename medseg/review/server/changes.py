"""Requests that change a review: labels that are saved, and verdicts."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from medseg.config.safe_json import parse_json
from medseg.errors import InputError, UsageError
from medseg.review.case_table import with_values_of
from medseg.review.revisions import RevisionConflict
from medseg.review.server.case_requests import CaseRequests
from medseg.review.server.messages import answered, base_revision, read_body, read_verdict, seconds_worked
from medseg.review.server.reading import Reading
from medseg.review.server.security import Access
from medseg.review.server.transport import GZIP, largest_body, unpack
from medseg.types import LabelMap

LARGEST_VERDICT = 16_384
# Seconds for which a verdict waits for the save of the revision that it names, and between two looks.
LONGEST_WAIT, LOOK_EVERY = 2.0, 0.02


class Changes(CaseRequests):
    """Saves labels and records verdicts, those of one case in the order in which they come."""

    def __init__(self, reading: Reading, access: Access) -> None:
        super().__init__(reading, access)
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._shown: dict[tuple[str, str], str] = {}  # the model's labels that a reader was last shown

    @answered
    async def save(self, request: Request) -> Response:
        """Save labels over the revision that `If-Match` names."""
        case_id, who, base = await self._known(request), self._who(request), base_revision(request)
        if request.headers.get("content-encoding", "gzip").lower() not in ("gzip", "identity"):
            return PlainTextResponse("Only gzip is inflated.", 415)
        async with self._turns[case_id]:
            model = await run_in_threadpool(self.reading.store.model_labels, case_id)
            body = await read_body(request, largest_body(model.geometry))
            if request.headers.get("content-encoding", "").lower() == "gzip" and not body.startswith(GZIP):
                raise InputError("Content-Encoding says gzip, and the body is none", fix="Send it compressed.")

            def work() -> dict[str, Any]:
                if not self.reading.blind_model:
                    self._check_shown(case_id, request.headers.get("x-model"))
                self.reading.store.scan(case_id)  # what cannot be shown cannot be drawn on
                drawn = unpack(body, model.geometry)
                table = self.reading.table(case_id, who)
                saved = self.reading.store.save_labels(
                    case_id,
                    LabelMap(drawn.labels, model.geometry, table),
                    who=who,
                    expected=self._numbering(case_id, who).newest_stored(base),
                    origin=self.reading.origin,
                    reader=self.reading.reader(who),
                    instances=drawn.ids,
                    seconds=seconds_worked(request.headers.get("x-seconds")),
                )
                number = self._numbering(case_id, who).shown(saved.number)
                found = {"revision": number, "sha256": saved.sha256, "volume_ml": dict(saved.volume_ml)}
                if self.reading.blind_model:
                    return found
                compared = {"changed_voxels": saved.changed_voxels, "dice_with_model": dict(saved.dice_with_model)}
                return {**found, **compared}

            answer = JSONResponse(await run_in_threadpool(work))
        answer.headers["etag"] = f'"{parse_json(bytes(answer.body))["revision"]}"'
        return answer

    @answered
    async def verdict(self, request: Request) -> Response:
        """Record a verdict on the revision that it names."""
        case_id, who = await self._known(request), self._who(request)
        given = read_verdict(await read_body(request, LARGEST_VERDICT))
        shown = given.pop("model_sha256") or self._shown.get((who, case_id))
        await self._wait_for_save(case_id, who, given["revision"])
        async with self._turns[case_id]:
            store = self.reading.store

            def work() -> dict[str, Any]:
                if self.reading.blind_model and given["revision"] == 0:
                    raise UsageError("nothing is drawn yet", fix="Save labels of your own, and judge those.")
                self._check_shown(case_id, shown)
                reader = self.reading.reader(who)
                given["revision"] = self._numbering(case_id, who).newest_stored(given["revision"])
                if self.reading.adjudication is not None and given["revision"] == 0 and given["kind"] == "accept":
                    # What was shown is what both readings have in common, not the model's labels.
                    given["revision"] = self._save_agreed(case_id, who)
                if given["kind"] != "take_back":
                    store.scan(case_id)  # nobody signs what cannot be shown
                store.verdict(case_id, who=who, reader=reader, **given)
                n, digest = store.log.head
                return {"n": n, "hash": digest, "state": store.case(case_id, reader).state}

            return JSONResponse(await run_in_threadpool(work))

    async def _wait_for_save(self, case_id: str, who: str, revision: int) -> None:
        """Wait a little for the next revision, where a verdict names it and it is not there yet.

        The save was sent before the verdict, but on another connection, where it may arrive after it.
        """
        for _ in range(round(LONGEST_WAIT / LOOK_EVERY)):
            if (await run_in_threadpool(self._numbering, case_id, who)).next != revision:
                return
            await asyncio.sleep(LOOK_EVERY)

    def _check_shown(self, case_id: str, shown: str | None) -> None:
        """Raise `RevisionConflict` where the model's labels are others than those that were `shown`."""
        if shown is not None and shown != self.reading.store.result(case_id).model_sha256:
            raise RevisionConflict("the model's labels changed since they were shown", fix="Open the case again.")

    def _save_agreed(self, case_id: str, who: str) -> int:
        """Save what two readings have in common as a revision of whoever settles them; return its number."""
        reading = self.reading
        assert reading.adjudication is not None
        saved = reading.store.save_labels(
            case_id,
            with_values_of(reading.adjudication.agreed(case_id), reading.table(case_id, who)),
            who=who,
            expected=0,
            origin=reading.origin,
            reader=reading.reader(who),
        )
        return saved.number
