"""What a user reads of an archive that misbehaves: one sentence of what it did, and no word of any library."""

import json
import re
import socket
import threading
import types
import warnings

import pytest
from hostile_archives import SERIES, STUDY, head, listening, plain, serving

from medseg.cli.app import run
from medseg.service import web_session
from medseg.service.archive import Archive

LIBRARY = re.compile(r"\b\w+(Error|Exception|Warning)\b|site-packages|Traceback|pydicom|requests|urllib3")
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\n"


def raw(content: bytes) -> object:
    """An answer whose first lines are whatever they are."""

    def write(request):
        request.wfile.write(content)
        request.wfile.flush()
        request.connection.shutdown(socket.SHUT_RDWR)

    return write


def searched(address: str, tmp_path, *more: str) -> int:
    return run(["pull", "--from", address, "--query", "PatientID=1", "-o", str(tmp_path / "o"), *more])


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (raw(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n[]\r\n"), "broke off its answer"),
        (raw(OK + b"Content-Length: 100\r\n\r\n[]"), "broke off its answer"),
        (raw(OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n[]"), "broke off its answer"),
        (raw(OK + b"X: y\r\n" * 2000), "does not speak HTTP"),
        (raw(b"220 welcome to mail\r\n"), "does not speak HTTP"),
        (raw(b""), "does not speak HTTP"),
        (plain(b"[" * 100_000), "asks for: it is nested too deeply"),
        (plain(b"<html>"), "asks for: it is no JSON"),
        (plain(b"null"), "what DICOMweb asks for."),
        (plain(b"[[]]"), "what DICOMweb asks for."),
    ],
)
def test_the_sentence_says_what_it_did(tmp_path, capsys, write, words):
    with serving(write) as address:
        assert searched(address, tmp_path, "--retries", "0") == 4
    said = capsys.readouterr().err
    assert words in said
    assert not LIBRARY.search(said), said


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://127.0.0.1:1/dw", "no connection to the archive: nothing listens at its port."),
        ("dicom://127.0.0.1:1/ARCHIVE", "no connection to the archive: nothing listens at its port."),
        ("http://archive.invalid/dw", "no connection to the archive: no machine has its name."),
        ("dicom://archive.invalid:104/ARCHIVE", "no connection to the archive: no machine has its name."),
    ],
)
def test_nobody_is_there_and_that_is_not_tried_again(tmp_path, capsys, monkeypatch, address, words):
    def unknown(host, *_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    never = types.SimpleNamespace(sleep=lambda _: pytest.fail("tried again"))
    monkeypatch.setattr("medseg.service.retry.time", never)
    if "invalid" in address:
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert searched(address, tmp_path) == 4
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("body", [b"[]", b"\xef\xbb\xbf[]", b""])
def test_nothing_found_is_said(tmp_path, capsys, body):
    with serving(plain(body)) as address:
        assert searched(address, tmp_path) == 4
        assert "matches the query" in capsys.readouterr().err
        assert searched(address, tmp_path, "--json") == 4
    assert json.loads(capsys.readouterr().out) == []


def test_a_busy_archive_is_asked_again(tmp_path, monkeypatch, capsys):
    waits, answers = [], [503, 429, 200]
    monkeypatch.setattr("medseg.service.retry.time.sleep", waits.append)

    def write(request):
        code = answers.pop(0)
        head(request, code, Content_Length="2")
        request.wfile.write(b"[]")

    with serving(write) as address:
        assert searched(address, tmp_path, "--retries", "2") == 4
    assert waits == [2.0, 4.0]
    assert "matches the query" in capsys.readouterr().err


def test_a_kind_of_any_length_is_short(tmp_path, capsys):
    long = {**SERIES, "00080060": {"vr": "CS", "Value": ["X" * 100_000]}}
    long["00201209"] = {"vr": "IS", "Value": [5]}

    def write(request):
        is_first = "offset=" not in request.path
        plain(json.dumps([long if "/series" in request.path else STUDY] if is_first else []).encode())(request)

    with serving(write) as address:
        assert searched(address, tmp_path, "--dry-run") == 0
    assert len(capsys.readouterr().out) < 100


def test_what_was_fetched_is_in_the_log(tmp_path):
    def write(request):
        if "?" not in request.path:
            head(request, 404, Content_Length="0")
            return
        is_first = "offset=" not in request.path
        plain(json.dumps([SERIES if "/series" in request.path else STUDY] if is_first else []).encode())(request)

    with serving(write) as address:
        assert searched(address, tmp_path, "--retries", "0") == 4
    log = (tmp_path / "o" / "medseg.log").read_text()
    assert "1 series match" in log
    assert "series 1 of 1: not fetched (E-archive-refusal)" in log
    assert "1.2.3" not in log


def test_an_answer_to_what_was_sent_says_nothing_of_a_search(monkeypatch):
    monkeypatch.setattr(web_session, "LARGEST_ANSWER", 10)
    session = web_session.BoundedSession(Archive.parse("http://127.0.0.1:1/dw"))
    with pytest.raises(Exception, match="Ask its administrator"):
        session._check_size(11, "Ask its administrator.", is_streamed=False)


def odd_rejection(connection: socket.socket) -> None:
    connection.recv(1 << 16)
    connection.sendall(b"\x03\x00\x00\x00\x00\x04\x00\xff\xff\xff")
    connection.recv(1)


def odd_abort(connection: socket.socket) -> None:
    connection.recv(1 << 16)
    connection.sendall(b"\x07\x00\x00\x00\x00\x04\x00\x00\x02\x09")
    connection.recv(1)


@pytest.mark.parametrize("talk", [odd_rejection, odd_abort])
def test_odd_answers_over_dimse_print_no_traceback(tmp_path, capsys, monkeypatch, talk):
    monkeypatch.setattr("medseg.service.dimse.TIMEOUT", 2.0)
    printed = []
    monkeypatch.setattr(threading, "excepthook", printed.append)
    with listening(talk) as archive:
        address = f"dicom://127.0.0.1:{archive.port}/ARCHIVE"
        assert searched(address, tmp_path, "--retries", "0") == 4
    said = capsys.readouterr().err
    assert "no connection to the archive" in said
    assert not LIBRARY.search(said), said
    assert printed == []


def test_what_libraries_print_reaches_no_terminal(monkeypatch, tmp_path, capsys):
    def search(*_: object, **__: object) -> list[object]:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning("Doe^Jane", UserWarning, "valuerep.py", 440)

        def end() -> None:
            raise LookupError("Doe^Jane")

        thread = threading.Thread(target=end)
        thread.start()
        thread.join()
        return []

    monkeypatch.setattr("medseg.service.search.search", search)
    assert searched("http://127.0.0.1:1/dw", tmp_path) == 4
    said = capsys.readouterr().err
    assert "Doe" not in said
    assert not LIBRARY.search(said), said
    log = (tmp_path / "o" / "medseg.log").read_text()
    assert "UserWarning in line 440 of valuerep.py" in log
    assert "Doe" not in log
