"""The archive that the pages send to and fetch from: it keeps what it is sent, and has a CT of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
from pydicom.uid import AllTransferSyntaxes, CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, AllStoragePresentationContexts, evt, sop_class
from small_series import small_series

# As the pages name it.
ADDRESS = "dicom://pacs.example:104/ARCHIVE"


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
