"""The archives that the pages send to and fetch from: they keep what they are sent, and one has a CT of its own."""

from __future__ import annotations

import base64
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import AllTransferSyntaxes, CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, AllStoragePresentationContexts, evt, sop_class
from service.test_web import DICOM_JSON, answering, listed
from small_series import small_series

LOGIN = {"MEDSEG_PACS_PASSWORD": "secret"}  # as the pages say that it is given
Archive = Callable[[Path], AbstractContextManager[tuple[str, list[Any]]]]


def certificate(folder: Path, host: str = "localhost") -> tuple[Path, Path]:
    """Make a certificate of this machine, of its own making, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, which makes the certificate")
    wanted = f"-days 1 -subj /CN={host} -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *wanted.split()]
    subprocess.run(request, check=True, capture_output=True, cwd=folder)
    return folder / "cert.pem", folder / "key.pem"


@contextmanager
def web_archive(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Run one that speaks DICOMweb over TLS, with a certificate of the system, and takes what the user `me` sends."""
    folder.mkdir()
    made, key = certificate(folder)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made, key)
    login = "Basic " + base64.b64encode(f"me:{LOGIN['MEDSEG_PACS_PASSWORD']}".encode()).decode()

    def answer(request: Any, body: bytes) -> tuple[int, str, bytes]:
        is_known = request.headers.get("Authorization") == login
        return (200, DICOM_JSON, listed(body)) if is_known else (401, "text/plain", b"")

    with pytest.MonkeyPatch.context() as patch, answering(answer, tls) as (address, asked):
        patch.setenv("REQUESTS_CA_BUNDLE", str(made))
        for name, value in LOGIN.items():
            patch.setenv(name, value)
        yield address, asked


@contextmanager
def page_archive(folder: Path) -> Iterator[tuple[str, list[pydicom.Dataset]]]:
    """Run it while inside; yields its address, and what it was sent."""
    source, _ = small_series(folder, Modality="CT", AccessionNumber="123", SOPClassUID=CTImageStorage)
    own = [pydicom.dcmread(path) for path in source.files]
    for dataset in own:
        dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    sent: list[pydicom.Dataset] = []

    def store(event):
        sent.append(event.dataset)
        return 0x0000

    def find(event):
        wanted = event.identifier
        if all(wanted.get(name, "") in ("", own[0][name].value) for name in ("AccessionNumber", "Modality")):
            answer = pydicom.Dataset()
            for element in wanted:
                if element.keyword in own[0]:
                    answer[element.keyword] = own[0][element.keyword]
            yield 0xFF00, answer

    def get(_event):
        yield len(own)
        yield from ((0xFF00, dataset) for dataset in own)

    entity = AE(ae_title="ARCHIVE")
    for context in AllStoragePresentationContexts:
        if context.abstract_syntax != CTImageStorage:
            entity.add_supported_context(context.abstract_syntax, AllTransferSyntaxes)
    entity.add_supported_context(CTImageStorage, ExplicitVRLittleEndian, scu_role=True, scp_role=True)
    for service in ("Find", "Get"):
        entity.add_supported_context(getattr(sop_class, f"StudyRootQueryRetrieveInformationModel{service}"))
    handlers = [(evt.EVT_C_STORE, store), (evt.EVT_C_FIND, find), (evt.EVT_C_GET, get)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield f"dicom://127.0.0.1:{server.server_address[1]}/ARCHIVE", sent
    finally:
        server.shutdown()


# As the pages name them.
ARCHIVES: dict[str, Archive] = {
    "dicom://pacs.example:104/ARCHIVE": page_archive,
    "https://pacs.example/dicom-web": web_archive,
}
