"""The whole way through a real archive, Orthanc with its DICOMweb plugin, on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from peer_tools import tool
from small_labels import MODEL, some_labels, world
from small_series import small_series

from medseg.cli.app import run
from medseg.io.dicom_seg import read_seg
from medseg.io.formats import WRITERS
from medseg.io.read import load_scan
from medseg.service.archive import Archive
from medseg.service.pull import pull, search
from medseg.service.push import push

pytestmark = pytest.mark.peers
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
FORMATS = ("dicom-seg", "dicom-seg-labelmap", "rtstruct", "sr", "sc")


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory) -> Iterator[tuple[str, str]]:
    """DIMSE and DICOMweb address of an Orthanc of our own."""
    program = tool("Orthanc")
    if not PLUGIN.is_file():
        pytest.skip("Orthanc's DICOMweb plugin is not installed (apt-get install orthanc-dicomweb)")
    folder = tmp_path_factory.mktemp("orthanc")
    http, dicom = free_port(), free_port()
    settings = {
        "Name": "medseg-test",
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "Plugins": [str(PLUGIN)],
        "HttpPort": http,
        "DicomPort": dicom,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {"me": "secret"},
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomModalities": {"MEDSEG": ["MEDSEG", "127.0.0.1", 11112]},
        "UnknownSopClassAccepted": True,
        "OverwriteInstances": False,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, str(folder / "orthanc.json")], stdout=log, stderr=log)
    try:
        for _ in range(150):
            try:
                with (
                    socket.create_connection(("127.0.0.1", dicom), 1),
                    socket.create_connection(("127.0.0.1", http), 1),
                ):
                    break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text(errors="replace")[-2000:]
                time.sleep(0.2)
        yield f"dicom://127.0.0.1:{dicom}/ORTHANC", f"http://127.0.0.1:{http}/dicom-web"
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.wait(30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def study(tmp_path):
    source, geometry = small_series(tmp_path / "study" / "mr")
    labels = some_labels(geometry)
    for name in FORMATS:
        WRITERS[name].write(labels, source, tmp_path / "study" / "results" / WRITERS[name].file_name, MODEL)
    return tmp_path / "study", source, labels


def archive_at(address: str, monkeypatch: pytest.MonkeyPatch) -> Archive:
    monkeypatch.setenv("MEDSEG_PACS_PASSWORD", "secret")
    return Archive.parse(address, user="me")


def hashes(paths) -> dict[str, str]:
    """SHA-256 of the pixels of every object, of its content where it has none."""
    found = {}
    for path in paths:
        dataset = pydicom.dcmread(path)
        content = dataset.PixelData if "PixelData" in dataset else "\n".join(map(str, dataset)).encode()
        found[str(dataset.SOPInstanceUID)] = hashlib.sha256(content).hexdigest()
    return found


@pytest.mark.parametrize("there", [0, 1], ids=["c-store", "stow"])
@pytest.mark.parametrize("back", [0, 1], ids=["c-get", "wado"])
def test_what_is_pushed_is_pulled(orthanc, study, tmp_path, monkeypatch, there, back):
    folder, source, labels = study
    originals = [*source.files, *sorted((folder / "results").glob("*.dcm"))]
    if back == 0:
        # Orthanc 1.10 takes the Label Map Segmentation of DICOM 2024, but gives it by DICOMweb only.
        originals = [path for path in originals if path.name != "labels.labelmap.dcm"]
    sent = push(originals, archive_at(orthanc[there], monkeypatch))
    assert [r.reason for r in sent] == [None] * len(originals)
    assert [r.reason for r in push(originals, archive_at(orthanc[there], monkeypatch))] == [None] * len(originals)

    archive = archive_at(orthanc[back], monkeypatch)
    found = search(archive, {"StudyInstanceUID": source.study_uid})
    assert {s.modality for s in found} == {"MR", "SEG", "RTSTRUCT", "SR", "OT"}
    files = [path for series in found for path in pull(archive, series, tmp_path / "out")]
    assert hashes(files) == hashes(originals)

    (mr,) = [s for s in found if s.modality == "MR"]
    assert load_scan(tmp_path / "out" / mr.uid).geometry.matches(labels.geometry)
    segmentations = [p for p in files if pydicom.dcmread(p).SOPClassUID.name == "Segmentation Storage"]
    assert [world(read_seg(p), 1) for p in segmentations] == [world(labels, 1)]
    instances = {str(pydicom.dcmread(p).SOPInstanceUID) for p in files}
    for path in segmentations:
        for item in pydicom.dcmread(path).ReferencedSeriesSequence[0].ReferencedInstanceSequence:
            assert item.ReferencedSOPInstanceUID in instances


def test_searching_by_modality(orthanc, study, monkeypatch):
    folder, source, _ = study
    push([folder], archive_at(orthanc[1], monkeypatch))
    for address in orthanc:
        keys = {"StudyInstanceUID": source.study_uid, "Modality": "SR"}
        assert [s.modality for s in search(archive_at(address, monkeypatch), keys)] == ["SR"]


def test_command_line(orthanc, study, tmp_path, monkeypatch, capsys):
    folder, source, _ = study
    monkeypatch.setenv("MEDSEG_PACS_PASSWORD", "secret")
    web = ["--user", "me", "--quiet"]
    assert run(["push", str(folder), "--to", orthanc[1], *web]) == 0
    where = ["--where", f"StudyInstanceUID={source.study_uid}", "--where", "Modality=MR"]
    capsys.readouterr()
    assert run(["pull", "--from", orthanc[1], *where, "--out", str(tmp_path / "out"), *web, "--json"]) == 0
    assert [row["files"] for row in json.loads(capsys.readouterr().out)] == [6]
    assert run(["pull", "--from", orthanc[1], "--where", "StudyInstanceUID=1.2.3", "--out", str(tmp_path), *web]) == 4
    monkeypatch.setenv("MEDSEG_PACS_PASSWORD", "wrong")
    assert run(["push", str(folder), "--to", orthanc[1], *web, "--retries", "0"]) == 4
    printed = capsys.readouterr()
    assert "does not let us in" in printed.err
    assert "Doe" not in printed.out + printed.err


def test_the_fixture_is_a_real_orthanc(orthanc):
    request = urllib.request.Request(orthanc[1].replace("/dicom-web", "/system"))
    request.add_header("Authorization", "Basic bWU6c2VjcmV0")
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer)["Name"] == "medseg-test"
