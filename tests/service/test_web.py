"""DICOMweb against a small server in the same process: what is tried again, and what is not."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from small_series import small_series

from medseg.cli.app import run
from medseg.errors import UsageError
from medseg.service.archive import Archive, ArchiveError, ArchiveRefusal
from medseg.service.pull import pull
from medseg.service.push import push
from medseg.service.search import Series, search


def listed(body: bytes, failed: dict[str, int] | None = None) -> bytes:
    """An answer that lists every object of a request as stored but those that `failed`."""
    parts = [part for part in body.split(b"\r\n\r\n") if part[128:132] == b"DICM"]
    uids = [str(pydicom.dcmread(BytesIO(part)).SOPInstanceUID) for part in parts]
    answer = Dataset()
    answer.ReferencedSOPSequence, answer.FailedSOPSequence = [], []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPInstanceUID = uid
        if uid in (failed or {}):
            item.FailureReason = (failed or {})[uid]
            answer.FailedSOPSequence.append(item)
        else:
            answer.ReferencedSOPSequence.append(item)
    return answer.to_json().encode()


@contextmanager
def answering(
    answer: Callable[[BaseHTTPRequestHandler, bytes], tuple[int, str, bytes]], tls: ssl.SSLContext | None = None
) -> Iterator[tuple[str, list[str]]]:
    """A service that answers each request with code, content type and content; and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append(self.path)
            code, kind, content = answer(self, body)
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            if 300 <= code < 400:
                self.send_header("Location", "/login")
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}/dicom-web", asked
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def small_service(*codes: int) -> Iterator[tuple[str, list[str]]]:
    """A service that answers each request with the next of some codes, the last for ever; and what it was asked."""
    asked: list[str] = []

    def answer(request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, str, bytes]:
        asked.append(request.headers.get("Authorization", ""))
        return codes[min(len(asked), len(codes)) - 1], DICOM_JSON, listed(body)

    with answering(answer) as (address, _):
        yield address, asked


def test_a_service_that_is_busy_is_asked_again(tmp_path):
    small_series(tmp_path, shape=(8, 8, 2))
    with small_service(503, 429, 200) as (address, asked):
        assert [r.reason for r in push([tmp_path], Archive.parse(address), wait=0.01)] == [None] * 2
    assert len(asked) == 3
    with small_service(503) as (address, asked), pytest.raises(ArchiveError, match="503"):
        push([tmp_path], Archive.parse(address), retries=1, wait=0.01)
    assert len(asked) == 2


@pytest.mark.parametrize("code", [401, 403, 400, 415])
def test_a_service_that_refuses_is_not_asked_again(tmp_path, monkeypatch, code):
    """An account may be locked after a few wrong passwords."""
    small_series(tmp_path, shape=(8, 8, 1))
    monkeypatch.setenv("MEDSEG_PACS_TOKEN", "token")
    with small_service(code) as (address, asked), pytest.raises(ArchiveRefusal):
        push([tmp_path], Archive.parse(address), wait=0.01)
    assert asked == ["Bearer token"]


FAILURE = json.dumps({"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [272]}}]}}).encode()
LISTS_ANOTHER = json.dumps(
    {"00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2.3"]}}]}}
).encode()
DICOM_JSON = "application/dicom+json"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, "text/html", b"<html>Please sign in</html>"), "web page"),
        ((200, "text/html; charset=utf-8", b""), "web page"),
        ((200, DICOM_JSON, b""), "does not list it"),
        ((202, "text/plain", b"thank you"), "does not list it"),
        ((200, DICOM_JSON, b"<html>Please sign in</html>"), "does not list it"),
        ((200, DICOM_JSON, b"[[[[["), "does not list it"),
        ((200, DICOM_JSON, b"[]"), "does not list it"),
        ((200, DICOM_JSON, b"{}"), "does not list it"),
        ((200, DICOM_JSON, FAILURE), "does not list it"),
        ((409, DICOM_JSON, FAILURE), "does not list it"),
        ((200, DICOM_JSON, LISTS_ANOTHER), "does not list it"),
        ((200, "application/dicom+xml; charset=utf-8", b"<NativeDicomModel/>"), "in XML where JSON was asked for"),
    ],
)
def test_what_the_answer_does_not_list_is_not_sent(tmp_path, capsys, answer, words):
    small_series(tmp_path, shape=(8, 8, 2))
    with answering(lambda request, body: answer) as (address, asked):
        assert run(["push", str(tmp_path), "--to", address, "--retries", "0", "--json"]) == 4
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 2
    assert all(words in row["error"] for row in rows)
    assert len(asked) == 1


def edited(body: bytes, **elements: object) -> bytes:
    """An answer that lists every object as stored, with more said of each."""
    answer = Dataset.from_json(listed(body).decode())
    for entry in answer.ReferencedSOPSequence:
        for keyword, value in elements.items():
            setattr(entry, keyword, value)
    return answer.to_json().encode()


