"""The paths of the server: the page's files, worklist, scans, labels and verdicts."""

from __future__ import annotations

import asyncio
import io
from collections import defaultdict
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from medseg.config.safe_json import parse_json
from medseg.errors import InputError, UsageError
from medseg.review.adjudication import READINGS
from medseg.review.case_table import with_values_of
from medseg.review.review_case import RevisionConflict
from medseg.review.server.case_images import CaseImages
from medseg.review.server.case_view import CaseView
from medseg.review.server.click_answers import Answerer, ClickAnswers
from medseg.review.server.marks_request import LARGEST_REQUEST, read_marks
from medseg.review.server.messages import (
    answer_part,
    answered,
    base_revision,
    read_body,
    read_verdict,
    revision_number,
    seconds_worked,
    window_of,
)
from medseg.review.server.numbering import Numbering
from medseg.review.server.page_files import INDEX, page_files
from medseg.review.server.reading import Reading
from medseg.review.server.security import Access, Guard, named
from medseg.review.server.suggestions import Suggester
from medseg.review.server.transport import GZIP, largest_body, unpack
from medseg.types import LabelMap

LARGEST_VERDICT = 16_384
# Seconds for which a verdict waits for the save of the revision that it names, and between two looks.
LONGEST_WAIT, LOOK_EVERY = 2.0, 0.02


