"""The review server by real requests: what it gives, and to whom."""

from __future__ import annotations

import json
import re

import nibabel as nib
import numpy as np
import pytest
import requests
from review_server import KEY, Client, serving
from reviewed_results import CASE, make_case, make_results

from medseg.review.review_status import status_of
from medseg.review.sample import error_rate, newest_sample
from medseg.review.server.page_files import page_files

TIME = r'"t": "[^"]*"'


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


def test_what_is_not_there_is_not_taken_for_the_newest(client: Client) -> None:
    assert client.get(f"case/{CASE}/labels?of=modle").status_code == 422
    assert client.get(f"case/{CASE}/instances?of=A").status_code == 422


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


def test_a_case_whose_scan_is_not_there_is_named(out) -> None:
    (out.parent / f"scans/{CASE}.nii.gz").unlink()
    with serving(out) as client:
        client.get("worklist")
        client.store.finder.wait()
        assert client.get("worklist").json()["missing"] == [CASE]


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
