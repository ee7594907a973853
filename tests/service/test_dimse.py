"""C-STORE and C-GET against a small archive in the same process: retries, refusals, TLS."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage, RLELossless
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
)
from small_series import small_series

from medseg.cli.app import run
from medseg.errors import InputError, UsageError
from medseg.io.dicom_source import tolerant
from medseg.service import dimse
from medseg.service.archive import Archive, ArchiveError
from medseg.service.pull import pull, search
from medseg.service.push import push


@contextmanager
def small_archive(respond=lambda event, number: 0x0000, *, tls=None) -> Iterator[tuple[str, dict]]:
    """An archive that keeps MR images in memory; `respond` decides on each C-STORE, by how many came before."""
    kept: dict[str, pydicom.Dataset] = {}
    count = [0]

    def store(event) -> int:
        count[0] += 1
        status = respond(event, count[0])
        if status in (0x0000, 0x0111):
            dataset = event.dataset
            dataset.file_meta = event.file_meta
            kept[dataset.SOPInstanceUID] = dataset
        return status

    def find(event):
        level = event.identifier.QueryRetrieveLevel
        for dataset in {
            d.SeriesInstanceUID if level == "SERIES" else d.StudyInstanceUID: d for d in kept.values()
        }.values():
            if event.identifier.get("AccessionNumber", dataset.AccessionNumber) != dataset.AccessionNumber:
                continue
            answer = pydicom.Dataset()
            for element in event.identifier:
                if element.keyword in dataset:
                    answer[element.keyword] = dataset[element.keyword]
            yield 0xFF00, answer

    def get(event):
        wanted = [d for d in kept.values() if d.SeriesInstanceUID == event.identifier.SeriesInstanceUID]
        yield len(wanted)
        for dataset in wanted:
            yield 0xFF00, dataset

    entity = AE(ae_title="ARCHIVE")
    entity.add_supported_context(
        MRImageStorage, [ExplicitVRLittleEndian, ImplicitVRLittleEndian], scu_role=True, scp_role=True
    )
    entity.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    entity.add_supported_context(StudyRootQueryRetrieveInformationModelGet)
    handlers = [(evt.EVT_C_STORE, store), (evt.EVT_C_FIND, find), (evt.EVT_C_GET, get)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers, ssl_context=tls)
    try:
        yield f"127.0.0.1:{server.server_address[1]}/ARCHIVE", kept
    finally:
        server.shutdown()


def test_push_and_pull(tmp_path):
    source, _ = small_series(tmp_path / "in", shape=(8, 8, 3))
    (tmp_path / "in" / "notes.txt").write_text("not DICOM")
    with small_archive() as (address, kept):
        archive = Archive.parse(f"dicom://{address}")
        assert [r.reason for r in push([tmp_path / "in"], archive)] == [None] * 3
        assert [r.reason for r in push([tmp_path / "in"], archive)] == [None] * 3  # once more changes nothing
        assert len(kept) == 3
        assert search(archive, {"AccessionNumber": "another"}) == []
        (series,) = search(archive, {"AccessionNumber": "A1"})
        assert (series.uid, series.study, series.modality) == (source.series_uid, source.study_uid, "MR")
        files = pull(archive, series, tmp_path / "out")
    originals = {d.SOPInstanceUID: d for d in map(pydicom.dcmread, source.files)}
    assert sorted(path.stem for path in files) == sorted(originals)
    for path in files:
        back = pydicom.dcmread(path)
        assert path.parent.name == source.series_uid
        assert back.PixelData == originals[back.SOPInstanceUID].PixelData
        assert back.PatientName == "Doe^Jane"


def test_a_broken_connection_is_tried_again_with_what_was_not_sent(tmp_path, monkeypatch):
    small_series(tmp_path / "in", shape=(8, 8, 4))
    seen = []

    def drop(event, number: int) -> int:
        seen.append(event.dataset.SOPInstanceUID)
        if number == 3:
            event.assoc.abort()
        return 0x0000

    with small_archive(drop) as (address, kept):
        results = push([tmp_path / "in"], Archive.parse(f"dicom://{address}"), wait=0.01)
    assert [r.reason for r in results] == [None] * 4
    assert len(kept) == 4
    assert len(seen) == 5  # only the one in hand was sent twice


def test_refusals_are_reported_one_by_one(tmp_path, capsys):
    small_series(tmp_path / "in", shape=(8, 8, 3))
    with small_archive(lambda event, number: 0xC000 if number == 2 else 0x0000) as (address, _):
        arguments = ["push", str(tmp_path / "in"), "--to", f"dicom://{address}", "--quiet"]
        assert run([*arguments, "--json"]) == 3
        reasons = [row["error"] for row in json.loads(capsys.readouterr().out)]
        assert sorted(filter(None, reasons)) == ["the archive refused it (0xC000)"]
    with small_archive(lambda event, number: 0xA700) as (address, _):
        assert run(["push", str(tmp_path / "in"), "--to", f"dicom://{address}", "--quiet"]) == 4
    assert "Doe" not in capsys.readouterr().err


def test_what_is_there_already_counts_as_sent(tmp_path):
    small_series(tmp_path / "in", shape=(8, 8, 1))
    with small_archive(lambda event, number: 0x0111) as (address, _):
        assert [r.reason for r in push([tmp_path / "in"], Archive.parse(f"dicom://{address}"))] == [None]


def test_syntaxes_and_kinds_the_archive_does_not_take(tmp_path):
    source, _ = small_series(tmp_path / "in", shape=(8, 8, 3))
    compressed = pydicom.dcmread(source.files[0])
    compressed.compress(RLELossless, generate_instance_uid=False)
    compressed.save_as(source.files[0])
    with small_archive() as (address, kept):
        results = {r.path: r.reason for r in push([tmp_path / "in"], Archive.parse(f"dicom://{address}"))}
    assert results[source.files[0]] == "the archive does not take MR Image Storage in RLE Lossless"
    assert list(results.values()).count(None) == 2
    assert len(kept) == 2


def test_nobody_there(tmp_path, monkeypatch):
    monkeypatch.setattr(dimse, "TIMEOUT", 2.0)
    small_series(tmp_path / "in", shape=(8, 8, 1))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(ArchiveError, match="no connection"):
        push([tmp_path / "in"], Archive.parse(f"dicom://127.0.0.1:{port}/X"), retries=1, wait=0.01)


def test_nothing_to_send_and_nothing_asked_for(tmp_path):
    (tmp_path / "notes.txt").write_text("not DICOM")
    archive = Archive.parse("dicom://127.0.0.1:1/X")
    with pytest.raises(InputError, match="no DICOM object"):
        push([tmp_path], archive)
    with pytest.raises(UsageError, match="whole archive"):
        search(archive, {})
    with pytest.raises(UsageError, match="DICOM keyword"):
        search(archive, {"Accession": "1"})


def test_tls(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, which makes the certificate")
    import ssl

    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    small_series(tmp_path / "in", shape=(8, 8, 2))
    with small_archive(tls=context) as (address, kept):
        trusted = Archive.parse(f"dicoms://{address}", authority=certificate)
        assert [r.reason for r in push([tmp_path / "in"], trusted)] == [None] * 2
        with pytest.raises(ArchiveError):
            push([tmp_path / "in"], Archive.parse(f"dicoms://{address}"), retries=0)  # a certificate nobody vouches for
        with pytest.raises(ArchiveError):
            push([tmp_path / "in"], Archive.parse(f"dicom://{address}"), retries=0)
    assert len(kept) == 2


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_an_instance_uid_is_no_path(tmp_path: Path):
    source, _ = small_series(tmp_path / "in", shape=(8, 8, 1))
    with small_archive() as (address, kept):
        archive = Archive.parse(f"dicom://{address}")
        push([tmp_path / "in"], archive)
        (series,) = search(archive, {"StudyInstanceUID": source.study_uid})
        with tolerant():
            for dataset in kept.values():
                dataset.SOPInstanceUID = "../../outside"
        with pytest.raises(ArchiveError):
            pull(archive, series, tmp_path / "a" / "b" / "out")
    assert not list(tmp_path.rglob("outside*"))