def test_what_the_archive_changed_is_a_note(tmp_path, capsys):
    small_series(tmp_path, shape=(8, 8, 1))
    mr = "1.2.840.10008.5.1.4.1.1.4"
    with answering(
        lambda request, body: (200, DICOM_JSON, edited(body, WarningReason=0xB000, ReferencedSOPClassUID=mr))
    ) as (address, _):
        assert run(["push", str(tmp_path), "--to", address, "--retries", "0", "--json"]) == 0
        (row,) = json.loads(capsys.readouterr().out)
        assert run(["push", str(tmp_path), "--to", address, "--retries", "0"]) == 0
    assert row["error"] is None
    assert row["note"] == "the archive stored it and changed values of it (0xB000)"
    assert row["note"] in capsys.readouterr().err


def test_an_object_listed_with_another_class_is_not_sent(tmp_path):
    small_series(tmp_path, shape=(8, 8, 1))
    ct = "1.2.840.10008.5.1.4.1.1.2"
    with answering(lambda request, body: (200, DICOM_JSON, edited(body, ReferencedSOPClassUID=ct))) as (address, _):
        (one,) = push([tmp_path], Archive.parse(address), retries=0)
    assert "another SOP class" in one.reason


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirection_is_no_success_and_not_followed(tmp_path, code):
    small_series(tmp_path, shape=(8, 8, 1))
    with (
        answering(lambda request, body: (code, "text/html", b"")) as (address, asked),
        pytest.raises(ArchiveRefusal, match="another address"),
    ):
        push([tmp_path], Archive.parse(address), retries=0)
    assert asked == ["/dicom-web/studies"]


def test_each_object_ends_as_the_answer_says(tmp_path):
    source, _ = small_series(tmp_path, shape=(8, 8, 3))
    uids = {path: str(pydicom.dcmread(path).SOPInstanceUID) for path in source.files}
    failed = {uids[source.files[0]]: 0x0110, uids[source.files[1]]: 0x0111}  # the latter is there already
    for code in (200, 202, 409):
        with answering(lambda request, body, code=code: (code, DICOM_JSON, listed(body, failed))) as (address, _):
            ends = {r.path: r.reason for r in push([tmp_path], Archive.parse(address), retries=0)}
        assert ends == {
            source.files[0]: "the archive rejected it (0x0110)",
            source.files[1]: None,
            source.files[2]: None,
        }


def test_objects_are_sent_as_they_lie_on_disk(tmp_path):
    source, _ = small_series(tmp_path, shape=(8, 8, 2))
    bodies = []

    def answer(request, body):
        bodies.append(body)
        return 200, DICOM_JSON, listed(body)

    with answering(answer) as (address, _):
        push([tmp_path], Archive.parse(address))
    assert all(path.read_bytes() in bodies[0] for path in source.files)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def cut_before_the_pixels(path: Path) -> None:
    dataset = pydicom.dcmread(path)
    del dataset.PixelData
    dataset.save_as(path)


def without_preamble(path: Path) -> None:
    path.write_bytes(path.read_bytes()[132:])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def without_uid(path: Path) -> None:
    dataset = pydicom.dcmread(path)
    dataset.SOPInstanceUID = ""
    dataset.save_as(path)


def noise(path: Path) -> None:
    path.write_bytes(bytes(range(1, 256)) * 8)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut, "cut off"),
        (cut_before_the_pixels, "cut off"),
        (without_preamble, "preamble"),
        (empty, "empty"),
        (without_uid, "SOP instance UID"),
        (noise, "no kind"),
    ],
)
def test_every_file_that_is_passed_over_is_named(tmp_path, capsys, damage, words):
    source, _ = small_series(tmp_path / "in", shape=(8, 8, 3))
    damage(source.files[1])
    for name, content in {"notes.txt": "not DICOM", "status.json": "{}"}.items():
        (tmp_path / "in" / name).write_text(content)
    with answering(lambda request, body: (200, DICOM_JSON, listed(body))) as (address, _):
        assert run(["push", str(tmp_path / "in"), "--to", address, "--json"]) == 3
        rows = {row["path"]: row["error"] for row in json.loads(capsys.readouterr().out)}
        assert set(rows) == {str(path) for path in source.files}
        assert words in rows[str(source.files[1])]
        assert list(rows.values()).count(None) == 2
        assert run(["push", str(source.files[1]), "--to", address]) == 4  # alone
    said = capsys.readouterr()
    assert source.files[1].name in said.err
    assert "0 of 1 object sent" in said.out


def test_of_objects_that_share_a_uid_none_is_sent_and_of_copies_one(tmp_path):
    source, _ = small_series(tmp_path / "in", shape=(8, 8, 3))
    first, second, third = source.files
    dataset = pydicom.dcmread(second)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.dcmread(first).SOPInstanceUID
    dataset.save_as(second)
    copy = tmp_path / "in" / "copy"
    copy.write_bytes(third.read_bytes())
    with answering(lambda request, body: (200, DICOM_JSON, listed(body))) as (address, _):
        ends = {r.path: r.reason for r in push([tmp_path / "in"], Archive.parse(address))}
    assert set(ends) - {third, copy} == {first, second}
    assert first.name in ends[second]
    assert second.name in ends[first]
    assert [reason for path, reason in ends.items() if path in (third, copy)] == [None]


