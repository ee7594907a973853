"""Deletes incoming objects after their time: those of finished series, and only once an archive committed to them."""

from __future__ import annotations

import contextlib
import logging
import time

from medseg.service.node.commitment import MOST_AT_ONCE, Commitments
from medseg.service.node.config import NodeConfig
from medseg.service.node.store import NodeStore

log = logging.getLogger("medseg.serve")
DAY = 86400.0
ASK_AGAIN = 3600.0
# Finished: nothing of it is to be done, tried again or delivered. After years most series have no objects any more,
# which the index of those that are kept says without a look at each that was deleted. Those that were asked for just
# now and are not committed let others go first, however many of them no archive will ever commit to.
FINISHED = """
select uid, folder from series where changed=0 and state in ('whole', 'ignored') and last<=?
and exists (select 1 from objects where objects.series=uid and objects.deleted is null)
and not exists (select 1 from jobs where jobs.series=uid and jobs.state in ('ready', 'running', 'failed'))
and not exists (select 1 from deliveries where deliveries.series=uid and (deliveries.state in ('ready', 'refused')
    or (deliveries.state='sent' and deliveries.destination in (select value from json_each(?)))))
and (asked<=? or asked>? or not exists (
    select 1 from objects where objects.series=uid and objects.deleted is null and objects.committed is null))
order by asked, last limit 100
"""


def delete_expired(store: NodeStore, config: NodeConfig, commitments: Commitments, now: float) -> int:
    """Delete what may go; ask for commitment to what must have it first. Return how many objects were deleted."""
    import json

    if config.keep_days is None:
        return 0
    count = 0
    asked = json.dumps(list(commitments.asked))
    for row in store.rows(FINISHED, now - config.keep_days * DAY, asked, now - ASK_AGAIN, now):
        uid = row["uid"]
        if config.commitment:
            missing = store.rows(
                "select instance, sop_class from objects where series=? and deleted is null and committed is null", uid
            )
            if missing:
                store.change("update series set asked=? where uid=?", now, uid)
                _ask(commitments, [(one["instance"], one["sop_class"]) for one in missing])
                continue
        count += _delete(store, config, uid, row["folder"])
    return count


def _ask(commitments: Commitments, items: list[tuple[str, str]]) -> None:
    """Ask one destination after the other; the word of one is enough."""
    for destination in commitments.asked:
        for start in range(0, len(items), MOST_AT_ONCE):
            commitments.ask(destination, items[start : start + MOST_AT_ONCE])


def _delete(store: NodeStore, config: NodeConfig, uid: str, folder: str) -> int:
    """Mark the objects as deleted, then delete them: a kill in between leaves files that the next time deletes."""
    with store.transaction() as db:
        changed = db.execute("select changed from series where uid=?", (uid,)).fetchone()["changed"]
        if changed:  # something came in the meantime
            return 0
        files = [
            row["file"] for row in db.execute("select file from objects where series=? and deleted is null", (uid,))
        ]
        db.execute("update objects set deleted=? where series=? and deleted is null", (time.time(), uid))
        for file in files:
            (config.incoming / file).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        (config.incoming / folder).rmdir()
    log.info("%d objects of a finished series were deleted after their time", len(files))
    return len(files)
