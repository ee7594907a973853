"""What comes over DICOMweb is kept only where all of it came, it is of one patient, and there is no end of it."""

import time
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from hostile_archives import head, serving
from small_series import small_series

from medseg.io.dicom import whole
from medseg.service import bounds, multipart, received, web_session
from medseg.service.archive import Archive, ArchiveError, ArchiveRefusal
from medseg.service.pull import pull
from medseg.service.search import Series

KIND = 'multipart/related; type="application/dicom"; boundary=x'
HEAD = b"\r\n--x\r\nContent-Type: application/dicom\r\n\r\n"
END = b"\r\n--x--\r\n"


@pytest.fixture
def objects(tmp_path: Path) -> tuple[Series, list[bytes]]:
    source, _ = small_series(tmp_path / "in", shape=(8, 8, 5), PatientName="Doe^Jane", PatientBirthDate="19500101")
    return Series(str(source.study_uid), str(source.series_uid), objects=5), [f.read_bytes() for f in source.files]


def changed(content: bytes, **elements: str) -> bytes:
    dataset = pydicom.dcmread(BytesIO(content))
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.save_as(stream := BytesIO())
    return stream.getvalue()


def fetch(series: Series, write: object, out: Path) -> list[Path]:
    with serving(write) as address:
        return pull(Archive.parse(address), series, out, retries=0)


def answer(contents: list[bytes], end: bytes = END) -> bytes:
    return b"".join(HEAD + content for content in contents) + end


def in_chunks(body: bytes) -> object:
    def write(request):
        head(request, kind=KIND)  # the length is not said: the connection's end ends it
        request.wfile.write(body)

    return write


def test_objects_come_as_they_were_sent(objects, tmp_path):
    series, contents = objects
    files = fetch(series, in_chunks(b"a preamble" + answer(contents) + b"an epilogue"), tmp_path / "out")
    assert sorted(file.read_bytes() for file in files) == sorted(contents)


