"""HTTP within bounds: no redirection, no answer without end, none that comes a byte at a time."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from medseg.service.archive import Archive, ArchiveError, ArchiveRefusal
from medseg.service.bounds import GRACE_SECONDS, LARGEST_ANSWER, LARGEST_OBJECT, SLOWEST

TIMEOUT = (10, 120)  # seconds to connect, and until an answer begins
CHUNK = 1 << 16
# Open connections, so that one on which an answer drips can be cut from another thread.
_connections: weakref.WeakSet[Any] = weakref.WeakSet()


class BoundedSession(requests.Session):  # type: ignore[misc,unused-ignore]
    """A session with one archive; what goes wrong is an `ArchiveError`."""

    def __init__(self, archive: Archive) -> None:
        super().__init__()
        self.archive = archive
        self.since_object = 0  # bytes streamed since whoever streams set it to 0
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
        with _cut_after(TIMEOUT[0] + TIMEOUT[1]):
            response = super().send(request, stream=True, **options)
        if response.is_redirect:
            response.close()
            raise ArchiveRefusal(
                f"the archive sent us to another address ({response.status_code})",
                where=self.archive.name,
                fix="Sign in with --user or a token where it asks for that, or give the address it means.",
            )
        self._bound(response, is_streamed=is_streamed)
        if not is_streamed:
            _ = response.content  # read now; requests keeps it
        return response

    def _bound(self, response: requests.Response, *, is_streamed: bool) -> None:
        """Make a response count what it gives, and end where that is too much or comes too slowly."""

        def content(*_: object, **__: object) -> Iterator[bytes]:
            total, began = 0, time.monotonic()
            watch = _Watch(began)
            try:
                with watch:
                    while chunk := response.raw.read(CHUNK, decode_content=True):
                        total += len(chunk)
                        watch.total = total
                        self.since_object += len(chunk)
                        self._check_size(self.since_object if is_streamed else total, is_streamed=is_streamed)
                        yield chunk
                if watch.has_cut:
                    raise OSError
            except ArchiveError:
                raise
            except Exception as error:
                if watch.has_cut:
                    raise ArchiveError(
                        f"the archive sends less than {SLOWEST:,} bytes a second",
                        where=self.archive.name,
                        fix="Ask its administrator, or run the same command again.",
                    ) from error
                raise requests.ConnectionError(error) from error
            finally:
                response.close()

        response.iter_content = content

    def _check_size(self, size: int, *, is_streamed: bool) -> None:
        most, what = (LARGEST_OBJECT, "an object") if is_streamed else (LARGEST_ANSWER, "the archive's answer")
        if size > most:
            raise ArchiveRefusal(
                f"{what} has more than {most >> 20} MiB",
                where=self.archive.name,
                fix="Restrict the search with --query; check the address.",
            )


class _Watch:
    """Looks at an answer now and then, and cuts the connection where it comes too slowly."""

    def __init__(self, began: float) -> None:
        self.began, self.total, self.has_cut = began, 0, False
        self._over = threading.Event()
        # A connection is that of the thread that made it.
        self._owner = threading.get_ident()

    def __enter__(self) -> None:
        threading.Thread(target=self._look, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _look(self) -> None:
        while not self._over.wait(1.0):
            seconds = time.monotonic() - self.began - GRACE_SECONDS
            if seconds > 0 and self.total < SLOWEST * (seconds + GRACE_SECONDS):
                self.has_cut = True
                _cut(self._owner)
                return


@contextlib.contextmanager
def _cut_after(seconds: float) -> Iterator[None]:
    """Cut this thread's connections where an answer's first lines take longer, which drip as well as any others."""
    timer = threading.Timer(seconds, _cut, [threading.get_ident()])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _cut(owner: int) -> None:
    for connection in list(_connections):
        if connection.medseg_owner == owner:
            with contextlib.suppress(OSError):
                connection.medseg_socket.shutdown(socket.SHUT_RDWR)


class _Connection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        # http.client lets go of the socket where an answer ends with the connection.
        self.medseg_owner, self.medseg_socket = threading.get_ident(), self.sock
        _connections.add(self)


class _TlsConnection(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        # http.client lets go of the socket where an answer ends with the connection.
        self.medseg_owner, self.medseg_socket = threading.get_ident(), self.sock
        _connections.add(self)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):  # type: ignore[misc,unused-ignore]
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
