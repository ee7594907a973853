"""Archives that answer without end, too slowly, too much or from somewhere else: one sentence, within bounds."""

import contextlib
import gzip
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import psutil
import pydicom
import pytest
from local_server import web_server
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from pynetdicom import AE, evt, sop_class
from small_series import small_series

from medseg.cli.app import run
from medseg.service import bounds, dimse, pdu_bounds, web_session
from medseg.service.archive import Archive, ArchiveError, ArchiveRefusal
from medseg.service.pull import Series, pull, search

STUDY = {"0020000D": {"vr": "UI", "Value": ["1.2.3"]}, "00100020": {"vr": "LO", "Value": ["1"]}}
SERIES = {**STUDY, "0020000E": {"vr": "UI", "Value": ["1.2.4"]}, "00080060": {"vr": "CS", "Value": ["MR"]}}
Write = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(write: Write) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(OSError):
                write(self)

        def log_message(self, *arguments: object) -> None:
            pass

    with web_server(Handler) as address:
        yield f"{address}/dw"


def head(request: BaseHTTPRequestHandler, code: int = 200, kind: str = "application/dicom+json", **more: str) -> None:
    request.send_response(code)
    request.send_header("Content-Type", kind)
    for name, value in more.items():
        request.send_header(name.replace("_", "-"), value)
    request.end_headers()


def plain(content: bytes, kind: str = "application/dicom+json") -> Write:
    def write(request: BaseHTTPRequestHandler) -> None:
        head(request, kind=kind, Content_Length=str(len(content)))
        request.wfile.write(content)

    return write


def endless(request: BaseHTTPRequestHandler) -> None:
    head(request)
    while True:
        request.wfile.write(b"[" + b" " * (1 << 20))


def bomb(request: BaseHTTPRequestHandler) -> None:
    content = gzip.compress(b"[" + b" " * (80 << 20), 1)
    head(request, Content_Encoding="gzip", Content_Length=str(len(content)))
    request.wfile.write(content)


def drip(request: BaseHTTPRequestHandler) -> None:
    head(request)
    while True:
        request.wfile.write(b" ")
        time.sleep(0.05)


def drip_of_headers(request: BaseHTTPRequestHandler) -> None:
    while True:
        request.wfile.write(b"H")
        time.sleep(0.05)


def elsewhere(request: BaseHTTPRequestHandler) -> None:
    head(request, 302, Location=f"http://localhost:9/steal{request.path}", Content_Length="0")


def new_ones_for_ever() -> Write:
    numbers = itertools.count()

    def write(request: BaseHTTPRequestHandler) -> None:
        page = [{**STUDY, "0020000D": {"vr": "UI", "Value": [f"1.2.{next(numbers)}"]}} for _ in range(100)]
        plain(json.dumps(page).encode())(request)

    return write


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (endless, "has more than 64 MiB"),
        (bomb, "has more than 64 MiB"),
        (drip, "less than 1,000 bytes a second"),
        (drip_of_headers, "no connection to the archive"),
        (elsewhere, "another address (302)"),
        (new_ones_for_ever(), "more than 10,000 answers"),
        (plain(b"[" * 200_000), "not what DICOMweb asks for"),
        (plain(b'{"a":'), "not what DICOMweb asks for"),
        (plain(b'{"a": 1}'), "not what DICOMweb asks for"),
        (plain(b"[1, null, []]"), "not what DICOMweb asks for"),
        (plain(b'[{"0020000D": {"vr": "XX", "Value": [{"a": 1}]}}]'), "gave an answer without it"),
        (plain(b"<html>login</html>", "text/html"), "not what DICOMweb asks for"),
        (plain(b"9" * 5_000), "not what DICOMweb asks for"),
    ],
)
def test_a_search_ends_within_bounds_with_a_sentence(monkeypatch, tmp_path, capsys, write, words):
    monkeypatch.setattr(web_session, "GRACE_SECONDS", 0.5)
    monkeypatch.setattr(web_session, "TIMEOUT", (0.5, 2))
    before = psutil.Process().memory_info().rss
    with serving(write) as address:
        code = run(["pull", "--from", address, "--query", "PatientID=1", "-o", str(tmp_path / "o"), "--retries", "0"])
    said = capsys.readouterr().err
    assert code == 4
    assert words in said, said
    assert "bug" not in said
    assert psutil.Process().memory_info().rss - before < 400 << 20
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "medseg.log"]


