"""C-STORE and C-GET against a small archive in the same process: retries, refusals, TLS."""

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from peers.orthanc import free_port
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage, RLELossless
from pynetdicom import AE, evt, sop_class
from small_series import small_series

from medseg.cli.app import run
from medseg.errors import InputError, UsageError
from medseg.io.dicom.header import lenient
from medseg.service import dimse, move
from medseg.service.archive import Archive, ArchiveError, ArchiveRefusal
from medseg.service.pull import pull
from medseg.service.push import push
from medseg.service.search import search


@contextmanager
def small_archive(
    respond=lambda event, number: 0x0000, *, tls=None, spoil=None, send_to=None
) -> Iterator[tuple[str, dict]]:
    """An archive that keeps MR images in memory.

    `respond` decides on each C-STORE, by how many came before; `spoil` is called before each object is sent by C-GET,
    with the event and how many times that happened before; `send_to` is where it moves to: address, port, what to add.
    """
    kept: dict[str, pydicom.Dataset] = {}
    count, got = [0], [0]

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

    def of_series(event):
        return [d for d in kept.values() if d.SeriesInstanceUID == event.identifier.SeriesInstanceUID]

    def get(event):
        wanted = of_series(event)
        yield len(wanted)
        for dataset in wanted:
            if spoil is not None:
                # Counted first: an association that is aborted holds this up while the caller is back already.
                got[0] += 1
                spoil(event, got[0] - 1)
            yield 0xFF00, dataset

    def move(event):
        if send_to is None:
            yield None, None
            return
        wanted = of_series(event)
        yield "127.0.0.1", send_to[0], send_to[1]
        yield len(wanted)
        yield from ((0xFF00, dataset) for dataset in wanted)

    entity = AE(ae_title="ARCHIVE")
    entity.add_supported_context(
        MRImageStorage, [ExplicitVRLittleEndian, ImplicitVRLittleEndian], scu_role=True, scp_role=True
    )
    for service in ("Find", "Get", "Move"):
        entity.add_supported_context(getattr(sop_class, f"StudyRootQueryRetrieveInformationModel{service}"))
    entity.add_requested_context(MRImageStorage, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    handlers = [(evt.EVT_C_STORE, store), (evt.EVT_C_FIND, find), (evt.EVT_C_GET, get), (evt.EVT_C_MOVE, move)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers, ssl_context=tls)
    try:
        yield f"127.0.0.1:{server.server_address[1]}/ARCHIVE", kept
    finally:
        server.shutdown()


def pushed(source, archive):
    push(source.files, archive)
    (series,) = search(archive, {"StudyInstanceUID": source.study_uid})
    return series


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
        assert sorted(filter(None, reasons)) == ["the archive rejected it (0xC000)"]
    with small_archive(lambda event, number: 0xA700) as (address, _):
        assert run(["push", str(tmp_path / "in"), "--to", f"dicom://{address}", "--quiet"]) == 4
    assert "Doe" not in capsys.readouterr().err


def test_what_is_there_already_counts_as_sent(tmp_path):
    small_series(tmp_path / "in", shape=(8, 8, 1))
    with small_archive(lambda event, number: 0x0111) as (address, _):
        assert [r.reason for r in push([tmp_path / "in"], Archive.parse(f"dicom://{address}"))] == [None]


def test_what_the_archive_changed_is_a_note(tmp_path):
    small_series(tmp_path / "in", shape=(8, 8, 1))
    with small_archive(lambda event, number: 0xB006) as (address, _):
        (one,) = push([tmp_path / "in"], Archive.parse(f"dicom://{address}"))
    assert one.reason is None
    assert one.note == "the archive stored it and left elements of it out (0xB006)"


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


def server_side(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def test_tls(tmp_path, certificate):
    small_series(tmp_path / "in", shape=(8, 8, 2))
    with small_archive(tls=server_side(certificate)) as (address, kept):
        trusted = Archive.parse(f"dicoms://{address}", authority=certificate[0])
        assert [r.reason for r in push([tmp_path / "in"], trusted)] == [None] * 2
        with pytest.raises(ArchiveError):
            push([tmp_path / "in"], Archive.parse(f"dicoms://{address}"), retries=0)  # a certificate nobody vouches for
        with pytest.raises(ArchiveError):
            push([tmp_path / "in"], Archive.parse(f"dicom://{address}"), retries=0)
    assert len(kept) == 2


@pytest.mark.parametrize("over_tls", [False, True], ids=["plain", "tls"])
def test_c_move(tmp_path, request, over_tls):
    source, _ = small_series(tmp_path / "in", shape=(8, 8, 3))
    ours = free_port()
    options, scheme, tls, calls = {}, "dicom", None, {}
    if over_tls:
        file, key = request.getfixturevalue("certificate")
        options, scheme = {"authority": file, "certificate": file, "private_key": key}, "dicoms"
        tls = server_side((file, key))
        client = ssl.create_default_context(cafile=str(file))
        client.load_cert_chain(file, key)
        calls = {"tls_args": (client, "127.0.0.1")}
    with small_archive(tls=tls, send_to=(ours, calls)) as (address, kept):
        archive = Archive.parse(f"{scheme}://{address}", move_port=f"127.0.0.1:{ours}", **options)
        series = pushed(source, archive)
        files = pull(archive, series, tmp_path / "out")
    assert {path.stem for path in files} == set(kept)
    assert all(pydicom.dcmread(path).PixelData == kept[path.stem].PixelData for path in files)


def test_c_move_to_somebody_the_archive_does_not_know(tmp_path):
    source, _ = small_series(tmp_path / "in", shape=(8, 8, 1))
    with small_archive() as (address, _):
        archive = Archive.parse(f"dicom://{address}", move_port=str(free_port()))
        series = pushed(source, archive)
        with pytest.raises(ArchiveRefusal, match="AE title as a destination"):
            pull(archive, series, tmp_path / "out")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            busy = Archive.parse(f"dicom://{address}", move_port=str(taken.getsockname()[1]))
            with pytest.raises(UsageError, match="nothing can listen"):
                pull(busy, series, tmp_path / "out")


def test_while_we_listen_only_what_was_asked_for_is_taken(tmp_path):
    """Others may call too: with another title for us, or with objects of another series."""
    source, _ = small_series(tmp_path / "in", shape=(8, 8, 1))
    other, _ = small_series(tmp_path / "other", shape=(8, 8, 1))
    ours = free_port()
    seen = []

    def call(title: str) -> None:
        entity = AE(ae_title="STRANGER")
        entity.add_requested_context(MRImageStorage, [ExplicitVRLittleEndian])
        link = entity.associate("127.0.0.1", ours, ae_title=title)
        seen.append(link.send_c_store(other.files[0]).Status if link.is_established else "refused")
        link.release()

    with small_archive(send_to=(ours, {})) as (address, _):
        archive = Archive.parse(f"dicom://{address}", move_port=str(ours))
        series = pushed(source, archive)
        original = move.completed

        def meanwhile(*arguments):
            call("MEDSEG")
            call("SOMEBODY")
            return original(*arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(move, "completed", meanwhile)
            files = pull(archive, series, tmp_path / "out")
    assert seen == [0xA900, "refused"]
    assert [path.stem for path in files] == [str(pydicom.dcmread(source.files[0]).SOPInstanceUID)]


def test_a_series_that_breaks_off_is_fetched_again_or_not_at_all(tmp_path):
    source, _ = small_series(tmp_path / "in", shape=(8, 8, 4))

    def drop(until: int):
        def spoil(event, number: int) -> None:
            if number in (2, 5) and number < until:
                event.assoc.abort()

        return spoil

    for until, fetched in ((100, False), (4, True)):
        with small_archive(spoil=drop(until)) as (address, _):
            archive = Archive.parse(f"dicom://{address}")
            series = pushed(source, archive)
            if fetched:
                assert len(pull(archive, series, tmp_path / "out", retries=1, wait=0.01)) == 4
            else:
                with pytest.raises(ArchiveError):
                    pull(archive, series, tmp_path / "out", retries=1, wait=0.01)
        # Part of a series would look like a shorter scan.
        assert len(list((tmp_path / "out").rglob("*.dcm"))) == (4 if fetched else 0)
        assert len(list((tmp_path / "out").iterdir())) == int(fetched)


def test_fewer_objects_than_the_archive_has(tmp_path):
    source, _ = small_series(tmp_path / "in", shape=(8, 8, 2))
    with small_archive() as (address, _):
        archive = Archive.parse(f"dicom://{address}")
        series = pushed(source, archive)
        with pytest.raises(ArchiveError, match="2 of the 3 objects"):
            pull(archive, replace(series, objects=3), tmp_path / "out", retries=0)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_an_instance_uid_is_no_path(tmp_path: Path):
    source, _ = small_series(tmp_path / "in", shape=(8, 8, 1))
    with small_archive() as (address, kept):
        archive = Archive.parse(f"dicom://{address}")
        series = pushed(source, archive)
        with lenient():
            for dataset in kept.values():
                dataset.SOPInstanceUID = "../../outside"
        with pytest.raises(ArchiveError):
            pull(archive, series, tmp_path / "a" / "b" / "out", retries=0)
    assert not list(tmp_path.rglob("outside*"))
