"""Senders and archives in the process of the test, and a node's configuration, store and arrivals."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
from peers.orthanc import free_port
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom import AE, AllStoragePresentationContexts, build_role, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from medseg.service.node.config import NodeConfig
from medseg.service.node.incoming import Arrival
from medseg.service.node.load import load_node

PLAIN = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
MR = "1.2.840.10008.5.1.4.1.1.4"
SEG = "1.2.840.10008.5.1.4.1.1.66.4"


def node_yaml(folder: Path, **keys: Any) -> Path:
    """Write a configuration; keys not given are those of a node that segments hippocampi and sends nothing."""
    path = folder / "node.yaml"
    values = {
        "port": free_port(),
        "http": None,
        "folder": "node-data",
        "quiet_seconds": 1,
        "rules": [{"when": {"Modality": "MR"}, "model": "hippocampus"}],
        **keys,
    }
    path.write_text(json.dumps(values))  # JSON is YAML
    return path


def config(folder: Path, **keys: Any) -> NodeConfig:
    return load_node(node_yaml(folder, **keys))


def arrival(
    instance: str | None = None, series: str = "1.2.3", content: bytes = b"pixels", sop_class: str = MR, **elements: str
) -> Arrival:
    """An object that has come in: a header that rules can look at, and these bytes."""
    instance = instance or generate_uid()
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.SeriesInstanceUID = sop_class, instance, series
    dataset.Modality, dataset.PatientName, dataset.StudyInstanceUID = "MR", "Doe^Jane", "1.2"
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = content + bytes(len(content) % 2)
    dataset["PixelData"].VR = "OB"
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    stream = BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return Arrival(instance, sop_class, series, "1.2", "CT1", hashlib.sha256(content).hexdigest(), stream)


def send(port: int, files: Sequence[Path], *, caller: str = "CT1", called: str = "MEDSEG") -> list[int]:
    """Statuses that a sender is told for each file; -1 where there was no answer."""
    with sender(port, caller=caller, called=called) as link:
        return [store(link, path) for path in files]


def happens(check: Callable[[], object], seconds: float = 30) -> bool:
    """Whether something comes true; waits for it."""
    end = time.monotonic() + seconds
    while not check():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def store(link: Any, path: Path | pydicom.Dataset) -> int:
    status = link.send_c_store(path)
    return int(status.Status) if "Status" in status else -1


@contextmanager
def sender(port: int, *, caller: str = "CT1", called: str = "MEDSEG") -> Iterator[Any]:
    """An association with a node."""
    entity = AE(ae_title=caller)
    entity.add_requested_context(MR, PLAIN)
    entity.add_requested_context(StorageCommitmentPushModel, PLAIN)
    reports: list[pydicom.Dataset] = []

    def report(event: evt.Event) -> tuple[int, None]:
        reports.append(event.event_information)
        return 0x0000, None

    link = entity.associate("127.0.0.1", port, ae_title=called, evt_handlers=[(evt.EVT_N_EVENT_REPORT, report)])
    link.reports = reports
    try:
        yield link
    finally:
        if link.is_established:
            link.release()


@dataclass
class Archive:
    """An archive that keeps objects in memory and commits to keep them."""

    port: int
    kept: dict[str, pydicom.Dataset] = field(default_factory=dict)
    arrivals: list[str] = field(default_factory=list)  # UIDs in the order in which they came, repetitions too
    respond: Callable[[str], int] = lambda _: 0x0000
    lose: set[str] = field(default_factory=set)  # UIDs that it does not commit to keep
    report_to: int | None = None  # port of the node, to report over an association of its own
    commits: bool = True
    offers: bool = True  # storage commitment

    @property
    def address(self) -> str:
        return f"dicom://127.0.0.1:{self.port}/ARCHIVE"

    def store(self, event: evt.Event) -> int:
        instance = str(event.request.AffectedSOPInstanceUID)
        status = self.respond(instance)
        self.arrivals.append(instance)
        if status == 0x0000:
            dataset = event.dataset
            dataset.file_meta = event.file_meta
            self.kept[instance] = dataset
        return status

    def action(self, event: evt.Event) -> tuple[int, None]:
        question = event.action_information
        answer = pydicom.Dataset()
        answer.TransactionUID = question.TransactionUID
        items = list(question.ReferencedSOPSequence)
        good = [i for i in items if i.ReferencedSOPInstanceUID in self.kept.keys() - self.lose]
        bad = [i for i in items if i not in good]
        for item in bad:
            item.FailureReason = 0x0112
        answer.ReferencedSOPSequence = good
        if bad:
            answer.FailedSOPSequence = bad
        if self.commits:
            threading.Timer(0.1, self._report, (event.assoc, answer, 2 if bad else 1)).start()
        return 0x0000, None

    def _report(self, link: Any, answer: pydicom.Dataset, kind: int) -> None:
        uids = (StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
        if self.report_to is None:
            link.send_n_event_report(answer, kind, *uids)
            return
        entity = AE(ae_title="ARCHIVE")
        entity.add_requested_context(StorageCommitmentPushModel, PLAIN)
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        own = entity.associate("127.0.0.1", self.report_to, ae_title="MEDSEG", ext_neg=[role])
        if own.is_established:
            own.send_n_event_report(answer, kind, *uids)
            own.release()


@contextmanager
def archive(port: int | None = None, **how: Any) -> Iterator[Archive]:
    """Run an archive."""
    found = Archive(port or free_port(), **how)
    entity = AE(ae_title="ARCHIVE")
    entity.require_called_aet = True
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(context.abstract_syntax, PLAIN)
    if found.offers:
        entity.add_supported_context(StorageCommitmentPushModel, PLAIN, scu_role=True, scp_role=True)
    handlers = [(evt.EVT_C_STORE, found.store), (evt.EVT_N_ACTION, found.action)]
    server = entity.start_server(("127.0.0.1", found.port), block=False, evt_handlers=handlers)
    try:
        yield found
    finally:
        server.shutdown()
