"""The whole way through a real archive, Orthanc with its DICOMweb plugin, on loopback."""

import hashlib
import json
from collections.abc import Iterator

import pydicom
import pytest
from dicom_phantom import check, grid, write_series
from peers.orthanc import Orthanc, free_port, running_orthanc
from small_labels import MODEL, some_labels, world

from medseg.cli.app import run
from medseg.io.dicom_results.read_seg import read_seg
from medseg.io.dicom_results.rtstruct import read_rtstruct
from medseg.io.formats import Labeled, write
from medseg.io.read import load_scan
from medseg.service.archive import Archive, ArchiveError
from medseg.service.pull import pull
from medseg.service.push import push
from medseg.service.search import search

pytestmark = pytest.mark.peers
FORMATS = ("dicom-seg", "dicom-seg-labelmap", "rtstruct", "sr", "sc")
OURS = free_port()  # where the archive is told to send to
# Of the study an RTSTRUCT refers to: the UID of the study itself, under a class that was retired.
DETACHED_STUDY_MANAGEMENT = "1.2.840.10008.3.1.2.3.1"


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory) -> Iterator[Orthanc]:
    known = {"MEDSEG": ["MEDSEG", "127.0.0.1", OURS]}
    with running_orthanc(tmp_path_factory.mktemp("orthanc"), DicomModalities=known) as archive:
        yield archive


@pytest.fixture
def study(tmp_path):
    """A CT and all that is made of its labels; in a study of its own for each test."""
    write_series(tmp_path / "study" / "ct", grid("oblique", slices=9), name=str(tmp_path))
    scan = load_scan(tmp_path / "study" / "ct")
    labels = some_labels(scan.geometry)
    for name in FORMATS:
        write(name, Labeled(labels, scan.source, MODEL), tmp_path / "study" / "results")
    return tmp_path / "study", scan.source, labels


def archive_for(orthanc: Orthanc, way: str, monkeypatch: pytest.MonkeyPatch) -> Archive:
    monkeypatch.setenv("MEDSEG_PACS_PASSWORD", "secret")
    address = orthanc.web if way in ("stow", "wado") else orthanc.dicom
    return Archive.parse(address, user="me", move_port=str(OURS) if way == "c-move" else None)


def hashes(paths) -> dict[str, str]:
    """SHA-256 of the pixels of every object, of its content where it has none."""
    found = {}
    for path in paths:
        dataset = pydicom.dcmread(path)
        content = dataset.PixelData if "PixelData" in dataset else "\n".join(map(str, dataset)).encode()
        found[str(dataset.SOPInstanceUID)] = hashlib.sha256(content).hexdigest()
    return found


def references(dataset: pydicom.Dataset) -> set[str]:
    """UIDs of all instances an object refers to, at any depth."""
    found = set()
    for item in dataset:
        if item.VR == "SQ":
            for inner in item.value:
                if inner.get("ReferencedSOPClassUID") != DETACHED_STUDY_MANAGEMENT:
                    found |= {str(inner.ReferencedSOPInstanceUID)} if "ReferencedSOPInstanceUID" in inner else set()
                found |= references(inner)
    return found


@pytest.mark.parametrize("there", ["c-store", "stow"])
@pytest.mark.parametrize("back", ["c-get", "c-move", "wado"])
def test_what_is_pushed_is_pulled(orthanc, study, tmp_path, monkeypatch, there, back):
    folder, source, labels = study
    originals = [*source.files, *sorted((folder / "results").glob("*.dcm"))]
    if back != "wado":
        # Orthanc 1.10 takes the Label Map Segmentation of DICOM 2024, but gives it by DICOMweb only.
        originals = [path for path in originals if path.name != "labels.labelmap.dcm"]
    for _ in range(2):  # sending again changes nothing
        sent = push(originals, archive_for(orthanc, there, monkeypatch))
        assert [r.reason for r in sent] == [None] * len(originals)

    archive = archive_for(orthanc, back, monkeypatch)
    found = search(archive, {"StudyInstanceUID": source.study_uid})
    assert sorted(s.modality for s in found) == sorted(
        ["CT", "RTSTRUCT", "SR", "OT", *["SEG"] * (2 if back == "wado" else 1)]
    )
    assert sum(s.objects or 0 for s in found) == len(originals)
    for _ in range(2):  # nor does fetching again
        files = [path for series in found for path in pull(archive, series, tmp_path / "out")]
        assert hashes(files) == hashes(originals)
        assert len(list((tmp_path / "out").rglob("*"))) == len(originals) + len(found)

    objects = {path: pydicom.dcmread(path) for path in files}
    there_now = {str(dataset.SOPInstanceUID) for dataset in objects.values()}
    for dataset in objects.values():
        assert references(dataset) <= there_now
        assert dataset.Modality == "CT" or references(dataset)
    (ct,) = [s for s in found if s.modality == "CT"]
    scan = load_scan(tmp_path / "out" / ct.uid)
    check(scan)
    for path, dataset in objects.items():
        if dataset.Modality == "SEG":
            assert world(read_seg(path), 1) == world(labels, 1)
        if dataset.Modality == "RTSTRUCT":
            assert world(read_rtstruct(path, scan), 2) == world(labels, 2)


def test_searching_by_modality(orthanc, study, monkeypatch):
    folder, source, _ = study
    push([folder], archive_for(orthanc, "stow", monkeypatch))
    for way in ("c-get", "wado"):
        keys = {"StudyInstanceUID": source.study_uid, "Modality": "SR"}
        assert [s.modality for s in search(archive_for(orthanc, way, monkeypatch), keys)] == ["SR"]


def test_an_archive_that_does_not_know_us_as_a_destination(orthanc, study, tmp_path, monkeypatch):
    folder, source, _ = study
    push([folder], archive_for(orthanc, "c-store", monkeypatch))
    stranger = Archive.parse(orthanc.dicom, aet="STRANGER", move_port=str(OURS))
    series = search(stranger, {"StudyInstanceUID": source.study_uid})[0]
    with pytest.raises(ArchiveError):
        pull(stranger, series, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_command_line(orthanc, study, tmp_path, monkeypatch, capsys):
    folder, source, _ = study
    monkeypatch.setenv("MEDSEG_PACS_PASSWORD", "secret")
    web = ["--user", "me", "--quiet"]
    assert run(["push", str(folder), "--to", orthanc.web, *web]) == 0
    where = ["--query", f"StudyInstanceUID={source.study_uid}", "--query", "Modality=CT"]
    for way in (["--from", orthanc.web, *web], ["--from", orthanc.dicom, "--move-port", str(OURS), "--quiet"]):
        capsys.readouterr()
        assert run(["pull", *way, *where, "--out", str(tmp_path / "out"), "--json"]) == 0
        assert [row["files"] for row in json.loads(capsys.readouterr().out)] == [9]
    nothing = ["--query", "StudyInstanceUID=1.2.3", "--out", str(tmp_path)]
    assert run(["pull", "--from", orthanc.web, *nothing, *web]) == 4
    monkeypatch.setenv("MEDSEG_PACS_PASSWORD", "wrong")
    assert run(["push", str(folder), "--to", orthanc.web, *web]) == 4
    printed = capsys.readouterr()
    assert "rejected the login" in printed.err
    assert "Doe" not in printed.out + printed.err


def test_the_fixture_is_a_real_orthanc(orthanc):
    assert orthanc.ask("/system")["Name"] == "medseg-test"
