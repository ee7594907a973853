"""Webhook and mail: who is told, what of, and again when nobody listened."""

import json
import smtplib
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from node_peers import config

from medseg.service.node.notices import add_notice, tell
from medseg.service.node.store import NodeStore


@pytest.fixture
def webhook():
    heard, answers = [], [200]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(answers[0])
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", heard, answers
    server.shutdown()


def states(store: NodeStore) -> list[str]:
    return [row["state"] for row in store.rows("select state from notices order by n")]


def test_a_webhook_hears_each_once_and_again_after_an_error(tmp_path, store, webhook):
    address, heard, answers = webhook
    loaded = config(tmp_path, notify={"webhook": address})
    with store.transaction() as db:
        add_notice(db, "failed", "mr-1", "cut off", "Copy it again.")
    answers[0] = 500
    assert tell(store, loaded, time.time()) == 0
    assert states(store) == ["ready"]
    answers[0] = 200
    assert tell(store, loaded, time.time()) == 0  # not at once
    assert tell(store, loaded, time.time() + 3600) == 1
    assert tell(store, loaded, time.time() + 7200) == 0
    assert heard == [{"event": "failed", "about": "mr-1", "error": "cut off", "fix": "Copy it again."}] * 2


def test_mail(tmp_path, store, monkeypatch):
    sent = []

    class Server:
        def __init__(self, host: str, port: int, timeout: float) -> None:
            sent.append((host, port))

        def __enter__(self) -> "Server":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def starttls(self, context: object) -> None:
            sent.append("tls")

        def send_message(self, message) -> None:
            sent.append((message["Subject"], message["To"], message.get_content()))

    monkeypatch.setattr(smtplib, "SMTP", Server)
    mail = {"server": "mail.example:587", "sender": "node@example", "to": ["a@example", "b@example"]}
    loaded = config(tmp_path, notify={"email": mail})
    with store.transaction() as db:
        add_notice(db, "withheld", "ct-1", "a CT, not an MR", "")
    assert tell(store, loaded, time.time()) == 1
    text = "event: withheld\nabout: ct-1\nerror: a CT, not an MR\n"
    assert sent == [("mail.example", 587), "tls", ("medseg: withheld", "a@example, b@example", text)]


def test_where_nobody_is_told_notices_are_kept(store, settings):
    with store.transaction() as db:
        add_notice(db, "failed", "mr-1", "", "")
    assert tell(store, settings, time.time()) == 0
    assert states(store) == ["kept"]
