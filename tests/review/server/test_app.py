"""The review server by real requests: what it gives, what it records, and whom it turns away."""

from __future__ import annotations

import gzip
import json
import re
import socket
import threading

import nibabel as nib
import numpy as np
import pytest
import requests
from review_server import KEY, WRITE, Client, nifti, serving
from reviewed_results import TABLE, make_case, make_results

from medseg.review.review_status import status_of
from medseg.review.sample import error_rate, newest_sample
from medseg.review.server.page_files import page_files

CASE = "scan_0"
TIME = r'"t": "[^"]*"'


@pytest.fixture
def out(tmp_path):
    return make_results(tmp_path)


@pytest.fixture
def client(out):
    with serving(out) as client:
        yield client


def test_the_worklist_has_what_the_page_shows(client: Client) -> None:
    found = client.get("worklist").json()
    assert [row["case_id"] for row in found["cases"]] == ["scan_0", "scan_1"]  # by priority
    row = found["cases"][0]
    assert (row["state"], row["revision"], row["is_corrected"], row["review_priority"]) == ("open", 0, False, 2)
    assert row["warnings"] == ["liver: High boundary uncertainty."]
    assert (found["judged"], found["reviewer"], found["blind"], found["missing"]) == (0, "Ada", False, [])
    assert "boundary" in found["reasons"]


def test_a_case_without_labels_is_named_with_its_state(client: Client, out) -> None:
    status = out / "scan_1" / "status.json"
    status.write_text(json.dumps({**json.loads(status.read_text()), "state": "withheld", "outputs": {}}))
    found = client.get("worklist").json()
    assert [row["case_id"] for row in found["cases"]] == [CASE]
    assert found["without_labels"] == {"scan_1": "withheld"}
    assert dict(status_of(client.store).without_labels) == {"scan_1": "withheld"}


def test_a_case_tells_how_its_axes_lie_and_what_it_is(client: Client, out) -> None:
    found = client.get(f"case/{CASE}").json()
    scan = nib.load(out.parent / "scans" / f"{CASE}.nii.gz")
    sent = nib.Nifti1Image.from_bytes(client.get(f"case/{CASE}/image").content)
    assert found["shape"] == list(sent.shape)
    assert np.allclose(found["affine"], sent.affine, atol=1e-4)
    whole = np.asanyarray(sent.dataobj)
    axes, flips = found["axes"], found["flipped"]
    place = [0, 0, 0]
    for axis, index in enumerate((3, 2, 4)):
        place[axes[axis]] = sent.shape[axis] - 1 - index if flips[axis] else index
    assert whole[3, 2, 4] == np.asanyarray(scan.dataobj)[tuple(place)]
    assert [entry["value"] for entry in found["classes"]] == [1, 300, 65535]
    assert found["classes"][0]["color"] == [0, 158, 115]
    assert found["voxel_ml"] == pytest.approx(abs(np.linalg.det(scan.affine[:3, :3])) / 1000)
    assert (found["state"], found["verdict"], found["instances"], found["elsewhere"]) == ("open", None, None, None)


def test_a_part_of_a_file_is_that_part(client: Client) -> None:
    whole = client.get(f"case/{CASE}/image")
    assert whole.headers["accept-ranges"] == "bytes"
    part = client.get(f"case/{CASE}/image", headers={"Range": "bytes=100-499"})
    assert part.status_code == 206
    assert part.content == whole.content[100:500]
    assert part.headers["content-range"] == f"bytes 100-499/{len(whole.content)}"
    beyond = client.get(f"case/{CASE}/labels", headers={"Range": "bytes=99999999-"})
    assert beyond.status_code == 416


