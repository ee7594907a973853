"""Addresses of archives, and what is refused as one."""

import pytest

from medseg.errors import UsageError
from medseg.service.archive import Archive, is_uid


def test_dicom_and_web():
    dimse = Archive.parse("dicom://pacs.example:11112/ARCHIVE", aet="ME")
    assert (dimse.protocol, dimse.host, dimse.port, dimse.ae_title) == ("dimse", "pacs.example", 11112, "ARCHIVE")
    assert dimse.tls is None
    assert Archive.parse("dicoms://pacs.example:2762/ARCHIVE").tls is not None
    web = Archive.parse("https://pacs.example/dicom-web/")
    assert (web.protocol, web.url) == ("web", "https://pacs.example/dicom-web")


@pytest.mark.parametrize(
    "address",
    [
        "pacs.example:104",
        "dicom://pacs.example/ARCHIVE",
        "dicom://pacs.example:104",
        "dicom://pacs.example:x/ARCHIVE",
        "dicom://pacs.example:104/A-TITLE-THAT-IS-TOO-LONG",
        "ftp://pacs.example/",
        "https://me:secret@pacs.example/dicom-web",
    ],
)
def test_anything_else_is_refused(address):
    with pytest.raises(UsageError) as caught:
        Archive.parse(address)
    assert "secret" not in str(caught.value)


def test_where_to_listen(tmp_path):
    assert Archive.parse("dicom://pacs.example:104/A", move_port="11112").move_port == ("127.0.0.1", 11112)
    assert Archive.parse("dicom://pacs.example:104/A", move_port="0.0.0.0:11112").move_port == ("0.0.0.0", 11112)
    for text in ("pacs.example", "0", "127.0.0.1:70000", "host:port"):
        with pytest.raises(UsageError, match="receive"):
            Archive.parse("dicom://pacs.example:104/A", move_port=text)
    with pytest.raises(UsageError, match="a certificate of this machine"):
        Archive.parse("dicoms://pacs.example:104/A", move_port="11112")


def test_secrets_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("MEDSEG_PACS_PASSWORD", "secret")
    archive = Archive.parse("https://pacs.example/dicom-web", user="me")
    assert archive.login == ("me", "secret")
    assert "secret" not in repr(archive)
    monkeypatch.setenv("MEDSEG_PACS_TOKEN", "token")
    assert archive.headers == {"Authorization": "Bearer token"}


def test_uids():
    assert is_uid("1.2.840.10008.1.1")
    assert is_uid("1.02.840.000")  # not allowed, and sent by scanners all the same
    for text in ("", "1", "1..2", ".1.2", "1.2.", "1.\u0662", "1.2\n", "../../etc", "1.2/3", "1." + "2" * 70):
        assert not is_uid(text)
