"""Results on their way: what an archive takes, refuses, postpones and commits to keep."""

import json
import time

import pytest
from node_peers import MR, archive, arrival, config, happens
from peers.orthanc import free_port
from pynetdicom import evt

from medseg.errors import UsageError
from medseg.service.node.commitment import Commitments
from medseg.service.node.deliver import clear_outbox, deliver, refuse_unknown
from medseg.service.node.destinations import archives
from medseg.service.node.incoming import file_of
from medseg.service.node.keeping import FINISHED, delete_expired
from medseg.service.node.notices import tell_overdue
from medseg.service.node.overdue import overdue
from medseg.service.node.reasons import GONE
from medseg.service.node.receive import Receiver, listening
from medseg.service.node.segmenting import OUTBOX

DAY = 86400.0


@pytest.fixture
def settings(tmp_path):
    rules = [{"model": "hippocampus", "send_to": ["archive"]}]
    return config(
        tmp_path, rules=rules, destinations={"archive": f"dicom://127.0.0.1:{free_port()}/ARCHIVE"}, keep_days=1,
        callers=["CT1"],
    )  # fmt: skip


@pytest.fixture
def port(settings) -> int:
    return archives(settings)["archive"].port


@pytest.fixture
def add(store, settings):
    (settings.folder / OUTBOX).mkdir(parents=True, exist_ok=True)

    def result() -> str:
        one = arrival(sop_class=MR)
        (settings.folder / OUTBOX / file_of(one.instance)).write_bytes(one.content.getvalue())
        store.change(
            "insert into deliveries(destination, instance, sop_class, job, series, case_id, file, made) "
            "values('archive', ?, ?, 'j', '1.2.3', 'mr-1', ?, 0)", one.instance, MR, file_of(one.instance),
        )  # fmt: skip
        return one.instance

    return result


def send(store, settings, after: float = 0) -> int:
    return deliver(store, "archive", archives(settings)["archive"], time.time() + after)


def states(store) -> list[str]:
    return [row["state"] for row in store.rows("select state from deliveries order by n")]


def test_what_is_sent_is_sent_once(store, settings, port, add):
    uids = [add(), add()]
    with archive(port) as there:
        assert send(store, settings) == 2
        assert send(store, settings, after=DAY) == 0
    assert states(store) == ["sent", "sent"]
    assert there.arrivals == uids


def test_an_archive_that_is_down_is_tried_again_ever_less_often(store, settings, port, add):
    uid = add()
    waits = []
    for _ in range(10):
        assert send(store, settings, after=DAY) == 0
        waits.append(store.rows("select next from deliveries")[0]["next"] - time.time())
    assert states(store) == ["ready"]
    assert send(store, settings) == 0  # not before its time
    assert [round(wait) for wait in waits] == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert not store.rows("select * from notices")
    with archive(port) as there:
        assert send(store, settings, after=DAY) == 1
    assert list(there.kept) == [uid]


def test_a_clock_that_is_set_back_holds_no_delivery_up(store, settings, port, add):
    add()
    assert send(store, settings) == 0  # nobody is there
    with archive(port):
        assert send(store, settings, after=-DAY) == 1


def test_a_refusal_stops_and_shows_and_what_may_pass_is_tried_again(store, settings, port, add):
    refused, full, taken = add(), add(), add()
    answers = {refused: 0x0110, full: 0xA700}
    with archive(port, respond=lambda uid: answers.get(uid, 0x0000)) as there:
        send(store, settings)
        assert states(store) == ["refused", "ready", "sent"]
        answers.clear()
        send(store, settings, after=DAY)
        assert there.arrivals == [refused, full, taken, full]
    (notice,) = store.rows("select body from notices")
    assert json.loads(notice["body"])["event"] == "refused"
    assert "0x0110" in json.loads(notice["body"])["error"]


def test_an_archive_that_does_not_know_us_stops_deliveries(store, settings, port, add):
    add()
    from pynetdicom import AE

    entity = AE(ae_title="ARCHIVE")
    entity.require_calling_aet = ["SOMEBODY"]
    entity.add_supported_context(MR)
    server = entity.start_server(("127.0.0.1", port), block=False)
    try:
        # A busy peer may close the connection before its rejection is heard, and that is tried again.
        assert happens(lambda: send(store, settings, after=DAY) == 0 and states(store) == ["refused"])
    finally:
        server.shutdown()
    (row,) = store.rows("select state, error from deliveries")
    assert (row["state"], row["error"]) == ("refused", "the archive rejected the association")


def test_a_file_that_is_gone_is_shown(store, settings, port, add):
    add()
    for path in (settings.folder / OUTBOX).iterdir():
        path.unlink()
    send(store, settings)
    assert states(store) == ["refused"]


