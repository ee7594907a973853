"""Delivers results: what fails for the moment is tried again for as long as it takes, what is refused is shown."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Collection, Iterator, Sequence

from medseg.errors import MedsegError
from medseg.service.archive import Archive, ArchiveError, ArchiveRefusal
from medseg.service.node.notices import add_notice
from medseg.service.node.overdue import WITHOUT_DESTINATION
from medseg.service.node.reasons import GONE, GONE_FIX, REFUSED_FIX
from medseg.service.node.segmenting import OUTBOX
from medseg.service.node.store import NodeStore
from medseg.service.outgoing import Answer, Outgoing, outgoing

log = logging.getLogger("medseg.serve")
FIRST_WAIT, LONGEST_WAIT = 2.0, 300.0
MOST_AT_ONCE = 100
OUT_OF_RESOURCES = "(0xA7"  # as an archive says by which status it has no space for the moment


def deliver(store: NodeStore, destination: str, archive: Archive, now: float) -> int:
    """Send what is due to one destination; return how many objects it took."""
    rows = store.rows(
        "select * from deliveries where destination=? and state='ready' and (next<=? or next>?) order by n limit ?",
        destination, now, now + LONGEST_WAIT, MOST_AT_ONCE,
    )  # fmt: skip
    due = {row["instance"]: row for row in rows}
    items = []
    for row in rows:
        path = store.folder / OUTBOX / row["file"]
        found = outgoing([path])[0] if path.is_file() else []
        if found and str(found[0].instance) == row["instance"]:
            items += found
        else:
            _refuse(store, due.pop(row["instance"]), "its file in the outbox is gone or damaged")
    taken = 0
    try:
        for item, answer in _send(archive, items):
            row = due.pop(str(item.instance))
            reason = answer.reason
            if answer.note is not None:
                log.warning("A result of %s was delivered to %s: %s.", row["case_id"], destination, answer.note)
            if reason is None:
                sent = "update deliveries set state='sent', sent=coalesce(sent, ?), next=0, error='' where n=?"
                store.change(sent, time.time(), row["n"])
                taken += 1
            elif OUT_OF_RESOURCES in reason:
                postpone(store, row, reason)
            else:
                _refuse(store, row, reason)
    except ArchiveRefusal as error:
        for row in due.values():
            _refuse(store, row, error.what)
    except MedsegError as error:
        log.warning("%s: %s; trying again later.", destination, error.what)
        for row in due.values():
            postpone(store, row, error.what)
    return taken


def _send(archive: Archive, items: Sequence[Outgoing]) -> Iterator[tuple[Outgoing, Answer]]:
    if not items:
        return
    if archive.protocol == "dimse":
        from medseg.service.dimse import store
    else:
        from medseg.service.web import store
    try:
        yield from store(archive, items)
    except OSError as error:
        raise ArchiveError(
            f"the connection failed ({type(error).__name__})", fix="Check that the archive runs and can be reached."
        ) from error


def postpone(store: NodeStore, row: sqlite3.Row, why: str) -> None:
    """Try again later: after 2 s, 4 s, 8 s, and at last every five minutes."""
    wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(row["tries"], 20))
    store.change(
        "update deliveries set state='ready', tries=tries+1, next=?, error=? where n=? and state in ('ready', 'sent')",
        time.time() + wait, why, row["n"],
    )  # fmt: skip


def refuse_unknown(store: NodeStore, known: Collection[str]) -> int:
    """Stop and show what waits for a destination that the configuration no longer has; return how many objects."""
    query = f"select * from deliveries where {WITHOUT_DESTINATION}"  # noqa: S608 (of ours)
    rows = store.rows(query, json.dumps(list(known)))
    for row in rows:
        _refuse(store, row, GONE, GONE_FIX)
    return len(rows)


def _refuse(store: NodeStore, row: sqlite3.Row, why: str, fix: str = REFUSED_FIX) -> None:
    log.error("A result of %s cannot be delivered to %s: %s.", row["case_id"], row["destination"], why)
    with store.transaction() as db:
        db.execute("update deliveries set state='refused', tries=tries+1, error=? where n=?", (why, row["n"]))
        add_notice(
            db,
            "refused",
            f"{row['case_id']} to {row['destination']}",
            why,
            fix,
        )


def clear_outbox(store: NodeStore, committing: Collection[str]) -> int:
    """Delete files of the outbox that no delivery needs any more; return how many.

    A file is needed until it is sent, and for destinations in `committing` until they have committed to keep it.
    """
    waiting = store.rows("select file, destination, state from deliveries where state in ('ready', 'refused', 'sent')")
    needed = {row["file"] for row in waiting if row["state"] != "sent" or row["destination"] in committing}
    count = 0
    for path in (store.folder / OUTBOX).iterdir():
        # What was put there just now may have no row yet.
        if path.name not in needed and time.time() - path.stat().st_ctime > LONGEST_WAIT:
            path.unlink(missing_ok=True)
            count += 1
    return count
