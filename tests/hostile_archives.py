"""Archives that answer without end, too slowly, too much or from somewhere else."""

from __future__ import annotations

import contextlib
import gzip
import io
import itertools
import json
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pydicom
from local_server import web_server
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, MRImageStorage
from pynetdicom import AE, sop_class

from medseg.service.archive import Archive

STUDY = {"0020000D": {"vr": "UI", "Value": ["1.2.3"]}, "00100020": {"vr": "LO", "Value": ["1"]}}
SERIES = {**STUDY, "0020000E": {"vr": "UI", "Value": ["1.2.4"]}, "00080060": {"vr": "CS", "Value": ["MR"]}}
SERIES["00201209"] = {"vr": "IS", "Value": [1]}
Write = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(write: Write) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(OSError):
                write(self)

        do_POST = do_GET  # noqa: N815

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


def cut_among_headers(first: bytes) -> Write:
    """An answer whose connection ends before its headers do."""

    def write(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(first)
        request.wfile.flush()
        request.close_connection = True
        request.connection.shutdown(socket.SHUT_RDWR)

    return write


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


def endless_object(request: BaseHTTPRequestHandler) -> None:
    head(request, kind='multipart/related; type="application/dicom"; boundary=x')
    request.wfile.write(b"--x\r\nContent-Type: application/dicom\r\n\r\n")
    while True:
        request.wfile.write(bytes(1 << 20))


def endless_object_zipped(request: BaseHTTPRequestHandler) -> None:
    """A hundred bytes of it stand for a hundred thousand."""
    head(request, kind='multipart/related; type="application/dicom"; boundary=x', Content_Encoding="gzip")
    zipped = zlib.compressobj(wbits=31)
    content = b"--x\r\nContent-Type: application/dicom\r\n\r\n"
    while True:
        request.wfile.write(zipped.compress(content))
        content = bytes(1 << 22)


def small_object(pixels: bytes = bytes(32), syntax: str = ExplicitVRLittleEndian) -> bytes:
    """An object of the series that is found."""
    dataset = pydicom.Dataset()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = "1.2.3", "1.2.4", "1.2.5"
    dataset.SOPClassUID, dataset.PatientID, dataset.PixelData = MRImageStorage, "1", pixels
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    pydicom.dcmwrite(stream := io.BytesIO(), dataset, enforce_file_format=True)
    return stream.getvalue()


def objects(content: Callable[[], bytes], count: int, end: bytes = b"\r\n--x--\r\n") -> Write:
    def write(request: BaseHTTPRequestHandler) -> None:
        head(request, kind='multipart/related; type="application/dicom"; boundary=x')
        one = b"\r\n--x\r\nContent-Type: application/dicom\r\n\r\n" + content()
        for _ in range(count):
            request.wfile.write(one)
        request.wfile.write(end)

    return write


def deflated_bomb() -> bytes:
    return small_object(bytes(300 << 20), DeflatedExplicitVRLittleEndian)


def searched_then(write: Write) -> Write:
    """One study and series are found; what is fetched of it is as `write` has it."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        if "?" in request.path:
            is_first = "offset=" not in request.path or "offset=0" in request.path
            plain(json.dumps([SERIES if "/series" in request.path else STUDY] if is_first else []).encode())(request)
        else:
            write(request)

    return answer


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
