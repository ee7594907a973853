"""What requests are about: whose they are, and which case and which of its revisions they name."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request

from medseg.errors import InputError
from medseg.review.server.messages import revision_number
from medseg.review.server.numbering import Numbering
from medseg.review.server.reading import Reading
from medseg.review.server.security import Access, named


class CaseRequests:
    """Looks up what requests on one reading name."""

    def __init__(self, reading: Reading, access: Access) -> None:
        self.reading, self.access = reading, access

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