def test_labels_are_saved_judged_and_taken_back(client: Client, out) -> None:
    answer = client.draw(CASE, (1, 1, 1), 65535)
    assert answer.status_code == 200
    assert answer.json()["revision"] == 1
    assert answer.headers["etag"] == '"1"'
    assert answer.json()["changed_voxels"] == 1
    image = client.labels(CASE)
    assert np.asanyarray(image.dataobj)[1, 1, 1] == 65535
    assert client.labels(CASE, "?of=model").dataobj[1, 1, 1] == 0
    assert client.judge(CASE, kind="accept", revision=0).status_code == 409
    assert client.judge(CASE, kind="accept", revision=1, seconds=4.2).json()["state"] == "accepted"
    assert client.get("worklist").json()["judged"] == 1
    trail = client.get(f"case/{CASE}").json()["events"]
    assert [event["kind"] for event in trail] == ["saved", "accepted"]
    assert client.store.events()[1].body["seconds"] == 4.2
    assert client.judge(CASE, kind="take_back", revision=1).json()["state"] == "open"
    assert client.judge(CASE, kind="reject", revision=1, reason="boundary", comment="ü").json()["state"] == "rejected"
    saved = client.store.case(CASE).newest.file
    assert np.array_equal(nib.load(saved).affine, nib.load(out.parent / "scans" / f"{CASE}.nii.gz").affine)
    assert client.store.verify() == ()


def test_labels_saved_after_a_verdict_open_the_case_again(client: Client) -> None:
    assert client.judge(CASE, kind="accept", revision=0).json()["state"] == "accepted"
    assert client.draw(CASE, (1, 1, 1), 1).status_code == 200
    found = client.get("worklist").json()
    assert (found["judged"], found["cases"][0]["state"]) == (0, "open, labels changed")
    assert client.judge(CASE, kind="accept", revision=1).json()["state"] == "accepted"


def test_what_is_not_there_is_not_taken_for_the_newest(client: Client) -> None:
    assert client.get(f"case/{CASE}/labels?of=modle").status_code == 422
    assert client.get(f"case/{CASE}/instances?of=A").status_code == 422


def test_a_second_window_is_told_and_nothing_is_merged(client: Client) -> None:
    assert client.draw(CASE, (1, 1, 1), 1).status_code == 200
    refused = client.draw(CASE, (2, 2, 2), 1, revision=0)
    assert refused.status_code == 409
    assert "revision 1 of the labels is the newest, not 0" in refused.text
    assert len(client.store.case(CASE).revisions) == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"kind": "reject", "revision": 0}, 422),
        ({"kind": "reject", "revision": 0, "reason": "ugly"}, 422),
        ({"kind": "maybe", "revision": 0}, 422),
        ({"kind": "accept"}, 422),
        ({"kind": "accept", "revision": "0"}, 422),
        ({"kind": "accept", "revision": True}, 422),
        ({"kind": "accept", "revision": 0, "comment": ["a"]}, 422),
        ({"kind": "accept", "revision": 0, "comment": "half a character \ud800"}, 422),
        ({"kind": "take_back", "revision": 0}, 422),
        ({"kind": "accept", "revision": 7}, 409),
        ([], 422),
    ],
)
def test_a_verdict_that_is_none_is_refused_and_not_recorded(client: Client, body, code: int) -> None:
    address = f"{client.at}/api/case/{CASE}/verdict"
    assert client.session.post(address, data=json.dumps(body), headers=WRITE, timeout=30).status_code == code
    assert client.store.events() == ()


def test_labels_that_are_not_the_cases_are_refused(client: Client) -> None:
    image = client.labels(CASE)
    array = np.array(np.asanyarray(image.dataobj))
    affine = image.affine.copy()
    affine[2, 3] += 2
    foreign = array.copy()
    foreign[0, 0, 0] = 7
    for body in (nifti(array[1:], image), nifti(array, image, affine), nifti(foreign, image), b"nonsense"):
        assert client.put(CASE, body).status_code == 422
        assert client.put(CASE, gzip.compress(body), **{"Content-Encoding": "gzip"}).status_code == 422
    whole = nifti(array, image)
    assert client.put(CASE, whole, revision=None).status_code == 428
    assert client.put(CASE, whole, revision="first").status_code == 422
    assert client.put(CASE, whole, revision='"0"').status_code == 200
    assert client.put(CASE, whole, 1, **{"Content-Encoding": "br"}).status_code == 415
    assert client.put(CASE, bytes(1 << 20)).status_code == 413
    assert len(client.store.events()) == 1


