"""DICOMweb against a small server in the same process: what is tried again, and what is not."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from small_series import small_series

from medseg.errors import UsageError
from medseg.service.archive import Archive, ArchiveError, ArchiveRefusal
from medseg.service.push import push


@contextmanager
def small_service(*codes: int) -> Iterator[tuple[str, list[str]]]:
    """A service that answers each request with the next of some codes, the last for ever; and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append(self.headers.get("Authorization", ""))
            code = codes[min(len(asked), len(codes)) - 1]
            content = json.dumps({}).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/dicom-web", asked
    finally:
        server.shutdown()
        server.server_close()


def test_a_service_that_is_busy_is_asked_again(tmp_path):
    small_series(tmp_path, shape=(8, 8, 2))
    with small_service(503, 429, 200) as (address, asked):
        assert [r.reason for r in push([tmp_path], Archive.parse(address), wait=0.01)] == [None] * 2
    assert len(asked) == 3
    with small_service(503) as (address, asked), pytest.raises(ArchiveError, match="503"):
        push([tmp_path], Archive.parse(address), retries=1, wait=0.01)
    assert len(asked) == 2


@pytest.mark.parametrize("code", [401, 403, 400, 415])
def test_a_service_that_refuses_is_not_asked_again(tmp_path, monkeypatch, code):
    """An account may be locked after a few wrong passwords."""
    small_series(tmp_path, shape=(8, 8, 1))
    monkeypatch.setenv("MEDSEG_PACS_TOKEN", "token")
    with small_service(code) as (address, asked), pytest.raises(ArchiveRefusal):
        push([tmp_path], Archive.parse(address), wait=0.01)
    assert asked == ["Bearer token"]


def test_c_move_is_not_part_of_it():
    with pytest.raises(UsageError, match="C-MOVE"):
        Archive.parse("https://pacs.example/dicom-web", move_port="11112")