@pytest.mark.parametrize("own_association", [False, True])
def test_only_a_report_of_the_archive_commits(own_association, store, settings, port, add, incoming):
    good, lost = add(), add()
    commitments = Commitments(settings, store, archives(settings))
    receiver = Receiver(incoming, settings.callers)
    with (
        archive(port, lose={lost}, report_to=settings.port if own_association else None) as there,
        listening(settings, receiver, [(evt.EVT_N_EVENT_REPORT, commitments.report)], ["ARCHIVE"]),
    ):
        send(store, settings)
        assert commitments.ask_for_results("archive", time.time()) == 2
        assert happens(lambda: states(store) == ["committed", "ready"])  # what it lost is sent again
        assert overdue(store, settings, time.time() + 2 * DAY) == {"archive": 1}  # however often
        assert "does not commit" in store.rows("select error from deliveries order by n")[1]["error"]
        there.lose.clear()
        send(store, settings, after=DAY)
        assert commitments.ask_for_results("archive", time.time()) == 1
        assert happens(lambda: states(store) == ["committed", "committed"])
    assert there.arrivals == [good, lost, lost]


def test_without_a_report_nothing_is_committed_and_it_is_asked_again(store, settings, port, add, monkeypatch):
    add()
    monkeypatch.setattr("medseg.service.node.commitment.SAME_ASSOCIATION", 0.2)
    commitments = Commitments(settings, store, archives(settings))
    with archive(port, commits=False):
        send(store, settings)
        assert commitments.ask_for_results("archive", time.time()) == 1
        assert commitments.ask_for_results("archive", time.time()) == 0  # it has time to answer
        assert states(store) == ["sent"]
        assert commitments.ask_for_results("archive", time.time() + DAY) == 1
    assert overdue(store, settings, time.time() + 0.9 * DAY) == {"archive": 0}
    assert overdue(store, settings, time.time() + 1.1 * DAY) == {"archive": 1}
    assert commitments.ask_for_results("archive", time.time() + 2 * DAY) == 0  # it is down
    assert "no connection to the archive" in store.rows("select error from deliveries")[0]["error"]
    store.change("update deliveries set sent=sent-?", 2 * DAY)
    assert [tell_overdue(store, settings) for _ in range(2)] == [1, 0]
    (notice,) = store.rows("select body from notices")
    assert json.loads(notice["body"])["error"] == "no storage commitment within 24 hours for 1 result"
    store.change("update notices set at=at-?", 2 * DAY)
    assert tell_overdue(store, settings) == 1  # once a day
    commitments.forget(time.time() + 6 * DAY)
    assert len(store.rows("select * from commitment_items")) == 3
    commitments.forget(time.time() + 8 * DAY)
    assert not store.rows("select * from commitment_items") + store.rows("select * from commitments")


def test_an_archive_without_storage_commitment_is_named_with_what_to_set(store, settings, port, add, caplog):
    add()
    commitments = Commitments(settings, store, archives(settings))
    with archive(port, offers=False), caplog.at_level("WARNING", "medseg"):
        send(store, settings)
        assert commitments.ask_for_results("archive", time.time()) == 0
    (line,) = [one.getMessage() for one in caplog.records if one.name == "medseg.serve"]
    assert line.startswith("archive: storage commitment is not offered there. Set `commitment: false`")
    assert store.rows("select error from deliveries")[0]["error"] == "storage commitment is not offered there"


