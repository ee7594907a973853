"""Whom the review server turns away."""

from __future__ import annotations

import socket

import pytest
import requests
from review_server import KEY, WRITE, Client, serving
from reviewed_results import CASE


def raw(client: Client, request: str) -> bytes:
    with socket.create_connection(("127.0.0.1", client.port), timeout=30) as connection:
        connection.sendall(request.replace("\n", "\r\n").encode())
        return connection.recv(65536)


def test_only_the_page_itself_with_the_key_comes_in(client: Client) -> None:
    port, cookie = client.port, {f"medseg_key_{client.port}": KEY}
    address = f"http://127.0.0.1:{port}/api/worklist"

    def code(url: str = address, method: str = "GET", cookies=cookie, **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.request(
            method, url, cookies=cookies, headers=named, timeout=30, allow_redirects=False
        ).status_code

    assert code() == 200
    assert code(cookies={}) == 401
    assert code(cookies={f"medseg_key_{port}": "guess"}) == 401
    assert code(Host=f"localhost:{port}") == 200
    assert code(Host=f"evil.example:{port}") == 421
    assert code(Host="127.0.0.1") == 421
    assert code(Host=f"127.0.0.1:{port}.evil.example") == 421
    assert code(Origin="https://evil.example") == 403
    assert code(Origin="null") == 403
    assert code(Origin=f"http://127.0.0.1:{port}") == 200
    assert code(Sec_Fetch_Site="cross-site") == 403
    assert code(Sec_Fetch_Site="same-site") == 403
    assert code(Sec_Fetch_Site="same-origin") == 200
    write = f"http://127.0.0.1:{port}/api/case/{CASE}/verdict"
    assert code(write, "POST") == 403
    assert code(write, "POST", X_Medseg="1", Origin="https://evil.example") == 403
    assert code(write, "POST", X_Medseg="1", cookies={}) == 401
    assert code(write, "DELETE", X_Medseg="1") == 405
    # The key in the address counts for the page alone.
    assert code(f"{address}?key={KEY}", cookies={}) == 401
    assert code(f"http://127.0.0.1:{port}/?key=guess", cookies={}) == 401
    assert b" 421 " in raw(
        client, f"GET /api/worklist HTTP/1.1\nHost: evil.example\nCookie: medseg_key_{port}={KEY}\n\n"
    )
    assert b" 421 " in raw(client, "GET /api/worklist HTTP/1.0\n\n")
    assert client.store.events() == ()


def test_the_key_is_swapped_for_a_cookie_that_scripts_cannot_read(client: Client) -> None:
    answer = requests.get(f"{client.at}/?key={KEY}", timeout=30, allow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_a_browser_is_opened_with_a_key_that_opens_once(out) -> None:
    with serving(out) as client:
        once = client.access.key_for_browser()
        for wrong in ("guess", ""):
            assert requests.get(f"{client.at}/?key={wrong}", timeout=30, allow_redirects=False).status_code == 401
        first = requests.get(f"{client.at}/?key={once}", timeout=30, allow_redirects=False)
        assert first.status_code == 303
        assert first.cookies[f"medseg_key_{client.port}"] == KEY
        assert requests.get(f"{client.at}/?key={once}", timeout=30, allow_redirects=False).status_code == 401
        late = client.access.key_for_browser()
        client.access.once_until = 0
        assert requests.get(f"{client.at}/?key={late}", timeout=30, allow_redirects=False).status_code == 401
        assert requests.get(f"{client.at}/?key={KEY}", timeout=30, allow_redirects=False).status_code == 303
        assert requests.get(f"{client.at}/api/worklist?key={KEY}", timeout=30).status_code == 401


def test_every_answer_forbids_what_a_page_needs_not(client: Client) -> None:
    for answer in (client.get("worklist"), client.get("case/nobody"), requests.get(client.at, timeout=30)):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers or "uvicorn" not in answer.headers["server"]


def test_a_proxy_names_the_reader_where_it_is_trusted(out) -> None:
    with serving(out, trust_header="X-Remote-User") as client:
        bare = requests.get(f"{client.at}/api/worklist", timeout=30)
        assert bare.status_code == 401
        named = {"X-Remote-User": "Dr. Bär".encode(), **WRITE}
        found = requests.get(f"{client.at}/api/worklist", headers=named, timeout=30).json()
        assert found["reviewer"] == "Dr. Bär"
        address = f"{client.at}/api/case/{CASE}/verdict"
        requests.post(address, json={"kind": "accept", "revision": 0}, headers=named, timeout=30)
        assert client.store.events()[-1].who == "Dr. Bär"
        # Two at once are told of each other.
        requests.get(f"{client.at}/api/case/{CASE}", headers={**named, "X-Window": "a"}, timeout=30)
        other = {"X-Remote-User": "Dr. C", "X-Window": "a"}
        case = requests.get(f"{client.at}/api/case/{CASE}?prefetch", headers=other, timeout=30).json()
        assert case["elsewhere"] == "Dr. Bär"
    with serving(out) as client:  # a header that nobody asked to trust is nothing
        assert client.get("worklist", headers={"X-Remote-User": "Eve"}).json()["reviewer"] == "Ada"


@pytest.mark.parametrize("scheme", ["http", "https"])  # a proxy that encrypts asks this server in the clear
def test_the_page_behind_a_proxy_may_write(out, scheme: str) -> None:
    with serving(out, trust_header="X-Remote-User", allow_host=("Pacs.example",)) as client:
        address = f"{client.at}/api/case/{CASE}/verdict"
        proxied = {"X-Remote-User": "Ada", "Host": "pacs.example", "Origin": f"{scheme}://pacs.example", **WRITE}
        judged = {"kind": "accept", "revision": 0}
        assert requests.post(address, json=judged, headers=proxied, timeout=30).status_code == 200
        other = {**proxied, "Origin": f"{scheme}://evil.example"}
        refused = requests.post(address, json=judged, headers=other, timeout=30)
        assert (refused.status_code, "--allow-host" in refused.text) == (403, True)


def test_without_a_proxy_only_the_scheme_of_the_server_is_its_own(client: Client) -> None:
    other = {**WRITE, "Origin": f"https://127.0.0.1:{client.port}"}
    answer = client.session.post(f"{client.at}/api/case/{CASE}/verdict", json={}, headers=other, timeout=30)
    assert answer.status_code == 403
