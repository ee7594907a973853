"""Webhook and mail: who is told, what of, and again when nobody listened."""

import email
import email.policy
import json
import re
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest
from node_peers import config

from medseg.errors import ConfigError
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


class MailServer(socketserver.StreamRequestHandler):
    """As much of SMTP as a client needs (RFC 5321), without encryption; refuses addresses that begin with `gone`."""

    mails: ClassVar[list[tuple[list[str], bytes]]] = []
    greeting: ClassVar[list[bytes]] = [b"220 mail"]

    def handle(self) -> None:
        self.say(self.greeting[0])
        to: list[str] = []
        while line := self.rfile.readline().decode().strip():
            verb, _, rest = line.partition(" ")
            if verb.upper() == "DATA":
                self.say(b"354 go on")
                text = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.mails.append((to, text))
                self.say(b"250 taken")
            elif verb.upper() == "RCPT" and "<gone" in rest:
                self.say(b"550 nobody here")
            else:
                to += [rest.partition("<")[2].partition(">")[0]] * (verb.upper() == "RCPT")
                self.say(b"221 bye" if verb.upper() == "QUIT" else b"250 fine")

    def say(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")


@pytest.fixture
def mail_server(monkeypatch):
    monkeypatch.setattr(MailServer, "mails", [])
    monkeypatch.setattr(MailServer, "greeting", [b"220 mail"])
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), MailServer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {"server": f"127.0.0.1:{server.server_address[1]}", "sender": "node@example", "starttls": False}
        server.shutdown()


def notice(store: NodeStore) -> None:
    with store.transaction() as db:
        add_notice(db, "withheld", "ct-1", "a CT \u2013 not an MR", "")


def test_mail_goes_through_a_server_to_whom_it_knows(tmp_path, store, mail_server, caplog):
    to = ["a@example", "gone@example", "b@example"]
    notice(store)
    assert tell(store, config(tmp_path, notify={"email": {**mail_server, "to": to}}), time.time()) == 1
    ((heard, text),) = MailServer.mails
    assert heard == ["a@example", "b@example"]
    message = email.message_from_bytes(text, policy=email.policy.default)
    assert (message["Subject"], message["From"]) == ("medseg: withheld", "node@example")
    assert message.get_content().replace("\r\n", "\n") == "event: withheld\nabout: ct-1\nerror: a CT \u2013 not an MR\n"
    assert "for 2 of 3 addresses" in caplog.text


def test_while_the_mail_server_is_away_the_webhook_hears_nothing_twice(tmp_path, store, webhook, mail_server):
    address, heard, _ = webhook
    loaded = config(tmp_path, notify={"webhook": address, "email": {**mail_server, "to": ["a@example"]}})
    MailServer.greeting[0] = b"421 later"
    notice(store)
    assert tell(store, loaded, time.time()) == 0
    assert tell(store, loaded, time.time() + 3600) == 0
    MailServer.greeting[0] = b"220 mail"
    assert tell(store, loaded, time.time() + 7200) == 1
    assert (len(heard), len(MailServer.mails)) == (1, 1)


def test_a_mail_server_without_encryption_gets_nothing_where_that_is_asked_for(tmp_path, store, mail_server):
    loaded = config(tmp_path, notify={"email": {**mail_server, "starttls": True, "to": ["a@example"]}})
    notice(store)
    assert tell(store, loaded, time.time()) == 0
    assert states(store) == ["ready"]
    assert not MailServer.mails


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"server": "mail:abc"}, "is not HOST or HOST:PORT"),
        ({"server": ""}, "is not HOST or HOST:PORT"),
        ({"server": "smtp://mail"}, "is not HOST or HOST:PORT"),
        ({"to": []}, "to is empty"),
        ({"to": ["Ada"]}, "'Ada' is not an address"),
        ({"sender": "a@b\nBcc: c@d"}, "is not an address"),
    ],
)
def test_what_could_never_be_sent_is_found_at_the_start(tmp_path, wrong, said):
    mail = {"server": "[::1]:2525", "sender": "node@example", "to": ["a@example"]}
    assert config(tmp_path, notify={"email": mail}).notify.email.address == ("::1", 2525)
    with pytest.raises(ConfigError, match=re.escape(said)):
        config(tmp_path, notify={"email": mail | wrong})


def test_where_nobody_is_told_notices_are_kept(store, settings):
    with store.transaction() as db:
        add_notice(db, "failed", "mr-1", "", "")
    assert tell(store, settings, time.time()) == 0
    assert states(store) == ["kept"]