def test_a_report_that_nobody_asked_for_changes_nothing(store, settings, port, add, incoming):
    """Neither one of another transaction, nor one by another than the archive that was asked."""
    uid = add()
    store.change("update deliveries set state='sent'")
    store.change("insert into commitments(uid, destination, at) values('1.2.9', 'archive', 0)")
    store.change("insert into commitment_items(uid, instance, sop_class) values('1.2.9', ?, ?)", uid, MR)
    commitments = Commitments(settings, store, archives(settings))
    receiver = Receiver(incoming, settings.callers)
    from pydicom.dataset import Dataset
    from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

    def report(link, transaction: str) -> int:
        answer, item = Dataset(), Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = MR, uid
        answer.TransactionUID, answer.ReferencedSOPSequence = transaction, [item]
        status, _ = link.send_n_event_report(answer, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
        return int(status.Status)

    from pynetdicom import AE, build_role

    with listening(settings, receiver, [(evt.EVT_N_EVENT_REPORT, commitments.report)], ["ARCHIVE"]):
        for caller, transaction, status in (
            ("CT1", "1.2.9", 0x0112),
            ("ARCHIVE", "1.2.8", 0x0112),
            ("ARCHIVE", "1.2.9", 0),
        ):
            entity = AE(ae_title=caller)
            entity.add_requested_context(StorageCommitmentPushModel)
            role = build_role(StorageCommitmentPushModel, scp_role=True)
            link = entity.associate("127.0.0.1", settings.port, ae_title="MEDSEG", ext_neg=[role])
            assert report(link, transaction) == status
            link.release()
            assert states(store) == (["committed"] if status == 0 else ["sent"])


def test_incoming_objects_are_deleted_after_their_time_once_an_archive_has_them(store, settings, port, incoming):
    objects = [arrival() for _ in range(3)]
    for one in objects:
        incoming.keep(one)
    store.change("update series set changed=0, state='whole'")
    commitments = Commitments(settings, store, archives(settings))
    files = lambda: len(list(settings.incoming.rglob("*.dcm")))  # noqa: E731
    with archive(port) as there:
        assert delete_expired(store, settings, commitments, time.time() + 0.9 * DAY) == 0
        assert not store.rows("select * from commitments")
        assert delete_expired(store, settings, commitments, time.time() + 1.1 * DAY) == 0  # asked, and told no
        assert files() == 3
        there.kept.update({one.instance: None for one in objects})
        assert delete_expired(store, settings, commitments, time.time() + 1.1 * DAY + 60) == 0  # too soon to ask again
        assert delete_expired(store, settings, commitments, time.time() + 2 * DAY) == 0
        assert happens(lambda: all(row["committed"] for row in store.rows("select committed from objects")))
        assert delete_expired(store, settings, commitments, time.time() + 2 * DAY) == 3
    assert files() == 0
    assert not list(settings.incoming.iterdir())


@pytest.mark.parametrize(
    "held_up",
    [
        "insert into jobs(id, series, upto, rule, model, formats, send_to, made, state) "
        "values('j', '1.2.3', 1, 1, 'm', '[]', '[]', 0, 'failed')",
        "insert into deliveries(destination, instance, sop_class, job, series, case_id, file, made) "
        "values('archive', '2.25.1', 's', 'j', '1.2.3', 'c', 'f', 0)",
        "update series set changed=1",
        "update series set state='incomplete'",
    ],
)
def test_nothing_is_deleted_of_a_series_that_is_not_over(held_up, store, settings, incoming):
    without = settings.model_copy(update={"commitment": False})
    incoming.keep(arrival())
    store.change("update series set changed=0, state='whole'")
    store.change(held_up)
    commitments = Commitments(without, store, archives(without))
    assert delete_expired(store, without, commitments, time.time() + 2 * DAY) == 0
    store.change("delete from jobs")
    store.change("delete from deliveries")
    store.change("update series set changed=0, state='ignored'")
    assert delete_expired(store, without, commitments, time.time() + 2 * DAY) == 1


def test_the_outbox_keeps_what_is_not_yet_committed(store, settings, add, monkeypatch):
    add()
    monkeypatch.setattr("medseg.service.node.deliver.LONGEST_WAIT", -1.0)
    store.change("update deliveries set state='sent'")
    assert clear_outbox(store, ["archive"]) == 0
    assert clear_outbox(store, []) == 1


def test_what_waits_for_a_destination_that_is_no_longer_configured_is_shown(store, settings, add):
    add()
    assert refuse_unknown(store, ["archive", "other"]) == 0
    assert refuse_unknown(store, ["other"]) == 1
    assert refuse_unknown(store, ["other"]) == 0  # told once
    (row,) = store.rows("select state, error from deliveries")
    assert (row["state"], row["error"]) == ("refused", GONE)
    (notice,) = store.rows("select body from notices")
    assert "medseg serve retry" in json.loads(notice["body"])["fix"]


def test_a_node_does_not_deliver_to_itself(settings):
    for host in ("127.0.0.1", "localhost"):
        itself = settings.model_copy(update={"destinations": {"archive": f"dicom://{host}:{settings.port}/MEDSEG"}})
        with pytest.raises(UsageError, match="the node itself"):
            archives(itself)


def test_what_may_be_deleted_is_found_without_a_look_at_what_was(store):
    """After years there are millions of objects of which only a row is left, and senders wait meanwhile."""
    plan = [row["detail"] for row in store.rows(f"explain query plan {FINISHED}", time.time(), "[]", 0, 0)]
    assert any("objects_kept" in step for step in plan), plan


def test_series_that_no_archive_commits_to_hold_up_no_other(store, settings, incoming, monkeypatch):
    """More of them than are looked at in one go, and all are older."""
    asked = []
    monkeypatch.setattr("medseg.service.node.keeping._ask", lambda _, items: asked.append(items))
    with store.transaction() as db:
        for n in range(101):
            db.execute("insert into series values(?,'s','f',0,?,1,0,'whole','',0)", (f"1.9.{n}", n))
            row = (f"1.9.{n}.1", MR, f"1.9.{n}", "f/x.dcm", "h", 1, "CT1", 0)
            db.execute("insert into objects values(null,?,?,?,?,?,?,?,?,null,null)", row)
    incoming.keep(arrival())
    store.change("update objects set committed=1 where series='1.2.3'")
    store.change("update series set changed=0, state='whole' where uid='1.2.3'")
    commitments, now = Commitments(settings, store, archives(settings)), time.time() + 2 * DAY
    assert sum(delete_expired(store, settings, commitments, now + after) for after in (0, 60)) == 1
    assert len(asked) == 101
    assert delete_expired(store, settings, commitments, now + 120) == 0
    assert len(asked) == 101  # not too soon again
