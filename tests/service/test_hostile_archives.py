"""Archives that answer without end, too slowly, too much or from somewhere else: one sentence, within bounds."""

import io
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import psutil
import pydicom
import pytest
from hostile_archives import (
    SERIES,
    STUDY,
    archive_of,
    bomb,
    claims_4_gb,
    cut_among_headers,
    drip,
    drip_of_headers,
    drips,
    elsewhere,
    endless,
    endless_object,
    endless_object_zipped,
    head,
    listening,
    new_ones_for_ever,
    plain,
    serving,
    small_object,
)  # fmt: skip
from pynetdicom import evt
from small_series import small_series

from medseg.cli.app import run
from medseg.service import bounds, dimse, pdu_bounds, web_session
from medseg.service.archive import Archive, ArchiveError, ArchiveRefusal
from medseg.service.arriving import ArrivedData
from medseg.service.pull import pull
from medseg.service.push import push
from medseg.service.search import Series, search


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (endless, "has more than 64 MiB"),
        (bomb, "has more than 64 MiB"),
        (drip, "less than 1,000 bytes a second"),
        (drip_of_headers, "did not begin within 2.5 s"),
        (elsewhere, "another address (302)"),
        (cut_among_headers(b"HTTP/1.1 200 OK\r\n"), "broke off its answer"),
        (cut_among_headers(b"HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\nX"), "broke off its answer"),
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


def peak(call: Callable[[], object]) -> int:
    """Bytes of this process at most, beyond those at first, while it does something; looked at now and then."""
    process, over = psutil.Process(), threading.Event()
    before = most = process.memory_info().rss

    def look() -> None:
        nonlocal most
        while not over.wait(0.01):
            most = max(most, process.memory_info().rss)

    watch = threading.Thread(target=look)
    watch.start()
    try:
        call()
    finally:
        over.set()
        watch.join()
    return most - before


@pytest.mark.parametrize("write", [endless_object, endless_object_zipped])
def test_an_object_without_end_is_not_kept_nor_held_in_memory(monkeypatch, tmp_path, write):
    monkeypatch.setattr(web_session, "LARGEST_OBJECT", 300 << 20)

    def fetch() -> None:
        with pytest.raises(ArchiveRefusal, match="more than 300 MiB"):
            pull(Archive.parse(address), Series("1.2.3", "1.2.4"), tmp_path, retries=0)

    with serving(write) as address:
        assert peak(fetch) < 150 << 20
    assert list(tmp_path.iterdir()) == []


def get_one(_event: object) -> Iterator[tuple[int, pydicom.Dataset] | int]:
    """What an archive sends by C-GET: an object of the series that is larger than what one holds in memory."""
    yield 1
    yield 0xFF00, pydicom.dcmread(io.BytesIO(small_object(bytes(range(256)) * 400)))
    yield 0x0000, None


def test_a_large_object_over_dimse_goes_through_a_file(monkeypatch, tmp_path):
    in_memory = []

    class Watched(ArrivedData):
        def __init__(self, beginning, *more):
            in_memory.append(len(beginning))
            super().__init__(beginning, *more)

    monkeypatch.setattr(pdu_bounds, "LARGEST_IN_MEMORY", 1000)
    monkeypatch.setattr(pdu_bounds, "ArrivedData", Watched)
    with archive_of((evt.EVT_C_GET, get_one)) as archive:
        [file] = pull(archive, Series("1.2.3", "1.2.4"), tmp_path / "out", retries=0)
    assert pydicom.dcmread(file).PixelData == bytes(range(256)) * 400
    assert in_memory == [0]


def test_a_large_object_over_dimse_fills_no_disk(monkeypatch, tmp_path):
    monkeypatch.setattr(pdu_bounds, "LARGEST_IN_MEMORY", 1000)
    monkeypatch.setattr(bounds, "SPARE_DISK", 1 << 60)
    with archive_of((evt.EVT_C_GET, get_one)) as archive, pytest.raises(ArchiveRefusal, match="would stay free"):
        pull(archive, Series("1.2.3", "1.2.4"), tmp_path / "out", retries=0)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_full_disk_ends_a_series_and_leaves_nothing(monkeypatch, tmp_path):
    source, _ = small_series(tmp_path / "in", shape=(4, 4, 2))
    parts = b"".join(
        b"--x\r\nContent-Type: application/dicom\r\n\r\n" + Path(file).read_bytes() + b"\r\n" for file in source.files
    )
    monkeypatch.setattr(bounds, "SPARE_DISK", 1 << 60)
    write = plain(parts + b"--x--\r\n", 'multipart/related; type="application/dicom"; boundary=x')
    with serving(write) as address, pytest.raises(ArchiveRefusal, match="would stay free"):
        pull(Archive.parse(address), Series(source.study_uid, source.series_uid), tmp_path / "out", retries=0)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(("talk", "words"), [(claims_4_gb, "4,294,967,280 bytes"), (drips, "took longer than 0.5 s")])
