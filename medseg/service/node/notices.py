"""Tells people of what needs one: failed and withheld cases and refused deliveries, and nothing of a patient."""

from __future__ import annotations

import json
import logging
import smtplib
import sqlite3
import ssl
import time
from email.message import EmailMessage

import requests

from medseg.config.safe_json import parse_json
from medseg.counted import counted
from medseg.errors import first_line
from medseg.service.node.config import Email, NodeConfig
from medseg.service.node.overdue import overdue
from medseg.service.node.reasons import UNCOMMITTED_FIX
from medseg.service.node.store import NodeStore

log = logging.getLogger("medseg.serve")
LONGEST_WAIT = 3600.0
TELL_AGAIN = 86400.0
TIMEOUT = (10, 30)
# After which a notice is given up: by then it stands on the queue page only.
MOST_TRIES = 40


def add_notice(db: sqlite3.Connection, event: str, about: str, error: str, fix: str) -> None:
    """Record what is to be told, within a transaction."""
    body = json.dumps({"event": event, "about": about, "error": error, "fix": fix})
    db.execute("insert into notices(at, body) values(?,?)", (time.time(), body))


def tell_overdue(store: NodeStore, config: NodeConfig) -> int:
    """Record a notice for each destination that is late, once a day while it is; return how many."""
    now, added = time.time(), 0
    for name, count in overdue(store, config, now).items():
        if not count:
            continue
        error = f"no storage commitment within {config.commitment_hours:g} hours"
        with store.transaction() as db:
            lately = "select 1 from notices where at>? and json_extract(body, '$.about')=?"
            if db.execute(lately, (now - TELL_AGAIN, name)).fetchone() is None:
                add_notice(db, "uncommitted", name, f"{error} for {counted(count, 'result')}", UNCOMMITTED_FIX)
                added += 1
    return added


def tell(store: NodeStore, config: NodeConfig, now: float) -> int:
    """Send what is due by webhook and mail; return how many notices were sent."""
    notify, sent = config.notify, 0
    if notify.webhook is None and notify.email is None:
        store.change("update notices set state='kept' where state in ('ready', 'posted')")
        return 0
    for row in store.rows(
        "select * from notices where state in ('ready', 'posted') and (next<=? or next>?) order by n limit 20",
        now,
        now + LONGEST_WAIT,
    ):
        reached = row["state"]
        try:
            if notify.webhook is not None and reached != "posted":
                _post(notify.webhook, parse_json(row["body"]))
                reached = "posted"  # once is enough, however often the mail must be tried
            if notify.email is not None:
                _mail(notify.email, parse_json(row["body"]))
        except (OSError, smtplib.SMTPException, requests.RequestException) as error:
            tries = row["tries"] + 1
            state = "given up" if tries >= MOST_TRIES else reached
            wait = min(LONGEST_WAIT, 10.0 * 2 ** row["tries"])
            log.warning(
                "A notice could not be sent: %s",
                first_line(error) if isinstance(error, OSError) else type(error).__name__,
            )
            store.change(
                "update notices set state=?, tries=?, next=?, error=? where n=?",
                state, tries, now + wait, type(error).__name__, row["n"],
            )  # fmt: skip
        else:
            sent += store.change("update notices set state='sent' where n=?", row["n"])
    return sent


def _post(address: str, body: dict[str, str]) -> None:
    answer = requests.post(address, json=body, timeout=TIMEOUT, allow_redirects=False)
    if not answer.ok:
        raise OSError(f"the webhook answered {answer.status_code}")


def _mail(email: Email, body: dict[str, str]) -> None:
    message = EmailMessage()
    message["Subject"] = f"medseg: {body['event']}"
    message["From"], message["To"] = email.sender, ", ".join(email.to)
    message.set_content("\n".join(f"{key}: {value}" for key, value in body.items() if value))
    with smtplib.SMTP(*email.address, timeout=TIMEOUT[1]) as server:
        if email.starttls:
            server.starttls(context=ssl.create_default_context())
        refused = server.send_message(message)
    if refused:  # the others have it
        log.warning("The mail server took a notice for %d of %d addresses", len(email.to) - len(refused), len(email.to))