def test_an_id_leads_only_to_a_case_of_the_list(client: Client, out) -> None:
    (out.parent / "secret").mkdir()
    for name in (
        "nobody",
        "..",
        "../secret",
        "..%2fsecret",
        "%2e%2e%2f%2e%2e",
        "scan_0%00",
        "review",
        ".",
        "scan_0/..",
        "....//",
    ):
        for path in (f"case/{name}", f"case/{name}/labels", f"case/{name}/image", f"case/{name}/thumbnail"):
            request = requests.Request("GET", f"{client.at}/api/{path}").prepare()
            request.url = f"{client.at}/api/{path}"  # without the tidying of requests
            answer = client.session.send(request, timeout=30)
            assert answer.status_code in (401, 404), path  # 401: without the cookie of the session
            answer = requests.get(request.url, cookies={f"medseg_key_{client.port}": KEY}, timeout=30)
            assert answer.status_code == 404, path


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


def test_a_case_whose_scan_is_not_there_is_named(out) -> None:
    (out.parent / f"scans/{CASE}.nii.gz").unlink()
    with serving(out) as client:
        client.get("worklist")
        client.store.finder.wait()
        assert client.get("worklist").json()["missing"] == [CASE]


def test_every_answer_forbids_what_a_page_needs_not(client: Client) -> None:
    for answer in (client.get("worklist"), client.get("case/nobody"), requests.get(client.at, timeout=30)):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers or "uvicorn" not in answer.headers["server"]