def test_a_peer_that_claims_or_drips_is_left(monkeypatch, talk, words):
    monkeypatch.setattr(pdu_bounds, "PDU_SECONDS", 0.5)
    before = psutil.Process().memory_info().rss
    with listening(talk) as archive, pytest.raises(ArchiveError, match=words):
        dimse.find(archive, "STUDY", {"StudyInstanceUID": ""})
    assert psutil.Process().memory_info().rss - before < 200 << 20


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


def test_what_has_taken_its_time_is_not_tried_again(monkeypatch, tmp_path):
    """A series, a search and what is sent end within a stated time, whatever each of their tries may take."""
    requests: list[str] = []

    def breaks_off(request: BaseHTTPRequestHandler) -> None:
        requests.append(request.command)
        request.rfile.read(int(request.headers.get("Content-Length") or 0))
        time.sleep(0.3)
        request.close_connection = True

    source, _ = small_series(tmp_path / "in", shape=(4, 4, 3))
    with serving(breaks_off) as address:
        archive = Archive.parse(address)
        for seconds in (0.2, 300.0):
            monkeypatch.setattr(bounds, "SEARCH_SECONDS", seconds)
            monkeypatch.setattr(bounds, "TRIES_SECONDS", seconds)
            for call in (
                lambda: pull(archive, Series("1.2.3", "1.2.4"), tmp_path / "out", retries=2, wait=0.01),
                lambda: search(archive, {"StudyInstanceUID": "1.2.3"}, retries=2, wait=0.01),
                lambda: push([Path(file) for file in source.files], archive, retries=2, wait=0.01),
            ):
                with pytest.raises(ArchiveError):
                    call()
    assert requests == ["GET"] * 2 + ["POST"] + ["GET"] * 6 + ["POST"] * 3


def test_a_series_of_which_little_comes_is_given_up(monkeypatch, tmp_path):
    """Each of its objects comes in time, and there is always one more."""

    def slowly(request: BaseHTTPRequestHandler) -> None:
        numbers = itertools.count()

        def one() -> bytes:
            time.sleep(0.05)
            dataset = pydicom.dcmread(io.BytesIO(small_object()))
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.5.{next(numbers)}"
            pydicom.dcmwrite(stream := io.BytesIO(), dataset)
            return stream.getvalue()

        head(request, kind='multipart/related; type="application/dicom"; boundary=x')
        while True:
            request.wfile.write(b"\r\n--x\r\nContent-Type: application/dicom\r\n\r\n" + one())

    monkeypatch.setattr(bounds, "TRIES_SECONDS", 0.5)
    with serving(slowly) as address, pytest.raises(ArchiveRefusal, match=r"took longer than \d s for the 0\.\d MB"):
        pull(Archive.parse(address), Series("1.2.3", "1.2.4"), tmp_path / "out", retries=3)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_search_of_many_slow_answers_is_given_up(monkeypatch):
    """Each question is answered in time; there are ever more studies to ask about."""
    studies = [{**STUDY, "0020000D": {"vr": "UI", "Value": [f"1.2.{number}"]}} for number in range(1000)]

    def slowly(request: BaseHTTPRequestHandler) -> None:
        is_first = "offset=" not in request.path or "offset=0" in request.path
        if "/series" in request.path:
            time.sleep(0.05)
        plain(json.dumps(studies if is_first and "/series" not in request.path else []).encode())(request)

    monkeypatch.setattr(bounds, "SEARCH_SECONDS", 0.5)
    monkeypatch.setattr(bounds, "FOUND_RATE", 1000)
    with serving(slowly) as address, pytest.raises(ArchiveRefusal, match="the search took longer than 1 s"):
        search(Archive.parse(address), {"PatientID": "1"}, retries=3)


@pytest.mark.parametrize("uid", ["", "../x", "1.2.x"])
def test_an_answer_that_would_be_the_same_again_is_not_asked_for_again(uid):
    answer = {**SERIES, "0020000E": {"vr": "UI", "Value": [uid]}}
    with (
        serving(plain(json.dumps([answer]).encode())) as address,
        pytest.raises(ArchiveRefusal, match="an invalid SeriesInstanceUID"),
    ):
        search(Archive.parse(address), {"StudyInstanceUID": "1.2.3"}, retries=3, wait=60)
