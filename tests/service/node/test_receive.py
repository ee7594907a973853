"""What senders are told over DICOM, by senders of pynetdicom."""

import contextlib
import socket
import ssl
from io import BytesIO
from pathlib import Path

import psutil
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from node_peers import MR, PLAIN, arrival, config, happens, send, sender
from node_peers import store as send_one
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    Verification,
)
from small_series import small_series

from medseg.errors import UsageError
from medseg.io.dicom.header import lenient
from medseg.service import bounds, pdu_bounds
from medseg.service.node.commitment import Commitments
from medseg.service.node.receive import NOT_AUTHORIZED, NOT_ITS_CLASS, Receiver, identity, listening
from medseg.service.node.shared_bounds import SharedBounds

WHOLE = arrival("1.2.3").content.getvalue()


@pytest.fixture(scope="module")
def series(tmp_path_factory) -> list[Path]:
    source, _ = small_series(tmp_path_factory.mktemp("series"), SeriesDescription="T1 3D")
    return list(source.files)


@pytest.fixture
def receiver(tmp_path, store, incoming):
    loaded = config(tmp_path, callers=["CT1"])
    found = Receiver(incoming, loaded.callers)
    found.port = loaded.port
    commitments = Commitments(loaded, store, {})
    with listening(loaded, found, [(evt.EVT_N_ACTION, commitments.asked_by_sender)], ["ARCHIVE"]):
        yield found


def test_a_series_arrives_and_again(receiver, store, series):
    assert set(send(receiver.port, series)) == {0x0000}
    assert set(send(receiver.port, series)) == {0x0000}
    assert len(store.rows("select * from objects")) == len(series)
    for row in store.rows("select file, instance, caller from objects"):
        kept = pydicom.dcmread(receiver.incoming.folder / row["file"])
        assert kept.SOPInstanceUID == row["instance"]
        assert row["caller"] == "CT1"
    assert receiver.statuses == {0x0000: 2 * len(series)}


def test_what_is_not_what_it_says_is_refused(receiver, store, series, caplog):
    changed = pydicom.dcmread(series[0])
    send(receiver.port, series[:1])
    changed.PixelData = bytes(len(changed.PixelData))
    nameless, odd = pydicom.dcmread(series[1]), pydicom.dcmread(series[2])
    del nameless.SeriesInstanceUID
    with lenient():
        odd.StudyInstanceUID = "../../etc"
    with sender(receiver.port) as link:
        assert send_one(link, changed) == 0x0111
        with caplog.at_level("WARNING", "medseg"):
            assert send_one(link, nameless) == 0xC000
        (line,) = [one for one in caplog.records if one.name.startswith("medseg")]
        assert line.getMessage() == "An object of CT1 was refused: it has no UID of its instance, study or series."
        assert line.exc_info is None
        assert send_one(link, odd) == NOT_ITS_CLASS
    assert len(store.rows("select * from objects")) == 1


def test_uids_with_leading_zeros_are_kept_as_they_are_sent(receiver, store, series):
    """Not allowed by the standard, and sent by real scanners; one without the zero is another object."""
    uids = ["1.2.03.4", "1.2.3.4", "1.2.3.004"]
    with lenient(), sender(receiver.port) as link:
        for uid in uids:
            one = pydicom.dcmread(series[0])
            one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = uid
            one.SeriesInstanceUID, one.StudyInstanceUID = f"{uid}.00", f"{uid}.01"
            assert send_one(link, one) == 0x0000
            assert send_one(link, one) == 0x0000
    rows = store.rows("select instance, series, file from objects order by n")
    assert [(row["instance"], row["series"]) for row in rows] == [(uid, f"{uid}.00") for uid in uids]
    for row in rows:
        kept = pydicom.dcmread(receiver.incoming.folder / row["file"])
        assert (kept.SOPInstanceUID, kept.file_meta.MediaStorageSOPInstanceUID) == (row["instance"], row["instance"])
    assert store.rows("select count(*) c from series")[0]["c"] == len(uids)


def test_only_callers_that_are_listed_may_send(receiver, store, series):
    for how in ({"caller": "OTHER"}, {"called": "OTHER"}):
        with sender(receiver.port, **how) as link:
            assert link.is_rejected
    # An archive may call, to report, and not send.
    assert send(receiver.port, series[:1], caller="ARCHIVE") == [NOT_AUTHORIZED]
    assert not store.rows("select * from objects")


def test_nothing_is_taken_that_must_be_unpacked_to_be_looked_at(receiver):
    """A deflated object of a few kilobytes may stand for gigabytes."""
    entity = AE(ae_title="CT1")
    entity.add_requested_context(MR, DeflatedExplicitVRLittleEndian)
    link = entity.associate("127.0.0.1", receiver.port, ae_title="MEDSEG")
    assert not link.accepted_contexts
    link.abort()


