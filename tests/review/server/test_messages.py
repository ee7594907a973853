"""Requests that do not come whole."""

import logging
import socket

from review_server import KEY, Client
from reviewed_results import CASE


def test_a_browser_that_leaves_during_a_request_is_no_bug(client: Client, caplog) -> None:
    caplog.set_level(logging.DEBUG, "medseg.review")
    head = (
        f"PUT /api/case/{CASE}/labels HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\nX-Medseg: 1\r\nIf-Match: 0\r\n"
        f"Cookie: medseg_key_{client.port}={KEY}\r\nContent-Length: 100000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", client.port), timeout=30) as browser:
        browser.sendall(head.encode() + b"x" * 500)
    deadline = 300
    while not caplog.records and (deadline := deadline - 1):
        client.get("worklist")
    assert [(one.levelname, one.getMessage()) for one in caplog.records if one.name.startswith("medseg.review")] == [
        ("DEBUG", f"the browser left during a request for /api/case/{CASE}/labels")
    ]
    assert client.store.case(CASE).revision == 0