def test_an_object_without_end_is_not_kept(monkeypatch, tmp_path):
    def write(request: BaseHTTPRequestHandler) -> None:
        head(request, kind='multipart/related; type="application/dicom"; boundary=x')
        request.wfile.write(b"--x\r\nContent-Type: application/dicom\r\n\r\n")
        while True:
            request.wfile.write(bytes(1 << 20))

    monkeypatch.setattr(web_session, "LARGEST_OBJECT", 5 << 20)
    with serving(write) as address, pytest.raises(ArchiveRefusal, match="more than 5 MiB"):
        pull(Archive.parse(address), Series("1.2.3", "1.2.4"), tmp_path, retries=0)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_ends_a_series_and_leaves_nothing(monkeypatch, tmp_path):
    source, _ = small_series(tmp_path / "in", shape=(4, 4, 2))
    parts = b"".join(
        b"--x\r\nContent-Type: application/dicom\r\n\r\n" + Path(file).read_bytes() + b"\r\n" for file in source.files
    )
    monkeypatch.setattr("medseg.service.pull.SPARE_DISK", 1 << 60)
    write = plain(parts + b"--x--\r\n", 'multipart/related; type="application/dicom"; boundary=x')
    with serving(write) as address, pytest.raises(ArchiveRefusal, match="would stay free"):
        pull(Archive.parse(address), Series(source.study_uid, source.series_uid), tmp_path / "out", retries=0)
    assert list((tmp_path / "out").iterdir()) == []