@given(at=st.integers(0, 700), new=st.binary(min_size=1, max_size=8))
def test_whatever_a_header_holds_it_is_understood_or_refused(at, new):
    content = bytearray(WHOLE)
    content[at : at + len(new)] = new
    found = identity(BytesIO(content))
    assert found is None or len(found) == 3


def test_a_series_is_arriving_while_its_sender_is_there(receiver, series):
    uid = str(pydicom.dcmread(series[0]).SeriesInstanceUID)
    with sender(receiver.port) as link:
        assert send_one(link, series[0]) == 0x0000
        assert receiver.is_arriving(uid)
    assert happens(lambda: not receiver.is_arriving(uid))


def test_echo(receiver):
    entity = AE(ae_title="CT1")
    entity.add_requested_context(Verification)
    link = entity.associate("127.0.0.1", receiver.port, ae_title="MEDSEG")
    assert link.send_c_echo().Status == 0x0000
    link.release()


def test_a_sender_that_asks_hears_which_objects_are_on_the_disk(receiver, series):
    known = str(pydicom.dcmread(series[0]).SOPInstanceUID)
    question = Dataset()
    question.TransactionUID = generate_uid()
    question.ReferencedSOPSequence = []
    for uid in (known, "1.2.3.4.5"):
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = MR, uid
        question.ReferencedSOPSequence.append(item)
    with sender(receiver.port) as link:
        assert send_one(link, series[0]) == 0x0000
        status, _ = link.send_n_action(question, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
        assert status.Status == 0x0000
        assert happens(lambda: link.reports)
        (report,) = link.reports
    assert report.TransactionUID == question.TransactionUID
    assert [item.ReferencedSOPInstanceUID for item in report.ReferencedSOPSequence] == [known]
    assert [item.ReferencedSOPInstanceUID for item in report.FailedSOPSequence] == ["1.2.3.4.5"]


def test_a_sender_that_hangs_up_hears_it_where_the_configuration_says(tmp_path, store, incoming, series):
    heard = []
    modality = AE(ae_title="CT1")
    modality.add_supported_context(StorageCommitmentPushModel, PLAIN, scu_role=True, scp_role=True)
    handlers = [(evt.EVT_N_EVENT_REPORT, lambda event: heard.append(event.event_information) or (0x0000, None))]
    server = modality.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    loaded = config(tmp_path, callers=["CT1"], reports={"CT1": f"127.0.0.1:{server.server_address[1]}"})
    commitments = Commitments(loaded, store, {})
    question, item = Dataset(), Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = MR, str(pydicom.dcmread(series[0]).SOPInstanceUID)
    question.TransactionUID, question.ReferencedSOPSequence = generate_uid(), [item]
    try:
        with listening(loaded, Receiver(incoming, ["CT1"]), [(evt.EVT_N_ACTION, commitments.asked_by_sender)]):
            with sender(loaded.port) as link:
                assert send_one(link, series[0]) == 0x0000
                link.send_n_action(question, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
            assert happens(lambda: heard)
    finally:
        server.shutdown()
    assert heard[0].TransactionUID == question.TransactionUID
    assert len(heard[0].ReferencedSOPSequence) == 1
    assert "FailedSOPSequence" not in heard[0]


def test_senders_together_hold_no_more_in_memory_than_they_may(series, tmp_path):
    bounds = SharedBounds(tmp_path, together=2000)
    entity = AE(ae_title="MEDSEG")
    entity.add_supported_context(MR, PLAIN)
    got = []
    handlers = [(evt.EVT_C_STORE, lambda event: got.append(1) or 0x0000), *bounds.handlers]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        large = pydicom.dcmread(series[0])
        large.Rows, large.PixelData = large.Rows * 100, large.PixelData * 100
        with sender(server.server_address[1]) as link:
            for path in series:  # each alone is small enough, and forgotten when the next one begins
                assert send_one(link, path) == 0x0000
            assert got == [1] * len(series)
            got.clear()
            assert send_one(link, large) == -1
    finally:
        server.shutdown()
    assert "all senders together" in bounds.refused
    assert not got


def test_an_object_with_half_of_its_pixels_is_refused_and_its_sender_hears_it(receiver, store, series, caplog):
    cut, odd = pydicom.dcmread(series[0]), pydicom.dcmread(series[1])
    states = len(cut.PixelData)
    cut.PixelData = cut.PixelData[: states // 4 * 2]
    odd.PixelData += b"\0\0"
    with sender(receiver.port) as link, caplog.at_level("WARNING", "medseg"):
        assert send_one(link, cut) == 0xC000
        assert send_one(link, odd) == 0x0000
        assert send_one(link, series[0]) == 0x0000  # the whole of it is no other object than the part refused
    (line,) = [one for one in caplog.records if one.name.startswith("medseg")]
    has = len(cut.PixelData)
    assert line.getMessage() == f"An object of CT1 was refused: it has {has} of {states} bytes of its pixels."
    assert len(store.rows("select * from objects")) == 2


def test_a_large_object_goes_through_a_file_and_is_the_same(receiver, store, series, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(pdu_bounds, "LARGEST_IN_MEMORY", 100)
        assert send(receiver.port, series[:1]) == [0x0000]
    assert send(receiver.port, series[:1]) == [0x0000]  # not another one of the same UID
    [row] = store.rows("select file, size from objects")
    file = receiver.incoming.folder / row["file"]
    assert row["size"] == file.stat().st_size
    assert pydicom.dcmread(file).PixelData == pydicom.dcmread(series[0]).PixelData


def test_a_large_object_that_the_disk_has_no_space_for(receiver, store, series, monkeypatch):
    monkeypatch.setattr(pdu_bounds, "LARGEST_IN_MEMORY", 100)
    monkeypatch.setattr(bounds, "SPARE_DISK", 1 << 60)
    assert send(receiver.port, series[:1]) in ([0xA700], [-1])
    assert not store.rows("select * from objects")


@pytest.mark.parametrize(
    "talk",
    [
        b"\x01\x00\xff\xff\xff\xf0" + bytes(1 << 16),  # a request to associate that claims 4 GB
        b"\x04\x00\xff\xff\xff\xf0" + bytes(1 << 16),  # data before there is an association
        b"\x01\x00\x00\x00\x40\x00",  # a request whose bytes do not come
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        bytes(1 << 16),
        b"\xff" * (1 << 16),
    ],
    ids=["claims", "data", "stalls", "http", "zeros", "ones"],
)
def test_a_sender_that_speaks_no_dicom_is_left_and_keeps_no_other_out(receiver, series, monkeypatch, talk):
    monkeypatch.setattr(pdu_bounds, "PDU_SECONDS", 0.5)
    before = psutil.Process().memory_info().rss
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=20) as stranger:
        stranger.sendall(talk)
        with contextlib.suppress(ConnectionError):
            while stranger.recv(1 << 16):  # at most a refusal, and then the end
                pass
        assert set(send(receiver.port, series)) == {0x0000}
    assert psutil.Process().memory_info().rss - before < 100 << 20


def test_more_senders_than_may_be_at_once_are_told_to_come_again(tmp_path, store, incoming, series):
    loaded = config(tmp_path, callers=["CT1"], max_associations=2)
    with listening(loaded, Receiver(incoming, loaded.callers)):
        with sender(loaded.port) as one, sender(loaded.port) as two, sender(loaded.port) as three:
            assert (one.is_established, two.is_established, three.is_established) == (True, True, False)
            assert three.is_rejected
        assert happens(lambda: set(send(loaded.port, series)) == {0x0000})


def test_tls_with_certificates_of_senders(tmp_path, store, incoming, certificate, series):
    file, key = certificate
    tls = {"certificate": str(file), "key": str(key), "authority": str(file)}
    loaded = config(tmp_path, callers=["CT1"], tls=tls)
    known, stranger = (ssl.create_default_context(cafile=str(file)) for _ in range(2))
    known.load_cert_chain(file, key)
    with (
        listening(loaded, Receiver(incoming, loaded.callers)),
        socket.create_connection(("127.0.0.1", loaded.port)),  # says nothing, and holds up nobody
    ):
        for context, status in ((known, 0x0000), (stranger, None), (None, None)):
            entity = AE(ae_title="CT1")
            entity.add_requested_context(MR, PLAIN)
            entity.acse_timeout = entity.network_timeout = entity.connection_timeout = 5
            link = entity.associate(
                "127.0.0.1",
                loaded.port,
                ae_title="MEDSEG",
                tls_args=None if context is None else (context, "127.0.0.1"),
            )
            assert link.is_established == (status is not None)
            if link.is_established:
                assert send_one(link, series[0]) == status
                link.release()
    assert len(store.rows("select * from objects")) == 1


def test_a_port_that_is_taken_is_said(tmp_path, receiver, incoming):
    loaded = config(tmp_path, port=receiver.port)
    with (
        pytest.raises(UsageError, match=f"nothing can listen at 127.0.0.1:{receiver.port}"),
        listening(loaded, receiver),
    ):
        pass


@pytest.mark.slow
def test_connections_that_ask_for_nothing_and_are_gone_keep_no_sender_out(receiver):
    """Probes of the port, as a load balancer's, many more than there may be associations."""
    for _ in range(3):
        probes = [socket.create_connection(("127.0.0.1", receiver.port)) for _ in range(20)]
        for probe in probes:
            probe.close()

    def is_let_in() -> bool:
        with sender(receiver.port) as link:
            return bool(link.is_established)

    assert happens(is_let_in, seconds=8)  # sooner than silence alone ends a connection