def of_length(content: bytes, length: bytes) -> bytes:
    at = content.rindex(b"\xe0\x7f\x10\x00OW\0\0") + 8
    return content[:at] + length + content[at + 4 :]


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda all_: answer(all_)[: -len(END) - 60], "ended after 4 objects, before its own end"),
        (lambda all_: answer(all_, b""), "ended after 4 objects"),
        (lambda all_: answer(all_, b"\r\n"), "ended after 4 objects"),
        (lambda all_: answer([*all_[:4], all_[4][:-40]]), "cut or damaged"),
        (lambda all_: answer([*all_[:4], all_[4][:300]]), "cut or damaged"),
        (lambda all_: answer([*all_[:4], of_length(all_[4], b"\xfe\xff\xff\xff")]), "cut or damaged"),
        (lambda all_: answer([*all_[:4], b"<html>login</html>"]), "cut or damaged"),
    ],
)
def test_what_was_cut_is_not_kept(objects, tmp_path, harm, words):
    series, contents = objects
    with pytest.raises(ArchiveError, match=words):
        fetch(series, in_chunks(harm(contents)), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def deflated(content: bytes, more: int) -> bytes:
    """The same object deflated, with so many zeros for pixels."""
    dataset = pydicom.dcmread(BytesIO(content))
    dataset.PixelData = bytes(more)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    pydicom.dcmwrite(stream := BytesIO(), dataset, enforce_file_format=True)
    return stream.getvalue()


def test_a_deflated_object_is_bounded_by_what_it_inflates_to(objects, tmp_path, monkeypatch):
    series, contents = objects
    small = [*contents[:4], deflated(contents[4], 1000)]
    assert len(fetch(series, in_chunks(answer(small)), tmp_path / "out")) == 5
    monkeypatch.setattr(received, "LARGEST_INFLATED", 1 << 20)
    with pytest.raises(ArchiveRefusal, match="inflates to more than 1 MiB"):
        fetch(series, in_chunks(answer([deflated(contents[4], 2 << 20)])), tmp_path / "other")
    cut = deflated(contents[4], 1000)[:-20]
    with pytest.raises(ArchiveError, match="cut or damaged"):
        fetch(series, in_chunks(answer([cut])), tmp_path / "other")


def test_an_object_of_very_many_elements_is_refused(objects, tmp_path, monkeypatch):
    series, contents = objects
    monkeypatch.setattr(whole, "MOST_ELEMENTS", 20)
    with pytest.raises(ArchiveRefusal, match="an object is refused: it has more than 20 elements"):
        fetch(series, in_chunks(answer(contents)), tmp_path / "out")


@pytest.mark.parametrize("where", ["before", "header", "after"])
def test_what_is_between_objects_is_bounded(objects, tmp_path, monkeypatch, where):
    series, contents = objects
    monkeypatch.setattr(multipart, "LARGEST_BETWEEN", 1 << 17)

    def write(request):
        head(request, kind=KIND)
        if where == "header":
            request.wfile.write(b"--x\r\n")
        elif where == "after":
            request.wfile.write(answer(contents))
        for _ in range(50):
            request.wfile.write(b"X: y\r\n" * 10_000)

    with pytest.raises(ArchiveRefusal, match="more than 128 KiB between two objects"):
        fetch(series, write, tmp_path / "out")


@pytest.mark.parametrize("are_new", [False, True])
def test_objects_without_end_are_ended(objects, tmp_path, monkeypatch, are_new):
    series, contents = objects
    monkeypatch.setattr(bounds, "SPARE_OBJECTS", 10)

    def write(request):
        head(request, kind=KIND)
        for number in range(10_000):
            uid = f"1.2.{number}"
            request.wfile.write(HEAD + (changed(contents[0], SOPInstanceUID=uid) if are_new else contents[0]))

    with pytest.raises(ArchiveRefusal, match=r"more than 20 objects for series .*, of which it counts 5"):
        fetch(series, write, tmp_path / "out")


@pytest.mark.parametrize(
    ("element", "said"),
    [
        ({"PatientName": "Roe^Jane"}, "name"),
        ({"PatientBirthDate": "19500102"}, "birth date"),
        ({"PatientID": "other"}, "ID"),
        ({"PatientName": "DOE^Jane^ "}, None),
        ({"PatientName": ""}, None),
    ],
)
def test_an_object_of_another_patient_is_refused(objects, tmp_path, element, said):
    series, contents = objects
    write = in_chunks(answer([*contents[:4], changed(contents[4], **element)]))
    if said is None:
        assert len(fetch(series, write, tmp_path / "out")) == 5
        return
    with pytest.raises(ArchiveRefusal, match=rf"another patient in series .*, by the patient's {said}\.") as caught:
        fetch(series, write, tmp_path / "out")
    assert "Roe" not in str(caught.value)


@pytest.mark.parametrize(
    ("now", "sent", "deadline", "words"),
    [
        (299.0, 300_000, None, ""),
        (310.0, 500_000, None, "longer than 302 s for 0.5 MB"),
        (700.0, 200_000_000, None, ""),
        (16.0, 15_000, None, "less than 1,000 bytes a second"),
        (200.0, 300_000, 100.0, "the search took longer"),
    ],
)
def test_an_answer_has_an_end_in_time(monkeypatch, now, sent, deadline, words):
    watch = web_session._Watch(deadline)
    watch.began = watch.object_began = 0.0
    watch.count(sent)
    assert watch.wrong(now) == "" if not words else words in watch.wrong(now)


def test_an_object_that_drips_for_ever_is_cut(objects, tmp_path, monkeypatch):
    """It comes faster than an archive counts as gone."""
    series, _ = objects
    monkeypatch.setattr(bounds, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(bounds, "ANSWER_RATE", 1e9)
    monkeypatch.setattr(web_session, "LOOK_EVERY", 0.05)

    def write(request):
        head(request, kind=KIND)
        request.wfile.write(HEAD)
        while True:
            request.wfile.write(bytes(1000))
            time.sleep(0.02)

    with pytest.raises(ArchiveError, match="the archive took longer than 0 s for"):
        fetch(series, write, tmp_path / "out")
