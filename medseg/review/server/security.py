"""Keeps other web sites, other people and other names of this machine away from the server.

A page of another site can make a browser send requests to 127.0.0.1, and, by giving its own name that address
(DNS rebinding), read the answers. So every request must be for a known name, must carry the key that only whoever
started the server knows, and must come from the page itself; a write carries a header besides that no form can send.
"""

from __future__ import annotations

import hmac
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse

from medseg.errors import MedsegError
from medseg.review.events import check_name

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

WRITE_HEADER = "x-medseg"
LEFT_OPEN = re.compile(r"/api/case/[^/]+")
ONCE_SECONDS = 60
SAFE_METHODS = ("GET", "HEAD")
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}


@dataclass
class Access:
    """Who may come in."""

    key: str
    port: int
    hosts: frozenset[str]  # with port, as a browser sends them
    scheme: str = "http"
    trust_header: str | None = None  # of a proxy that has checked who it is; in place of the key
    once: str | None = None  # a key that opens the page a single time, for a command line that others may see
    once_until: float = 0.0
    last_request: float = field(default_factory=time.monotonic)  # of somebody at work

    @property
    def cookie(self) -> str:
        """Name of the cookie with the key; browsers share cookies among the ports of a machine."""
        return f"medseg_key_{self.port}"

    @property
    def origins(self) -> frozenset[str]:
        """The page's own origins; a trusted proxy encrypts, as a rule, what this server is asked in the clear."""
        schemes = {self.scheme} if self.trust_header is None else {self.scheme, "https"}
        return frozenset(f"{scheme}://{host}" for scheme in schemes for host in self.hosts)

    def key_for_browser(self) -> str:
        """Return a key that opens the page once, soon."""
        self.once, self.once_until = secrets.token_urlsafe(24), time.monotonic() + ONCE_SECONDS
        return self.once

    def opens(self, given: str | None) -> bool:
        """Whether a key in an address opens the page; one that does so once is used up."""
        if self.has_key(given):
            return True
        once, self.once = self.once, None
        if once is None or time.monotonic() > self.once_until:
            return False
        if hmac.compare_digest((given or "").encode(), once.encode()):
            return True
        self.once = once
        return False

    def has_key(self, given: str | None) -> bool:
        """Whether this is the key; in the same time whatever is given."""
        return hmac.compare_digest((given or "").encode(), self.key.encode())


class Guard:
    """Lets a request through to the app, or answers 421, 403 or 401."""

    def __init__(self, app: App, access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no web sockets
            return

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message.setdefault("headers", [])}
                added = ((name.encode(), value.encode()) for name, value in HEADERS.items())
                message["headers"] = [*message["headers"], *((n, v) for n, v in added if n not in own)]
            await send(message)

        request = Request(scope)
        refusal = self._refusal(request)
        if refusal is not None:
            await PlainTextResponse(refusal[1], refusal[0])(scope, receive, with_headers)
            return
        # A page that is only left open asks for its case now and then, which keeps no server from stopping.
        if not LEFT_OPEN.fullmatch(request.url.path):
            self.access.last_request = time.monotonic()
        await self.app(scope, receive, with_headers)

    def _refusal(self, request: Request) -> tuple[int, str] | None:
        """Status and reason of a request that is refused."""
        headers = request.headers
        if len(headers.getlist("host")) != 1 or headers["host"].lower() not in self.access.hosts:
            return 421, "This server answers to another name: open the address that medseg printed."
        if any(origin.lower() not in self.access.origins for origin in headers.getlist("origin")):
            proxy = " The name by which browsers call a proxy is given with --allow-host."
            return 403, f"Another site asks.{proxy if self.access.trust_header is not None else ''}"
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return 403, "Another site asks."
        if self.access.trust_header is not None:
            names = headers.getlist(self.access.trust_header)
            if len(names) != 1 or not _is_name(named(names[0])):
                return 401, "The proxy in front of this server did not say who you are."
        elif not self.access.has_key(request.cookies.get(self.access.cookie)) and not self._asks_for_cookie(request):
            return 401, "Open the address that medseg printed; it holds the key."
        if request.method not in SAFE_METHODS and headers.get(WRITE_HEADER) != "1":
            return 403, "A write needs the header X-Medseg: 1."
        return None

    def _asks_for_cookie(self, request: Request) -> bool:
        """Whether this is the printed address, at which a key is swapped for a cookie: the page looks at the key."""
        return request.url.path == "/" and request.method == "GET" and "key" in request.query_params


def named(header: str) -> str:
    """Return the name in a header: proxies send UTF-8, and HTTP reads headers as Latin-1."""
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return header


def _is_name(name: str) -> bool:
    try:
        check_name(name)
    except MedsegError:
        return False
    return True
