"""What is sent to the review server: labels and verdicts are recorded, or refused and nothing is."""

from __future__ import annotations

import gzip
import json
import threading

import nibabel as nib
import numpy as np
import pytest
import requests
from review_server import KEY, WRITE, Client, nifti
from reviewed_results import CASE, TABLE, make_case


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
    monkeypatch.setattr("medseg.review.server.changes.LONGEST_WAIT", 0.1)
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