class ReviewApp:
    """Answers requests on one reading."""

    def __init__(self, reading: Reading, access: Access, clicks: Answerer | None = None) -> None:
        self.reading, self.access = reading, access
        self.images = CaseImages(reading)
        self.view = CaseView(reading, self.images)
        self.clicks = None if clicks is None else ClickAnswers(clicks, reading, self.images)
        self.suggester = Suggester(reading, self.images, self.clicks)
        self._files = page_files()
        # Saves and verdicts on a case are done in the order in which they come.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._shown: dict[tuple[str, str], str] = {}  # the model's labels that a reader was last shown

    def asgi(self) -> Guard:
        """Return the application, guarded."""
        case = "/api/case/{case_id}"
        routes = [
            Route("/", self.page),
            Route("/api/worklist", self.worklist),
            Route(case, self.case),
            Route(f"{case}/image", self.image),
            Route(f"{case}/labels", self.labels, methods=["GET"]),
            Route(f"{case}/labels", self.save, methods=["PUT"]),
            Route(f"{case}/instances", self.instances),
            Route(f"{case}/thumbnail", self.thumbnail),
            Route(f"{case}/verdict", self.verdict, methods=["POST"]),
            Route(f"{case}/suggest", self.suggest, methods=["POST"]),
            *(Route(f"/{name}", self.file) for name in self._files if name != INDEX),
        ]
        app = Starlette(routes=routes)
        app.router.redirect_slashes = False  # no address leads to another
        return Guard(app, self.access)

    def close(self) -> None:
        """Give back what is lent for clicks."""
        if self.clicks is not None:
            self.clicks.close()

    async def page(self, request: Request) -> Response:
        """Swap the key of the printed address for a cookie; give the page to whoever has it."""
        if "key" in request.query_params:
            if self.access.trust_header is None and not self.access.opens(request.query_params["key"]):
                return PlainTextResponse("Open the address that medseg printed; it holds the key.", 401)
            answer = RedirectResponse("/", 303)
            if self.access.trust_header is None:
                secure = self.access.scheme == "https"
                answer.set_cookie(
                    self.access.cookie, self.access.key, httponly=True, samesite="strict", path="/", secure=secure
                )
            return answer
        return await self.file(request)

    async def file(self, request: Request) -> Response:
        """Give one of the page's files, by the list of those that there are."""
        found = self._files.get(request.url.path.removeprefix("/") or INDEX)
        if found is None:
            return PlainTextResponse("There is no such file.", 404)
        return Response(found[0], media_type=None, headers={"content-type": found[1]})

    @answered
    async def worklist(self, request: Request) -> Response:
        """Give the cases in order."""
        return JSONResponse(await run_in_threadpool(self.view.worklist, self._who(request)))

    @answered
    async def case(self, request: Request) -> Response:
        """Give what there is to know of a case."""
        case_id, who, window = await self._known(request), self._who(request), window_of(request)
        if "left" in request.query_params:
            await run_in_threadpool(self.view.left, who, window)
            return Response(status_code=204)
        is_opened = "prefetch" not in request.query_params
        found = await run_in_threadpool(self.view.case, case_id, who, is_opened=is_opened, window=window)
        self._shown[who, case_id] = found["model_sha256"]
        if self.clicks is not None:
            if is_opened:
                self.clicks.expect(case_id)
            found["clicks"] = self.clicks.about(found)
        return JSONResponse(found)

    @answered
    async def image(self, request: Request) -> Response:
        """Give the scan, or the part of it that is asked for."""
        case_id = await self._known(request)
        return answer_part(request, (await run_in_threadpool(self.images.image, case_id)).file)

    @answered
    async def labels(self, request: Request) -> Response:
        """Give the newest labels.

        With ``?of=model`` the model's, with ``?revision=N`` those of a revision, with ``?of=A`` or ``B`` those of a
        reading to settle.
        """
        case_id, who = await self._known(request), self._who(request)
        if (name := request.query_params.get("of")) in READINGS:
            found = await run_in_threadpool(self.images.reading_labels, case_id, name, who)
            return answer_part(request, found.file)
        number, shown = await self._revision(request, case_id, who)
        found = await run_in_threadpool(self.images.labels, case_id, number, who)
        answer = answer_part(request, found.file)
        answer.headers["etag"] = f'"{shown}"'
        return answer

    @answered
    async def instances(self, request: Request) -> Response:
        """Give the ids of objects."""
        case_id, who = await self._known(request), self._who(request)
        number, _ = await self._revision(request, case_id, who)
        found = await run_in_threadpool(self.images.instances, case_id, number)
        return PlainTextResponse("The case has no objects.", 404) if found is None else answer_part(request, found.file)

    @answered
    async def thumbnail(self, request: Request) -> Response:
        """Give a small preview of the case."""
        case_id = await self._known(request)
        path = self.reading.store.result(case_id).folder / "preview.png"
        if self.reading.blind_model or not path.is_file():
            return PlainTextResponse("The case has no preview.", 404)

        def draw() -> bytes:
            from PIL import Image

            from medseg.draw.preview import first_pane

            stream = io.BytesIO()
            with Image.open(path) as preview:
                first_pane(preview, 96).save(stream, "PNG")
            return stream.getvalue()

        content = await run_in_threadpool(draw)
        return Response(content, media_type="image/png", headers={"cache-control": "private, max-age=60"})

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

    @answered
    async def suggest(self, request: Request) -> Response:
        """Give the voxels of a class within a box around the reader's marks; nothing is saved but that it was asked."""
        case_id, who = await self._known(request), self._who(request)
        body = await read_body(request, LARGEST_REQUEST)
        grid = (await run_in_threadpool(self.reading.store.model_labels, case_id)).geometry
        asked = read_marks(body, grid.voxel_count)
        return JSONResponse(await self.suggester.suggest(case_id, who, asked))

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

    def _who(self, request: Request) -> str:
        """The reader: whom a trusted proxy names, or whoever started the server."""
        if self.access.trust_header is None:
            return self.reading.reviewer
        who, settled = named(request.headers[self.access.trust_header]), self.reading.adjudication
        if settled is not None and settled.is_of(who):
            raise HTTPException(403, "Your own reading is one of the two. Let a third person settle the cases.")
        return who

    async def _known(self, request: Request) -> str:
        """Look the case of a request up; an id that is not on the worklist leads nowhere."""
        case_id = str(request.path_params["case_id"])
        if not await run_in_threadpool(self.reading.is_listed, case_id):
            raise HTTPException(404, "There is no such case.")
        return case_id

    def _numbering(self, case_id: str, who: str) -> Numbering:
        return self.reading.numbering(self.reading.store.case(case_id, self.reading.reader(who)), who)

    async def _revision(self, request: Request, case_id: str, who: str) -> tuple[int, int]:
        """The revision that is asked for: its number in the store, and as the reader is shown it."""
        if (name := request.query_params.get("of")) is not None:
            if name != "model":
                raise InputError("of names no labels of this case", fix="Use of=model, or leave it out for the newest.")
            return 0, 0
        asked, numbering = request.query_params.get("revision"), await run_in_threadpool(self._numbering, case_id, who)
        shown = numbering.newest if asked is None else revision_number(asked, "revision")
        return numbering.stored(shown), shown
