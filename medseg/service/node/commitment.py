"""Storage commitment: an archive's word that it will keep objects, which only an N-EVENT-REPORT gives.

Asked for by N-ACTION, over which nothing is promised yet. The answer comes over the same association or over one that
the archive opens to this node.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined,unused-ignore]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from medseg.service.archive import Archive, ArchiveError, is_uid
from medseg.service.dimse import NOTHING_OFFERED, PLAIN, TIMEOUT, association, check
from medseg.service.node.config import NodeConfig
from medseg.service.node.deliver import FIRST_WAIT, LONGEST_WAIT
from medseg.service.node.destinations import committing
from medseg.service.node.store import NodeStore

log = logging.getLogger("medseg.serve")
ASK, ALL_KEPT, SOME_FAILED = 1, 1, 2
SAME_ASSOCIATION = 3.0  # seconds that an answer over the association of the question is waited for
ASK_AGAIN = 600.0  # seconds without an answer
FORGET_AFTER = 7 * 86400.0  # seconds in which a late answer is still understood
MOST_AT_ONCE = 1000
WITHOUT = "storage commitment is not offered there"
NOT_OFFERED = "Set `commitment: false` in the node's configuration."
NO_SUCH_OBJECT, ACCEPTED, NOT_UNDERSTOOD = 0x0112, 0x0000, 0x0110
Item = tuple[str, str]  # instance and SOP class


@dataclass
class Commitments:
    """Asks archives for commitment and hears their answers; answers senders that ask for ours."""

    config: NodeConfig
    store: NodeStore
    archives: dict[str, Archive]

    def __post_init__(self) -> None:
        self._answered = threading.Condition()

    @property
    def asked(self) -> dict[str, Archive]:
        """Destinations that are asked."""
        return {name: self.archives[name] for name in committing(self.config) if name in self.archives}

    def ask_for_results(self, destination: str, now: float) -> int:
        """Ask for what was sent to a destination and is not committed; return for how many objects."""
        rows = self.store.rows(
            "select n, instance, sop_class from deliveries where destination=? and state='sent' "
            "and (next<=? or next>?) order by n limit ?", destination, now, now + ASK_AGAIN, MOST_AT_ONCE,
        )  # fmt: skip
        if not rows:
            return 0
        with self.store.transaction() as db:
            db.executemany("update deliveries set next=? where n=?", [(now + ASK_AGAIN, row["n"]) for row in rows])
        return self.ask(destination, [(row["instance"], row["sop_class"]) for row in rows])

    def ask(self, destination: str, items: Sequence[Item]) -> int:
        """Ask one destination to commit to objects; return for how many it was asked."""
        archive, uid = self.asked[destination], str(generate_uid())
        request = Dataset()
        request.TransactionUID = uid
        request.ReferencedSOPSequence = [_reference(*item) for item in items]
        with self.store.transaction() as db:
            db.execute("insert into commitments(uid, destination, at) values(?,?,?)", (uid, destination, time.time()))
            db.executemany(
                "insert into commitment_items(uid, instance, sop_class) values(?,?,?)", [(uid, *item) for item in items]
            )
        handlers = [(evt.EVT_N_EVENT_REPORT, self.report)]
        try:
            with association(archive, _offer, handlers=handlers) as link:
                try:
                    status, _ = link.send_n_action(
                        request, ASK, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
                    )
                except ValueError as error:
                    raise ArchiveError(NOTHING_OFFERED, fix=NOT_OFFERED) from error
                check(status, "the archive did not take the question for storage commitment")
                with self._answered:
                    self._answered.wait_for(lambda: self._is_reported(uid), SAME_ASSOCIATION)
        except (ArchiveError, OSError) as error:
            what = str(getattr(error, "what", error))
            if what == NOTHING_OFFERED:
                log.warning("%s: %s. %s", destination, WITHOUT, NOT_OFFERED)
                self._note(destination, items, WITHOUT)
                return 0
            log.warning("%s: no storage commitment (%s); asking again later.", destination, what)
            self._note(destination, items, what)
            return 0
        self._note(destination, items, "")
        return len(items)

    def _note(self, destination: str, items: Sequence[Item], reason: str) -> None:
        """Record why what was sent is not committed, where that is known."""
        with self.store.transaction() as db:
            db.executemany(
                "update deliveries set error=? where destination=? and instance=? and state='sent'",
                [(reason, destination, instance) for instance, _ in items],
            )

    def forget(self, now: float) -> None:
        """Forget old questions: what was not answered has been asked again since."""
        with self.store.transaction() as db:
            old = "select uid from commitments where at<=?"
            db.execute(f"delete from commitment_items where uid in ({old})", (now - FORGET_AFTER,))  # noqa: S608
            db.execute("delete from commitments where at<=?", (now - FORGET_AFTER,))

    def _is_reported(self, uid: str) -> bool:
        return bool(self.store.rows("select 1 from commitments where uid=? and reported is not null", uid))

    def report(self, event: evt.Event) -> tuple[int, Dataset | None]:
        """Take an archive's answer; what nobody asked for is refused."""
        try:
            answer = event.event_information
            uid = str(answer.get("TransactionUID", ""))
            kept = [str(item.ReferencedSOPInstanceUID) for item in answer.get("ReferencedSOPSequence") or ()]
            failed = {
                str(item.ReferencedSOPInstanceUID): int(item.get("FailureReason") or 0)
                for item in answer.get("FailedSOPSequence") or ()
            }
        except Exception:  # whatever a damaged answer raises
            return NOT_UNDERSTOOD, None
        rows = self.store.rows("select destination from commitments where uid=?", uid)
        archive = self.asked.get(rows[0]["destination"]) if rows else None
        acceptor, requestor = event.assoc.acceptor, event.assoc.requestor
        peer = acceptor if event.assoc.is_requestor else requestor
        if archive is None or str(peer.ae_title).strip() not in (archive.ae_title, ""):
            return NO_SUCH_OBJECT, None
        self.answer(uid, rows[0]["destination"], kept, failed)
        with self._answered:
            self._answered.notify_all()
        return ACCEPTED, None

    def answer(self, uid: str, destination: str, kept: Sequence[str], failed: dict[str, int]) -> None:
        """Record what a destination commits to, as far as it was asked for it."""
        now = time.time()
        asked = {row["instance"] for row in self.store.rows("select instance from commitment_items where uid=?", uid)}
        with self.store.transaction() as db:
            for instance in asked & set(kept) - failed.keys():
                db.execute(
                    "update deliveries set state='committed', error='' "
                    "where destination=? and instance=? and state='sent'",
                    (destination, instance),
                )
                db.execute("update objects set committed=? where instance=? and deleted is null", (now, instance))
            for instance, code in failed.items():
                if instance not in asked:
                    continue
                # It was taken and is not there: it is sent again.
                row = db.execute(
                    "select n, tries from deliveries where destination=? and instance=? and state='sent'",
                    (destination, instance),
                ).fetchone()
                if row is not None:
                    wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(row["tries"], 20))
                    db.execute(
                        "update deliveries set state='ready', tries=tries+1, next=?, error=? where n=?",
                        (now + wait, f"the archive does not commit to keep it (0x{code:04X})", row["n"]),
                    )
            db.execute("update commitments set reported=? where uid=?", (now, uid))
            db.execute("delete from commitment_items where uid=?", (uid,))

    def asked_by_sender(self, event: evt.Event) -> tuple[int, Dataset | None]:
        """Take a sender's question for our commitment, and report on it as soon as it has its answer."""
        try:
            question = event.action_information
            uid = str(question.TransactionUID)
            items = [
                (str(item.ReferencedSOPInstanceUID), str(item.ReferencedSOPClassUID))
                for item in question.ReferencedSOPSequence
            ]
        except Exception:  # whatever a damaged question raises
            return NOT_UNDERSTOOD, None
        if not is_uid(uid) or event.action_type != ASK:
            return NOT_UNDERSTOOD, None
        threading.Thread(target=self._report_to_sender, args=(event.assoc, uid, items), daemon=True).start()
        return ACCEPTED, None

    def _report_to_sender(self, link: evt.Event, uid: str, items: Sequence[Item]) -> None:
        """Say which objects are on our disk: over the sender's own association, or where it wants to hear it."""
        report = Dataset()
        report.TransactionUID = uid
        held = {instance for instance, _ in items if self._holds(instance)}
        report.ReferencedSOPSequence = [_reference(*item) for item in items if item[0] in held]
        missing = [item for item in items if item[0] not in held]
        if missing:
            report.FailedSOPSequence = [_reference(*item) for item in missing]
            for item in report.FailedSOPSequence:
                item.FailureReason = NO_SUCH_OBJECT
        kind = SOME_FAILED if missing else ALL_KEPT
        time.sleep(0.2)  # the answer to the question goes first
        address = self.config.reports.get(str(link.requestor.ae_title).strip())
        if address is None:
            if link.is_established:
                link.send_n_event_report(report, kind, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
            return
        host, _, port = address.rpartition(":")
        entity = AE(ae_title=self.config.aet)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = TIMEOUT
        _offer(entity)
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        other = entity.associate(host, int(port), ae_title=str(link.requestor.ae_title).strip(), ext_neg=[role])
        if other.is_established:
            other.send_n_event_report(report, kind, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
            other.release()

    def _holds(self, instance: str) -> bool:
        row = self.store.rows("select file from objects where instance=? and deleted is null", instance)
        return bool(row) and (self.config.incoming / row[0]["file"]).is_file()


def _offer(entity: AE) -> None:
    entity.add_requested_context(StorageCommitmentPushModel, PLAIN)


def _reference(instance: str, sop_class: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
    return item
