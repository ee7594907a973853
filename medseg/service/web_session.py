"""HTTP within bounds: no redirection, no answer without end, none that comes a byte at a time."""

from __future__ import annotations

import codecs
import contextlib
import socket
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from medseg.service.archive import Archive, ArchiveError, ArchiveRefusal
from medseg.service.bounds import (
    GRACE_SECONDS,
    LARGEST_ANSWER,
    LARGEST_OBJECT,
    SEARCH_SECONDS,
    SLOWEST,
    answer_seconds,
    upload_seconds,
)
from medseg.service.upload import Upload

TIMEOUT = (10, 120)  # seconds to connect, and until an answer begins
CHUNK = 1 << 16
SEND_BUFFER = 1 << 18  # bytes that count as sent while this machine still has them; by itself a system takes megabytes
LATER = "Ask its administrator, or run the same command again."
BROKEN_OFF = "the archive broke off its answer, or sent one that is no HTTP"
LOOK_EVERY = 1.0  # seconds
# Open connections, so that one on which an answer drips can be cut from another thread.
_connections: weakref.WeakSet[Any] = weakref.WeakSet()


class BoundedSession(requests.Session):  # type: ignore[misc,unused-ignore]
    """A session with one archive; what goes wrong is an `ArchiveError`."""

    def __init__(self, archive: Archive) -> None:
        super().__init__()
        self.archive = archive
        self.deadline: float | None = None  # by `time.monotonic`, for every answer from now on
        self._watch = _Watch()
        self.headers.update(archive.headers)
        self.auth = archive.login
        if archive.authority is not None:
            self.verify = str(archive.authority)
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter())

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request; the answer's body is read within bounds, also where it is streamed later."""
        is_streamed = options.pop("stream", False)
        options["allow_redirects"] = False
        with _RequestWatch(request.body if isinstance(request.body, Upload) else None) as watch:
            try:
                response = super().send(request, stream=True, **options)
            except requests.RequestException as error:
                if not watch.why:
                    raise
                raise ArchiveError(watch.why, where=self.archive.name, fix=LATER) from error
        if watch.why:  # where the connection is cut among the headers, those that came are taken for all
            response.close()
            raise ArchiveError(watch.why, where=self.archive.name, fix=LATER)
        if response.is_redirect:
            response.close()
            raise ArchiveRefusal(
                f"the archive sent us to another address ({response.status_code})",
                where=self.archive.name,
                fix="Sign in with --user or a token where it asks for that, or give the address it means.",
            )
        fix = (
            "Ask its administrator."
            if request.method == "POST" or is_streamed
            else "Restrict the search with --query; check the address."
        )
        self._bound(response, fix, is_streamed=is_streamed)
        if not is_streamed:
            response._content = response.content.removeprefix(codecs.BOM_UTF8)  # read now; requests keeps it
            if not response.content and _has_no_end(response):
                raise ArchiveError(BROKEN_OFF, where=self.archive.name, fix=LATER)
        return response

    def next_object(self) -> None:
        """Begin to count anew: what is streamed from now on is another object."""
        self._watch.next_object()

    def _bound(self, response: requests.Response, fix: str, *, is_streamed: bool) -> None:
        """Make a response count what it gives, and end where that is too much or comes too slowly."""

        def content(*_: object, **__: object) -> Iterator[bytes]:
            watch = self._watch = _Watch(self.deadline)
            try:
                with watch:
                    while chunk := response.raw.read(CHUNK, decode_content=True):
                        watch.count(len(chunk))
                        self._check_size(watch.of_object, fix, is_streamed=is_streamed)
                        yield chunk
                if watch.why:
                    raise OSError
            except ArchiveError:
                raise
            except Exception as error:
                what = watch.why or BROKEN_OFF
                raise ArchiveError(what, where=self.archive.name, fix=LATER) from error
            finally:
                response.close()

        response.iter_content = content

    def _check_size(self, size: int, fix: str, *, is_streamed: bool) -> None:
        most, what = (LARGEST_OBJECT, "an object") if is_streamed else (LARGEST_ANSWER, "the archive's answer")
        if size > most:
            raise ArchiveRefusal(
                f"{what} has more than {most >> 20} MiB",
                where=self.archive.name,
                fix=fix,
            )


def _has_no_end(response: requests.Response) -> bool:
    """Whether headers that should say how long an answer is do not: those that were cut off are taken for all."""
    stated = ("Content-Length", "Transfer-Encoding")
    return response.status_code not in (204, 205, 304) and not any(name in response.headers for name in stated)


class _Watch:
    """Looks at an answer now and then, and cuts the connection where it comes too slowly or takes too long."""

    def __init__(self, deadline: float | None = None) -> None:
        self.deadline, self.why = deadline, ""
        self.began = self.object_began = time.monotonic()
        self.total = self.of_object = 0
        self._over = threading.Event()
        # A connection is that of the thread that made it.
        self._owner = threading.get_ident()

    def __enter__(self) -> Self:
        threading.Thread(target=self._look, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def count(self, size: int) -> None:
        """Take in that so many bytes have come."""
        self.total += size
        self.of_object += size

    def next_object(self) -> None:
        """Begin another object."""
        self.object_began, self.of_object = time.monotonic(), 0

    def _look(self) -> None:
        while not self._over.wait(LOOK_EVERY):
            self.why = self.wrong(time.monotonic())
            if self.why:
                _cut(self._owner)
                return

    def wrong(self, now: float) -> str:
        """Say why an answer is given up at a moment; empty where it is not."""
        seconds = now - self.began
        if seconds > GRACE_SECONDS and self.total < SLOWEST * seconds:
            return f"the archive sends less than {SLOWEST:,} bytes a second"
        if self.deadline is not None and now > self.deadline:
            return f"the search took longer than {SEARCH_SECONDS:g} s"
        allowed = answer_seconds(self.of_object)
        if now - self.object_began > allowed:
            return f"the archive took longer than {allowed:.0f} s for {self.of_object / 1e6:.1f} MB"
        return ""


class _RequestWatch(_Watch):
    """Looks at a request until its answer begins, whose first lines drip as well as any others."""

    def __init__(self, upload: Upload | None) -> None:
        super().__init__()
        self.upload = upload

    def wrong(self, now: float) -> str:
        """Say why an answer is waited for no longer; empty where it is."""
        seconds = TIMEOUT[0] + TIMEOUT[1]
        if self.upload is None:
            since = self.began
        elif self.upload.ended is None:
            allowed = upload_seconds(self.upload.taken)
            is_slow = now - self.began > allowed
            return f"the archive took {self.upload.taken / 1e6:.1f} MB in {allowed:.0f} s" if is_slow else ""
        else:
            since = self.upload.ended
        return f"the archive's answer did not begin within {seconds:g} s" if now - since > seconds else ""


def _cut(owner: int) -> None:
    for connection in list(_connections):
        if connection.medseg_owner == owner:
            with contextlib.suppress(OSError):
                connection.medseg_socket.shutdown(socket.SHUT_RDWR)


def _mark(connection: Any) -> None:
    """Make a connection one that can be cut, and on which a piece that is sent has the time that an answer has."""
    # http.client lets go of the socket where an answer ends with the connection.
    connection.medseg_owner, connection.medseg_socket = threading.get_ident(), connection.sock
    connection.sock.settimeout(TIMEOUT[1])
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    _connections.add(connection)


class _Connection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _mark(self)


class _TlsConnection(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _mark(self)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):  # type: ignore[misc,unused-ignore]
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