def test_the_page_is_the_files_of_its_folder_and_no_others(out, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page"
    (page / "tools").mkdir(parents=True)
    (page / "index.html").write_text("<!doctype html>")
    (page / "tools/pen.js").write_text("export {}")
    (page / "secret.py").write_text("1")
    monkeypatch.setattr("medseg.review.server.app.page_files", lambda: page_files(page))
    with serving(out) as client:
        cookies = {f"medseg_key_{client.port}": KEY}
        answers = {
            name: requests.get(f"{client.at}/{name}", cookies=cookies, timeout=30)
            for name in ("", "tools/pen.js", "secret.py", "index.html", "tools", "tools/../secret.py")
        }
        codes = {name: answer.status_code for name, answer in answers.items()}
        assert codes == {
            "": 200, "tools/pen.js": 200, "secret.py": 404, "index.html": 404, "tools": 404, "tools/../secret.py": 404,
        }  # fmt: skip
        assert answers[""].headers["content-type"] == "text/html; charset=utf-8"
        assert answers["tools/pen.js"].headers["content-type"] == "text/javascript; charset=utf-8"
        assert requests.get(f"{client.at}/tools/pen.js", timeout=30).status_code == 401


def test_nobody_draws_on_or_signs_what_cannot_be_shown(client: Client, out) -> None:
    body = client.get(f"case/{CASE}/labels").content
    (out.parent / "scans" / f"{CASE}.nii.gz").write_bytes(b"another")
    assert client.put(CASE, body).status_code == 422
    assert client.judge(CASE, kind="accept", revision=0).status_code == 422
    assert CASE in client.get("worklist").json()["missing"]
    (row,) = (row for row in client.get("worklist").json()["cases"] if row["case_id"] == CASE)
    assert (row["state"], row["revision"]) == ("open", 0)


def test_what_says_that_it_is_gzip_must_be(client: Client) -> None:
    body = client.get(f"case/{CASE}/labels").content
    assert client.put(CASE, body, **{"Content-Encoding": "gzip"}).status_code == 422
    assert client.put(CASE, gzip.compress(body), **{"Content-Encoding": "gzip"}).status_code == 200


def test_an_error_answers_in_one_line_without_a_path(client: Client, out, monkeypatch: pytest.MonkeyPatch) -> None:
    (out.parent / "scans" / f"{CASE}.nii.gz").write_bytes(b"another")
    answer = client.get(f"case/{CASE}/image")
    assert answer.status_code == 422
    assert "its scan was not found" in answer.text or "are not those" in answer.text
    assert str(out.parent) not in answer.text

    def broken(*_: object) -> None:
        raise RuntimeError(f"a secret of {out}")

    monkeypatch.setattr(client.store, "case", broken)
    answer = client.get("case/scan_1")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert "\n" not in answer.text.strip()


def test_nothing_of_the_patient_is_told(out) -> None:
    scan = out.parent / "scans/DOE_JANE_19500101.nii.gz"
    (out.parent / f"scans/{CASE}.nii.gz").rename(scan)
    with serving(out) as client:
        assert client.draw(CASE, (1, 1, 1), 1).status_code == 200
        client.judge(CASE, kind="accept", revision=1)
        told = "".join(client.get(path).text for path in ("worklist", f"case/{CASE}"))
        stored = (out / "review/review.sqlite").read_bytes() + b"".join(
            path.read_bytes() for path in (out / "review").glob("review.sqlite-*")
        )
    assert "DOE" not in told
    assert b"DOE" not in stored
    assert str(out.parent) not in told


def test_a_blinded_reader_sees_neither_others_nor_the_order_of_the_model(out) -> None:
    with serving(out, reviewer="B", blind=True) as other:
        other.draw(CASE, (1, 1, 1), 1)
        other.judge(CASE, kind="reject", revision=1, reason="missed")
    orders = []
    for name in "ACDEFGHI":
        with serving(out, reviewer=name, blind=True) as client:
            found = client.get("worklist").json()
            orders.append(tuple(row["case_id"] for row in found["cases"]))
            assert found["blind"] is True
            assert {row["state"] for row in found["cases"]} == {"open"}
            case = client.get(f"case/{CASE}").json()
            assert case["events"] == []
            assert "B" not in json.dumps(case["verdict"])
            assert client.labels(CASE).dataobj[1, 1, 1] == 0
            assert client.get(f"case/{CASE}/labels?revision=1").status_code == 422
    assert len(set(orders)) == 2  # of two cases
    with serving(out, reviewer="A", blind=True) as client:
        assert client.draw(CASE, (2, 2, 2), 300).json()["revision"] == 1
        assert client.labels(CASE).dataobj[1, 1, 1] == 0


@pytest.mark.parametrize("how", [{"blind": True}, {"blind": True, "blind_model": True}])
def test_nothing_tells_a_blinded_reader_that_somebody_was_there_before(tmp_path, how) -> None:
    """The same reading, of a case that others read before, between and after, and of one that nobody did."""

    def read(out, others: bool) -> list[object]:
        heard: list[object] = []

        def other() -> None:
            if others:
                with serving(out, reviewer="B", **how) as client:
                    revision = client.get(f"case/{CASE}").json()["revision"]
                    client.draw(CASE, (1, 1, revision), 1, revision)
                    client.judge(CASE, kind="reject", revision=revision + 1, reason="missed")

        def hear(answer: requests.Response) -> None:
            kept = answer.json() if answer.headers["content-type"] == "application/json" else answer.text
            heard.append((answer.status_code, answer.headers.get("etag"), kept))

        for turn in range(2):
            other()
            with serving(out, reviewer="A", **how) as client:
                hear(client.draw(CASE, (2, 2, turn), 300, turn))
                hear(client.draw(CASE, (3, 3, 3), 300, 7))
                other()
                assert client.judge(CASE, kind="accept", revision=turn + 1).status_code == 200
                hear(client.judge(CASE, kind="accept", revision=9))
                for path in ("worklist", f"case/{CASE}", f"case/{CASE}/labels?revision=3"):
                    hear(client.get(path))
                heard.append(client.get(f"case/{CASE}/labels", params={"revision": turn + 1}).headers["etag"])
                heard.append(client.get(f"case/{CASE}/labels").headers["etag"])
        return heard

    alone, among = (read(make_results(tmp_path / name, 1), name == "among") for name in ("alone", "among"))
    assert re.sub(TIME, "", json.dumps(among)) == re.sub(TIME, "", json.dumps(alone))
    assert '"revision": 2' in json.dumps(among)


def test_a_reader_without_the_model_draws_unaided(out) -> None:
    with serving(out, blind_model=True) as client:
        row = client.get("worklist").json()["cases"][0]
        assert (row["review_priority"], row["warnings"], row["thumbnail"]) == (None, [], None)
        for query in ("", "?of=model", "?revision=0"):
            assert not np.asanyarray(client.labels(CASE, query).dataobj).any()
        case = client.get(f"case/{CASE}").json()
        assert (case["model_volumes"], case["notes"]) == (None, [])
        assert client.judge(CASE, kind="accept", revision=0).status_code == 422
        answer = client.draw(CASE, (2, 2, 2), 300)
        assert set(answer.json()) == {"revision", "sha256", "volume_ml"}
        assert client.get(f"case/{CASE}").json()["events"][0]["body"].keys() == {"revision", "origin", "base"}
        assert client.judge(CASE, kind="accept", revision=1).status_code == 200
        assert (client.store.labels(CASE).array > 0).sum() == 1


def test_a_sample_is_the_worklist_and_gives_an_error_rate(tmp_path) -> None:
    out = make_results(tmp_path, 6)
    with serving(out, sample=4) as client:
        ids = [row["case_id"] for row in client.get("worklist").json()["cases"]]
        assert len(set(ids)) == 4
        outside = next(f"scan_{n}" for n in range(6) if f"scan_{n}" not in ids)
        assert client.get(f"case/{outside}").status_code == 404
        client.judge(ids[0], kind="reject", revision=0, reason="missed")
        client.draw(ids[1], (1, 1, 1), 1)
        client.judge(ids[1], kind="accept", revision=1)
        for case_id in ids[2:]:
            client.judge(case_id, kind="accept", revision=0)
        sample = newest_sample(client.store)
        rate = error_rate(sample, client.store.all_cases())
        assert sample.case_ids == tuple(ids)
        assert (rate.size, rate.population, rate.judged, rate.wrong, rate.rate) == (4, 6, 4, 2, 0.5)
        # Clopper and Pearson for 2 of 4.
        assert rate.interval == (pytest.approx(0.0676, abs=1e-4), pytest.approx(0.9324, abs=1e-4))
        assert rate.is_complete
    with serving(out, sample=4) as client:  # resumed
        assert [row["case_id"] for row in client.get("worklist").json()["cases"]] == ids


@pytest.mark.parametrize("how", [{}, {"blind": True}])
def test_two_windows_of_a_reader_are_told_of_each_other(out, how) -> None:
    with serving(out, **how) as client:

        def elsewhere(window: str, case: str = CASE) -> str | None:
            return client.get(f"case/{case}", headers={"X-Window": window} if window else {}).json()["elsewhere"]

        assert [elsewhere(window) for window in ("a", "a", "", "b", "a")] == [None, None, "Ada", "Ada", "Ada"]
        assert elsewhere("b", "scan_1") is None
        assert elsewhere("a") is None, "b has gone to another case"
        assert client.get(f"case/{CASE}?left", headers={"X-Window": "a"}).status_code == 204
        assert elsewhere("b") is None


def test_the_models_labels_changing_under_an_open_page_stop_a_verdict(client: Client, out) -> None:
    client.get(f"case/{CASE}")
    make_case(out, CASE, out.parent / "scans" / f"{CASE}.nii.gz", seed=3)
    answer = client.judge(CASE, kind="accept", revision=0)
    assert answer.status_code == 409
    assert "changed since they were shown" in answer.text
    client.get(f"case/{CASE}")
    assert client.judge(CASE, kind="accept", revision=0).status_code == 200


def test_what_was_drawn_or_seen_over_other_labels_of_the_model_is_refused(client: Client, out) -> None:
    shown = client.get(f"case/{CASE}").json()["model_sha256"]
    body = client.get(f"case/{CASE}/labels").content
    make_case(out, CASE, out.parent / "scans" / f"{CASE}.nii.gz", seed=3)
    now = client.get(f"case/{CASE}").json()["model_sha256"]  # as a page asks from time to time
    assert client.put(CASE, body, 0, **{"X-Model": shown}).status_code == 409
    assert client.judge(CASE, kind="accept", revision=0, model_sha256=shown).status_code == 409
    assert client.judge(CASE, kind="accept", revision=0, model_sha256=3).status_code == 422
    assert not client.store.events()
    assert client.judge(CASE, kind="accept", revision=0, model_sha256=now).status_code == 200
    assert client.put(CASE, body, 0, **{"X-Model": now}).status_code == 200


def test_a_page_opened_after_another_model_shows_its_labels_or_says_that_they_are_older(client: Client, out) -> None:
    client.put(CASE, client.get(f"case/{CASE}/labels").content)
    client.draw("scan_1", (1, 1, 1), 300)
    for case in (CASE, "scan_1"):
        make_case(out, case, out.parent / "scans" / f"{case}.nii.gz", seed=3)
    told = {case: client.get(f"case/{case}").json() for case in (CASE, "scan_1")}
    assert [(one["revision"], one["is_corrected"], one["is_of_earlier_model"]) for one in told.values()] == [
        (0, False, False),
        (1, True, True),
    ]
    assert client.get(f"case/{CASE}/labels").headers["etag"] == '"0"'
    assert np.array_equal(client.labels(CASE).dataobj, client.labels(CASE, "?of=model").dataobj)
    assert client.judge(CASE, kind="accept", revision=0).status_code == 200
    assert client.draw(CASE, (1, 1, 1), 300).json()["revision"] == 2


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


@pytest.mark.parametrize("turns", [25, pytest.param(100, marks=pytest.mark.slow)])
def test_a_verdict_sent_right_after_a_save_is_about_what_was_saved(client: Client, turns: int) -> None:
    """Both are sent at once: whichever comes first, the model's labels are never what is accepted."""
    image = client.labels(CASE)
    array = np.array(np.asanyarray(image.dataobj))
    outcomes = []
    for turn in range(turns):
        array[0, 0, 0] = TABLE.classes[turn % 2].value
        body, answers = gzip.compress(nifti(array, image)), []
        save = threading.Thread(
            target=lambda body=body, turn=turn, answers=answers: answers.append(client.put(CASE, body, turn))
        )
        save.start()
        answer = requests.post(
            f"{client.at}/api/case/{CASE}/verdict",
            json={"kind": "accept", "revision": turn + 1},
            headers=WRITE,
            cookies={f"medseg_key_{client.port}": KEY},
            timeout=30,
        )
        save.join()
        assert answers[0].json()["revision"] == turn + 1
        outcomes.append(answer.status_code)
        case = client.store.case(CASE)
        assert case.verdict.labels_sha256 == case.newest.sha256 != case.model_sha256
    assert outcomes == [200] * turns


def test_a_verdict_that_arrives_before_its_save_waits_for_it_and_for_nothing_else(client: Client) -> None:
    answers: list[requests.Response] = []
    judged = threading.Thread(target=lambda: answers.append(client.judge(CASE, kind="accept", revision=1)))
    image = client.labels(CASE)
    judged.start()
    judged.join(0.2)
    assert not answers
    other = requests.put(
        f"{client.at}/api/case/{CASE}/labels",
        data=gzip.compress(nifti(np.asanyarray(image.dataobj), image)),
        headers={**WRITE, "If-Match": "0"},
        cookies={f"medseg_key_{client.port}": KEY},
        timeout=30,
    )
    judged.join()
    assert (other.status_code, answers[0].status_code) == (200, 200)
    assert client.store.case(CASE).verdict.revision == 1
    assert client.judge(CASE, kind="accept", revision=9).status_code == 409


def test_a_verdict_whose_save_never_comes_is_refused(client: Client, monkeypatch) -> None:
    monkeypatch.setattr("medseg.review.server.app.LONGEST_WAIT", 0.1)
    assert client.judge(CASE, kind="accept", revision=1).status_code == 409


def test_ids_of_objects_go_there_and_back(client: Client) -> None:
    assert client.get(f"case/{CASE}/instances").status_code == 404
    image = client.labels(CASE)
    labels = np.asanyarray(image.dataobj).astype(np.int32)
    ids = ((labels == 300) * 7).astype(np.int32)
    assert client.put(CASE, nifti(np.stack([labels, ids], axis=-1), image)).status_code == 200
    sent = nib.Nifti1Image.from_bytes(client.get(f"case/{CASE}/instances").content)
    assert np.array_equal(np.asanyarray(sent.dataobj), ids)
    assert np.array_equal(np.asanyarray(client.labels(CASE).dataobj), labels)
