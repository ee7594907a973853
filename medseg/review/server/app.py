"""The paths of the server: the page's files, worklist, scans, labels and verdicts."""

from __future__ import annotations

import io

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from medseg.review.adjudication import READINGS
from medseg.review.server.case_images import CaseImages
from medseg.review.server.case_view import CaseView
from medseg.review.server.changes import Changes
from medseg.review.server.click_answers import Answerer, ClickAnswers
from medseg.review.server.marks_request import LARGEST_REQUEST, read_marks
from medseg.review.server.messages import answer_part, answered, read_body, window_of
from medseg.review.server.page_files import INDEX, page_files
from medseg.review.server.reading import Reading
from medseg.review.server.security import Access, Guard
from medseg.review.server.suggestions import Suggester


class ReviewApp(Changes):
    """Answers requests on one reading."""

    def __init__(self, reading: Reading, access: Access, clicks: Answerer | None = None) -> None:
        super().__init__(reading, access)
        self.images = CaseImages(reading)
        self.view = CaseView(reading, self.images)
        self.clicks = None if clicks is None else ClickAnswers(clicks, reading, self.images)
        self.suggester = Suggester(reading, self.images, self.clicks)
        self._files = page_files()

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
    async def suggest(self, request: Request) -> Response:
        """Give the voxels of a class within a box around the reader's marks; nothing is saved but that it was asked."""
        case_id, who = await self._known(request), self._who(request)
        body = await read_body(request, LARGEST_REQUEST)
        grid = (await run_in_threadpool(self.reading.store.model_labels, case_id)).geometry
        asked = read_marks(body, grid.voxel_count)
        return JSONResponse(await self.suggester.suggest(case_id, who, asked))
