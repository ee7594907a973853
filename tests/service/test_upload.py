"""Objects that are sent over HTTP: the time that takes is not the answer's, and neither is without end."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from hostile_archives import head
from local_server import web_server
from small_series import small_series

from medseg.service import bounds, web, web_session
from medseg.service.archive import Archive, ArchiveError
from medseg.service.push import push
from medseg.service.upload import Upload


@pytest.fixture
def files(tmp_path) -> list[Path]:
    return list(small_series(tmp_path / "in", shape=(64, 64, 40))[0].files)


@contextmanager
def taking(seconds: float, content: bytes | None = None, **headers: str) -> Iterator[Archive]:
    """An archive that takes so long over what is sent to it, and then lists all of it or says something else."""

    class Handler(BaseHTTPRequestHandler):
        def setup(self) -> None:
            self.request.setsockopt(web_session.socket.SOL_SOCKET, web_session.socket.SO_RCVBUF, 1 << 15)
            super().setup()

        def do_POST(self) -> None:
            left = int(self.headers["Content-Length"])
            pause = seconds / (left // 4096 + 1)
            with contextlib.suppress(OSError):
                while left > 0:
                    left -= len(self.rfile.read(min(4096, left)))
                    time.sleep(pause)
                answer = json.dumps({}).encode() if content is None else content
                head(self, Content_Length=str(len(answer)), **headers)
                self.wfile.write(answer)

        def log_message(self, *arguments: object) -> None:
            pass

    with web_server(Handler) as address:
        yield Archive.parse(f"{address}/dw")


def test_the_body_is_as_long_as_it_says(files):
    body = Upload(files)
    content = b"".join(body)
    assert len(content) == len(body) == body.taken
    assert content.count(b"Content-Type: application/dicom") == len(files)
    assert all(file.read_bytes() in content for file in files)


def test_a_file_that_is_cut_while_it_is_sent(files):
    body = Upload(files)
    files[-1].write_bytes(files[-1].read_bytes()[:-100])
    with pytest.raises(ArchiveError, match="changed while it was sent"):
        b"".join(body)


def test_a_slow_archive_that_takes_what_is_sent_is_waited_for(files, monkeypatch):
    monkeypatch.setattr(web_session, "TIMEOUT", (0.3, 0.7))
    monkeypatch.setattr(web_session, "SEND_BUFFER", 1 << 12)
    monkeypatch.setattr(web_session, "LOOK_EVERY", 0.05)
    monkeypatch.setattr(web, "TIMEOUT", (0.3, 0.7))
    began = time.monotonic()
    with taking(1.8) as archive:
        sent = push(files, archive, retries=0)
    assert time.monotonic() - began > 1.5
    assert {one.reason for one in sent} == {"the archive's answer does not list it as stored"}


def test_an_archive_that_takes_next_to_nothing_is_left(files, monkeypatch):
    monkeypatch.setattr(web_session, "SEND_BUFFER", 1 << 12)
    monkeypatch.setattr(web_session, "LOOK_EVERY", 0.05)
    monkeypatch.setattr(bounds, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(bounds, "UPLOAD_RATE", 1e7)
    with taking(60.0) as archive, pytest.raises(ArchiveError, match=r"the archive took 0\.\d MB in 1 s"):
        push(files, archive, retries=0)


def test_an_archive_that_takes_nothing_is_left(files, monkeypatch):
    for module in (web, web_session):
        monkeypatch.setattr(module, "TIMEOUT", (0.2, 0.4))
    monkeypatch.setattr(web_session, "SEND_BUFFER", 1 << 12)
    with taking(1000.0) as archive, pytest.raises(ArchiveError, match=r"took nothing of what is sent to it for 0\.4 s"):
        push(files, archive, retries=0)


def test_an_answer_that_does_not_begin_is_not_waited_for(files, monkeypatch):
    monkeypatch.setattr(web_session, "TIMEOUT", (0.3, 0.7))
    monkeypatch.setattr(web_session, "LOOK_EVERY", 0.05)
    over = threading.Event()
    with taking(0.0) as archive:
        monkeypatch.setattr(json, "dumps", lambda *_: over.wait(5) and "")
        with pytest.raises(ArchiveError, match=r"did not begin within 1 s"):
            push(files[:1], archive, retries=0)
        over.set()


def test_an_answer_that_unzips_to_too_much(files, monkeypatch):
    import gzip

    bomb = gzip.compress(b"[" + b" " * (80 << 20), 1)
    with taking(0.0, bomb, Content_Encoding="gzip") as archive, pytest.raises(ArchiveError, match="more than 64 MiB"):
        push(files[:1], archive, retries=0)
