"""What requests hold, checked, and how they are answered: files in parts, and errors in one line."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from medseg.config.safe_json import parse_json
from medseg.errors import InputError, MedsegError
from medseg.review.revisions import RevisionConflict
from medseg.review.server.byte_range import NotThere, asked_range

log = logging.getLogger("medseg.review.server")

SECONDS_TO_SEND = 120
LONGEST_SECONDS = 86_400.0
LONGEST_WINDOW = 64
CLIENT_LEFT = 499  # what servers call it; HTTP has no code for it
Endpoint = Callable[[Any, Request], Awaitable[Response]]


def answered(endpoint: Endpoint) -> Endpoint:
    """Turn errors into an answer of one line, without a path and without a traceback."""

    @wraps(endpoint)
    async def answer(self: Any, request: Request) -> Response:
        try:
            return await endpoint(self, request)
        except HTTPException:
            raise
        except ClientDisconnect:
            log.debug("the browser left during a request for %s", request.url.path)
            return Response(status_code=CLIENT_LEFT)  # to nobody
        except MedsegError as error:
            code = 409 if isinstance(error, RevisionConflict) else 422
            return PlainTextResponse(f"{error.what.rstrip('.')}. {error.fix or ''}".strip(), code)
        except Exception as error:
            log.error("a bug in the review server: %s", type(error).__name__)
            log.debug("in %s", request.url.path, exc_info=error)
            return PlainTextResponse("This is a bug in medseg; its log says more with --debug.", 500)

    return answer


def answer_part(request: Request, file: memoryview) -> Response:
    """Answer with a file, or the one range of it that is asked for."""
    size, kind = len(file), "application/octet-stream"
    headers = {"accept-ranges": "bytes"}
    try:
        part = asked_range(request.headers.get("range"), size)
    except NotThere:
        return PlainTextResponse("The file has no such bytes.", 416, {"content-range": f"bytes */{size}"})
    if part is None:
        return Response(file, 200, headers, kind)
    first, end = part
    headers["content-range"] = f"bytes {first}-{end - 1}/{size}"
    return Response(file[first:end], 206, headers, kind)


async def read_body(request: Request, most: int) -> bytes:
    """Read the body of a request, no further than it may be long."""
    parts, size = list[bytes](), 0
    try:
        async with asyncio.timeout(SECONDS_TO_SEND):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise HTTPException(413, "That is longer than labels of this case, marks or a verdict can be.")
                parts.append(part)
    except TimeoutError:
        raise HTTPException(408, "The request took too long to come.") from None
    return b"".join(parts)


def base_revision(request: Request) -> int:
    """Revision that labels were drawn over, as `If-Match` says."""
    given = request.headers.get("if-match")
    if given is None:
        raise HTTPException(428, "Name the revision the labels were drawn over with If-Match; 0 before the first.")
    return revision_number(given.strip().strip('"'), "If-Match")


def revision_number(text: str, name: str) -> int:
    """Read the number of a revision."""
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise InputError(f"{name} must be the number of a revision", fix="Use 0 before the first.")
    return int(text)


def window_of(request: Request) -> str:
    """Return what the page calls the window that a request comes from; nothing for clients without windows."""
    return request.headers.get("x-window", "")[:LONGEST_WINDOW]


def seconds_worked(text: object) -> float | None:
    """How long the case was open, as the page says; None where it does not say so."""
    try:
        value = float(str(text))
    except ValueError:
        return None
    return round(value, 1) if 0 <= value <= LONGEST_SECONDS else None


def read_verdict(body: bytes) -> dict[str, Any]:
    """Read what a verdict says."""
    try:
        given = parse_json(body)
        kind, revision = given["kind"], given["revision"]
        reason, comment = given.get("reason") or None, given.get("comment") or ""
        model = given.get("model_sha256")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            "a verdict needs kind and revision, as JSON", fix="See docs/reference/review-api.md."
        ) from error
    is_valid = all(isinstance(one, str) for one in (kind, comment, reason or "", model or ""))
    if not is_valid or not isinstance(revision, int) or isinstance(revision, bool):
        raise InputError(
            "kind, reason, comment and model_sha256 are text, and revision is a number", fix="Send them so."
        )
    seconds = seconds_worked(given.get("seconds"))
    details = {} if seconds is None else {"seconds": seconds}
    verdict = {"kind": kind, "revision": revision, "reason": reason, "comment": comment}
    return {**verdict, "details": details, "model_sha256": model}