def test_c_move_is_not_part_of_it():
    with pytest.raises(UsageError, match="C-MOVE"):
        Archive.parse("https://pacs.example/dicom-web", move_port="11112")


STUDY = {"0020000D": {"vr": "UI", "Value": ["1.2.3"]}}
SERIES = {**STUDY, "0020000E": {"vr": "UI", "Value": ["1.2.4"]}, "00080060": {"vr": "CS", "Value": ["MR"]}}


def of_patient(study: dict, identifier: str) -> dict:
    return {**study, "00100020": {"vr": "LO", "Value": [identifier]}}


def searching(studies: list, series: list) -> Callable[[BaseHTTPRequestHandler, bytes], tuple[int, str, bytes]]:
    """Answer searches, whatever was asked for; the second page of an answer is empty."""

    def answer(request, body):
        path = request.path
        found = [] if "offset=" in path and "offset=0" not in path else series if "/series" in path else studies
        return 200, DICOM_JSON, json.dumps(found).encode()

    return answer


@pytest.mark.parametrize("identifier", ["P1", "p1 "])
def test_an_answer_that_is_what_was_asked_for(identifier):
    with answering(searching([of_patient(STUDY, "P1")], [SERIES])) as (address, _):
        assert search(Archive.parse(address), {"PatientID": identifier, "Modality": "MR"}) == [
            Series("1.2.3", "1.2.4", "MR", None, "P1")
        ]


@pytest.mark.parametrize(
    ("query", "keyword"),
    [
        ({"PatientID": "P2"}, "PatientID"),  # another patient's
        ({"AccessionNumber": "A1"}, "AccessionNumber"),  # not stated
        ({"PatientID": "P1", "Modality": "CT"}, "Modality"),
        ({"PatientID": "P1", "SeriesInstanceUID": "1.2.5"}, "SeriesInstanceUID"),
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_is_refused(query, keyword):
    with (
        answering(searching([of_patient(STUDY, "P1")], [SERIES])) as (address, _),
        pytest.raises(ArchiveRefusal, match=keyword),
    ):
        search(Archive.parse(address), query)


def test_series_of_another_study_are_refused():
    other = {**SERIES, "0020000D": {"vr": "UI", "Value": ["1.2.9"]}}
    with (
        answering(searching([of_patient(STUDY, "P1")], [other])) as (address, _),
        pytest.raises(ArchiveRefusal, match="StudyInstanceUID"),
    ):
        search(Archive.parse(address), {"PatientID": "P1"})


@pytest.mark.parametrize("value", ["", " ", "*", "**"])
def test_a_question_without_a_value_is_refused(tmp_path, capsys, value):
    """It would match everything."""
    arguments = ["pull", "--from", "http://127.0.0.1:1/x", "--out", str(tmp_path / "out")]
    assert run([*arguments, "--query", f"AccessionNumber={value}"]) == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "answer",
    [
        (200, "text/html", b"<html>Please sign in</html>"),
        (200, DICOM_JSON, b'{"a":'),
        (200, DICOM_JSON, b'{"a": 1}'),
        (200, DICOM_JSON, b'[{"0020000D": {"vr": "XX", "Value": [{"a": 1}]}}]'),
        (
            200,
            DICOM_JSON,
            json.dumps([{**of_patient(SERIES, "P1"), "00201209": {"vr": "IS", "Value": ["ab"]}}]).encode(),
        ),
    ],
)
def test_an_answer_that_is_none_is_one_sentence(answer):
    with answering(lambda request, body: answer) as (address, _), pytest.raises(ArchiveError):
        search(Archive.parse(address), {"PatientID": "P1"})


@pytest.mark.parametrize("changed", ["SeriesInstanceUID", "StudyInstanceUID", "PatientID"])
def test_objects_of_another_series_or_patient_are_refused(tmp_path, changed):
    source, _ = small_series(tmp_path / "in", shape=(8, 8, 3))
    dataset = pydicom.dcmread(source.files[1])
    setattr(dataset, changed, "1.2.3")
    dataset.save_as(source.files[1])
    parts = b"".join(b"--x\r\nContent-Type: application/dicom\r\n\r\n" + p.read_bytes() + b"\r\n" for p in source.files)
    answer = (200, 'multipart/related; type="application/dicom"; boundary=x', parts + b"--x--\r\n")
    series = Series(source.study_uid, source.series_uid, "MR", 3)
    with answering(lambda request, body: answer) as (address, _), pytest.raises(ArchiveRefusal, match="another"):
        pull(Archive.parse(address), series, tmp_path / "out", retries=0)
    assert not list((tmp_path / "out").iterdir())
