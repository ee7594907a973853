"""The queue page, ``/healthz`` and ``/metrics``: for this machine alone, read only, and nothing of a patient."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from medseg.draw.page import fill
from medseg.errors import UsageError
from medseg.review.server.listening import allowed_hosts, listen
from medseg.review.server.security import HEADERS, App, Receive, Scope, Send
from medseg.service.bounds import SPARE_DISK
from medseg.service.node.config import NodeConfig
from medseg.service.node.metrics import metrics
from medseg.service.node.reasons import KEPT_FIX, KEPT_LONGER, sentences
from medseg.service.node.status import NodeStatus, node_status
from medseg.service.node.store import NodeStore

REFRESH_SECONDS = "10"
# The page has its style inside, and no script: what was sorted would be undone by the next refresh.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
OWN = {"content-security-policy": POLICY}
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class QueuePage:
    """Answers requests on one node."""

    def __init__(
        self, store: NodeStore, config: NodeConfig, answers: Counter[int], is_alive: Callable[[], bool]
    ) -> None:
        self.store, self.config, self.answers, self.is_alive = store, config, answers, is_alive

    def asgi(self, hosts: frozenset[str]) -> KnownHosts:
        """Return the application, for requests that call it by one of its names."""
        routes = [
            Route("/", self.page),
            Route("/healthz", self.health),
            Route("/metrics", self.metrics),
        ]
        return KnownHosts(Starlette(routes=routes), hosts)

    async def _status(self) -> NodeStatus:
        return await run_in_threadpool(node_status, self.store, self.config)

    async def page(self, _: Request) -> Response:
        """Give the queue."""
        status = await self._status()
        text = fill(
            "node_queue.html",
            status=status,
            now=time.time(),
            ago=ago,
            kept=sentences(KEPT_LONGER.format(status.kept_longer), KEPT_FIX),
        )
        return HTMLResponse(text, headers={"refresh": REFRESH_SECONDS})

    async def health(self, _: Request) -> Response:
        """Say whether the node does its work and has space for more."""
        status = await self._status()
        if not self.is_alive():
            return PlainTextResponse("a part of the node has ended\n", 503)
        if status.unwritable:
            return PlainTextResponse(f"cannot be written: {', '.join(status.unwritable)}\n", 503)
        if status.free_bytes < SPARE_DISK:
            return PlainTextResponse("the disk is full\n", 503)
        return PlainTextResponse("ok\n")

    async def metrics(self, _: Request) -> Response:
        """Give counts."""
        return PlainTextResponse(metrics(await self._status(), self.answers), media_type=PROMETHEUS)


class KnownHosts:
    """Answers 421 to whoever calls the server by a name that is not its own, as pages of other sites can."""

    def __init__(self, app: App, hosts: frozenset[str]) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                added = [(name.encode(), value.encode()) for name, value in {**HEADERS, **OWN}.items()]
                message["headers"] = [*message.get("headers", []), *added]
            await send(message)

        names = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
        if len(names) != 1 or names[0] not in self.hosts:
            await PlainTextResponse("This server has another name.", 421)(scope, receive, with_headers)
            return
        await self.app(scope, receive, with_headers)


def ago(then: float | None, now: float) -> str:
    """Return how long ago something was, in the unit that fits."""
    if then is None:
        return "never"
    seconds = max(0.0, now - then)
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count != 1 else ''} ago"
    return f"{int(seconds)} s ago"


@contextmanager
def serving_page(page: QueuePage, address: tuple[str, int] | None) -> Iterator[str | None]:
    """Serve the page in a thread; gives its address, or None where there is to be none."""
    if address is None:
        yield None
        return
    import uvicorn

    try:
        opened = listen(*address)
    except UsageError as error:
        fix = "Choose another port, for instance because Orthanc has 8042, or null for no page."
        raise UsageError(error.what, where=f"http: {address[0]}:{address[1]}", fix=fix) from None
    with opened:
        port = int(opened.getsockname()[1])
        config = uvicorn.Config(
            page.asgi(allowed_hosts(address[0], port, ())),
            log_level="critical",
            access_log=False,
            server_header=False,
            ws="none",
            lifespan="off",
            timeout_graceful_shutdown=2,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]}, daemon=True, name="page")
        thread.start()
        try:
            yield f"http://{f'[{address[0]}]' if ':' in address[0] else address[0]}:{port}/"
        finally:
            server.should_exit = True
            thread.join(5)