@contextmanager
def listening(talk: Callable[[socket.socket], None]) -> Iterator[Archive]:
    """A peer that accepts a connection and does with it what it likes."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                with contextlib.suppress(OSError), connection:
                    talk(connection)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield Archive.parse(f"dicom://127.0.0.1:{server.getsockname()[1]}/ARCHIVE")
    finally:
        server.close()


def claims_4_gb(connection: socket.socket) -> None:
    connection.sendall(b"\x02\x00\xff\xff\xff\xf0")
    while True:
        connection.sendall(bytes(1 << 20))


def drips(connection: socket.socket) -> None:
    connection.sendall(b"\x02\x00\x00\x00\x40\x00")
    while True:
        connection.sendall(b"\x00")
        time.sleep(0.02)


@pytest.mark.parametrize(("talk", "words"), [(claims_4_gb, "4,294,967,280 bytes"), (drips, "took longer than 0.5 s")])
def test_a_peer_that_claims_or_drips_is_left(monkeypatch, talk, words):
    monkeypatch.setattr(pdu_bounds, "PDU_SECONDS", 0.5)
    before = psutil.Process().memory_info().rss
    with listening(talk) as archive, pytest.raises(ArchiveError, match=words):
        dimse.find(archive, "STUDY", {"StudyInstanceUID": ""})
    assert psutil.Process().memory_info().rss - before < 200 << 20


@contextmanager
def archive_of(*handlers: tuple[object, object]) -> Iterator[Archive]:
    entity = AE(ae_title="ARCHIVE")
    for service in ("Find", "Get"):
        entity.add_supported_context(getattr(sop_class, f"StudyRootQueryRetrieveInformationModel{service}"))
    entity.add_supported_context(MRImageStorage, ExplicitVRLittleEndian, scu_role=True, scp_role=True)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers))
    try:
        yield Archive.parse(f"dicom://127.0.0.1:{server.server_address[1]}/ARCHIVE")
    finally:
        server.shutdown()


@pytest.mark.parametrize("seconds", [300.0, 0.2])
def test_a_search_over_dimse_without_end(monkeypatch, seconds):
    def find(event):
        for number in itertools.count():
            answer = pydicom.Dataset()
            answer.StudyInstanceUID = f"1.2.{number}"
            yield 0xFF00, answer

    monkeypatch.setattr(bounds, "SEARCH_SECONDS", seconds)
    monkeypatch.setattr(bounds, "MOST_ANSWERS", 200 if seconds > 1 else 10**9)
    words = "more than 200 answers" if seconds > 1 else "longer than 0.2 s"
    with archive_of((evt.EVT_C_FIND, find)) as archive, pytest.raises(ArchiveRefusal, match=words):
        search(archive, {"StudyInstanceUID": "1.2.*"})


def test_an_answer_over_dimse_that_is_too_large(monkeypatch):
    def find(event):
        answer = pydicom.Dataset()
        answer.StudyInstanceUID, answer.StudyDescription = "1.2", "x" * 60_000
        answer.add_new((0x0009, 0x1001), "OB", bytes(3 << 20))
        yield 0xFF00, answer

    monkeypatch.setattr(dimse, "LARGEST_ANSWER", 1 << 20)
    with archive_of((evt.EVT_C_FIND, find)) as archive, pytest.raises(ArchiveRefusal, match="more than 1 MiB"):
        search(archive, {"StudyInstanceUID": "1.2"})


def test_part_of_a_series_is_not_taken_for_the_whole(tmp_path):
    """The archive does not count objects of a series, speaks of five, and sends two."""
    source, _ = small_series(tmp_path / "in", shape=(4, 4, 5))

    def get(event):
        yield 5
        for file in source.files[:2]:
            yield 0xFF00, pydicom.dcmread(file)
        yield 0x0000, None

    wanted = Series(str(source.study_uid), str(source.series_uid))
    with archive_of((evt.EVT_C_GET, get)) as archive, pytest.raises(ArchiveError, match=r"5 objects .*, and 2 arrived"):
        pull(archive, wanted, tmp_path / "out", retries=0)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("lists", [True, False])
def test_an_archive_that_counts_nothing_is_asked_for_a_list_or_said_to_know_none(tmp_path, lists, caplog):
    """It sends two objects of five, and says nowhere that there are more."""
    source, _ = small_series(tmp_path / "in", shape=(4, 4, 5))
    headers = [pydicom.dcmread(file, stop_before_pixels=True) for file in source.files]

    def find(event):
        level = event.identifier.QueryRetrieveLevel
        if level == "IMAGE" and not lists:
            yield 0xA900, None
            return
        for header in headers if level == "IMAGE" else headers[:1]:
            answer = pydicom.Dataset()
            for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "Modality", "PatientID"):
                setattr(answer, keyword, header.get(keyword))
            yield 0xFF00, answer

    def get(event):
        yield 2
        for file in source.files[:2]:
            yield 0xFF00, pydicom.dcmread(file)
        yield 0x0000, None

    with archive_of((evt.EVT_C_FIND, find), (evt.EVT_C_GET, get)) as archive:
        [series] = search(archive, {"StudyInstanceUID": str(source.study_uid)})
        assert series.objects == (5 if lists else None)
        if lists:
            with pytest.raises(ArchiveError, match="2 of the 5 objects"):
                pull(archive, series, tmp_path / "out", retries=0)
        else:
            assert len(pull(archive, series, tmp_path / "out", retries=0)) == 2
    assert ("does not say how many objects" in caplog.text) is not lists


def test_objects_of_another_patient_are_refused(tmp_path):
    source, _ = small_series(tmp_path / "in", shape=(4, 4, 3))

    def get(event):
        yield 3
        for number, file in enumerate(source.files):
            dataset = pydicom.dcmread(file)
            dataset.PatientID = f"other-{number > 1}"
            yield 0xFF00, dataset

    wanted = Series(str(source.study_uid), str(source.series_uid))
    for asked in (wanted, Series(wanted.study, wanted.uid, patient="asked for")):
        with archive_of((evt.EVT_C_GET, get)) as archive, pytest.raises(ArchiveRefusal, match="another patient"):
            pull(archive, asked, tmp_path / "out", retries=0)
        assert list((tmp_path / "out").iterdir()) == []
