"""Voxels of a class from a reader's marks, by real requests to the server."""

from __future__ import annotations

import json
import threading
import time

import numpy as np
import pytest
import requests
from review_server import WRITE, Client, serving
from reviewed_results import TABLE, make_case, make_results
from small_nifti import OBLIQUE, save

from medseg.io.files.file_hash import file_sha256
from medseg.io.nifti import read_scan, write_probabilities
from medseg.review.marks import Box
from medseg.review.review_status import status_of
from medseg.review.server import suggestions
from medseg.types.axis_order import nearest_ras

CASE, SHAPE, RADIUS = "scan_0", (36, 34, 30), 8
CENTER = (19, 15, 14)  # on the grid that is sent
IN, OUT = [19, 18, 14], [4, 15, 14]


def distance(shape):
    return np.sqrt(sum((axis - c) ** 2 for axis, c in zip(np.indices(shape), CENTER, strict=True)))


@pytest.fixture(scope="module")
def sphere(tmp_path_factory):
    """Results of a noisy sphere in an oblique scan, and what of the sent grid is the sphere."""
    root = tmp_path_factory.mktemp("sphere")
    out = make_results(root, 1, shape=SHAPE)
    file = root / "scans" / f"{CASE}.nii.gz"
    geometry = read_scan(file).geometry
    order = nearest_ras(geometry)
    truth = distance(order.select(SHAPE)) < RADIUS
    array = order.undo(40.0 + 60 * truth) + np.random.default_rng(3).normal(0, 8, SHAPE)
    save(file, array.astype(np.int16), OBLIQUE)
    digest = make_case(out, CASE, file)
    (out / "sources.csv").write_text(
        f"case_id,state,series_uid,study_uid,path,input_sha256\n{CASE},done,,,{file.name},{digest}\n"
    )
    return out, truth, read_scan(file)


@pytest.fixture(scope="module")
def client(sphere):
    with serving(sphere[0]) as client:
        yield client


def ask(client: Client, inside=(IN,), outside=(OUT,), value=1, case=CASE, **headers) -> requests.Response:
    body = {"class": value, "inside": list(inside), "outside": list(outside)}
    address = f"{client.at}/api/case/{case}/suggest"
    return client.session.post(address, json=body, headers={**WRITE, **headers}, timeout=60)


def drawn(answer, shape):
    """The suggested voxels in the whole of the grid that is sent."""
    box, whole = answer["box"], np.zeros(shape, bool)
    runs = answer["runs"]
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    whole[Box(tuple(box["low"]), tuple(box["size"])).slices] = flat.reshape(box["size"], order="F")
    return whole


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def test_one_click_in_and_one_out_give_the_sphere_and_are_in_the_trail(client: Client, sphere) -> None:
    _, truth, _ = sphere
    before = len(client.store.events(CASE))
    answer = ask(client).json()
    found = drawn(answer, truth.shape)
    assert dice(found, truth) > 0.9
    assert found[tuple(IN)]
    assert not found[tuple(OUT)]
    assert answer["voxels"] == np.count_nonzero(found)
    assert (answer["method"], answer["uses_probabilities"]) == ("random walker", False)
    event = client.store.events(CASE)[before]
    assert (event.kind, event.who, event.n) == ("suggested", "Ada", answer["n"])
    assert (event.body["class"], event.body["inside"], event.body["outside"]) == ("liver", 1, 1)
    assert event.body["newest"] == {"outside": False, "voxels": 1, "first": IN}
    assert client.store.verify() == ()
    assert status_of(client.store).suggestions == {CASE: before + 1}
    assert client.get(f"case/{CASE}").json()["events"][-1]["body"]["inside"] == 1
    assert client.store.case(CASE).revision == 0  # nothing is saved that the reader has not


def test_without_a_mark_outside_the_faces_of_the_box_are(client: Client, sphere) -> None:
    assert dice(drawn(ask(client, outside=()).json(), sphere[1].shape), sphere[1]) > 0.9


def test_what_is_drawn_is_corrected_around_the_newest_mark_and_kept_elsewhere(client: Client, sphere) -> None:
    """A mark that does not belong takes a spur away, not the sphere that it hangs together with."""
    _, truth, _ = sphere
    drawn_before = truth.copy()
    drawn_before[17:22, 23:26, 12:17] = True
    present = {"low": [0, 0, 0], "size": list(truth.shape), "runs": suggestions.runs_of(drawn_before)}
    body = {"class": 1, "inside": [], "outside": [[19, 24, 14]], "present": present}
    body["strokes"] = [{"outside": True, "voxels": [[19, 24, 14]]}]
    address = f"{client.at}/api/case/{CASE}/suggest"
    answer = client.session.post(address, json=body, headers=WRITE, timeout=60).json()
    box = Box(tuple(answer["box"]["low"]), tuple(answer["box"]["size"])).slices
    after = drawn_before.copy()
    after[box] = drawn(answer, truth.shape)[box]
    assert not (after & ~drawn_before).any()
    assert not after[19, 24, 14]
    assert dice(after, truth) > max(0.97, dice(drawn_before, truth))
    event = client.store.events(CASE)[-1]
    assert (event.body["method"], event.body["inside"], event.body["outside"]) == ("random walker", 0, 1)
    far = body | {"outside": [[3, 3, 3]], "strokes": [{"outside": True, "voxels": [[3, 3, 3]]}]}
    refused = client.session.post(address, json=far, headers=WRITE, timeout=60)
    assert (refused.status_code, "nothing is marked" in refused.text) == (422, True)
    trail = client.store.events(CASE)[-1].body
    assert trail["newest"] == {"outside": True, "voxels": 1, "first": [3, 3, 3]}
    assert trail["refused"] in refused.text
    assert client.store.verify() == ()


@pytest.mark.parametrize(
    ("inside", "outside", "value", "says"),
    [
        ([[99, 1, 1]], [], 1, "outside the scan"),
        ([IN], [[-1, 0, 0]], 1, "outside the scan"),
        ([[1.5, 1, 1]], [], 1, "outside the scan"),
        ([[True, 1, 1]], [], 1, "outside the scan"),
        ([[1, 1]], [], 1, "outside the scan"),
        ([], [OUT], 1, "nothing is marked"),
        ([IN], [IN], 1, "both"),
        ([IN], [], 2, "no class has the value 2"),
        ([IN], [], "1", "value of a class"),
        ([IN] * 20_001, [], 1, "20,000"),
    ],
)
def test_marks_that_mean_nothing_are_refused(client: Client, inside, outside, value, says) -> None:
    before = client.store.log.head
    answer = ask(client, inside, outside, value)
    assert answer.status_code == 422
    assert says in answer.text
    is_mark = says == "nothing is marked"  # of a reader, and not of a program that asks for what is not there
    assert (client.store.log.head != before) == is_mark


def test_strangers_other_bodies_and_unknown_cases_are_turned_away(client: Client) -> None:
    address = f"{client.at}/api/case/{CASE}/suggest"
    assert client.session.post(address, json={}, timeout=30).status_code == 403
    assert requests.post(address, json={}, headers=WRITE, timeout=30).status_code == 401
    assert ask(client, case="nowhere").status_code == 404
    # A box of more voxels than the scan has is refused before memory is spent on it.
    large = {"low": [0, 0, 0], "size": [400, 400, 400], "runs": [64_000_000]}
    bomb = json.dumps({"class": 1, "inside": [[3, 3, 3]], "present": large}).encode()
    for body in (b"", b"[]", b"{", b"[" * 100_000, bomb):
        assert client.session.post(address, data=body, headers=WRITE, timeout=30).status_code == 422
    assert client.session.post(address, data=b" " * (2 << 20), headers=WRITE, timeout=30).status_code == 413


def with_probabilities(out, scan, values):
    """Save probabilities beside the labels, as predict does, and record them."""
    folder = out / CASE
    channels = np.zeros((1 + len(TABLE), *scan.geometry.shape), np.float32)
    channels[1] = values
    channels[0] = 1 - values
    write_probabilities(channels, scan.geometry, folder / "probabilities.nii.gz", scan.source)
    status = json.loads((folder / "status.json").read_text())
    status["outputs"]["probabilities.nii.gz"] = file_sha256(folder / "probabilities.nii.gz")
    (folder / "status.json").write_text(json.dumps(status))


def test_the_models_probabilities_lead_the_walker_where_the_scan_shows_no_edge(tmp_path) -> None:
    """Of a scan of noise and a probability that falls at a plane, the plane is what is found."""
    out = make_results(tmp_path, 1, shape=SHAPE)
    file = tmp_path / "scans" / f"{CASE}.nii.gz"
    save(file, np.random.default_rng(5).integers(0, 10, SHAPE).astype(np.int16), OBLIQUE)
    digest = make_case(out, CASE, file)
    (out / "sources.csv").write_text(
        f"case_id,state,series_uid,study_uid,path,input_sha256\n{CASE},done,,,{file.name},{digest}\n"
    )
    scan = read_scan(file)
    order = nearest_ras(scan.geometry)
    half = distance(order.select(SHAPE)) < RADIUS
    with_probabilities(out, scan, order.undo(np.where(half, 0.95, 0.02)))
    with serving(out) as client:
        answer = ask(client, value=1).json()
        assert answer["uses_probabilities"]
        assert dice(drawn(answer, half.shape), half) > 0.9
        lesion = ask(client, value=300).json()  # whose probability is nowhere
        assert dice(drawn(lesion, half.shape), half) < 0.8
    with serving(out, blind_model=True) as client:
        blind = ask(client).json()
        assert not blind["uses_probabilities"]


def test_a_newer_request_takes_the_place_of_an_older_and_the_slow_are_ended(client: Client, monkeypatch) -> None:
    begun, go, walked = threading.Event(), threading.Event(), []

    def slow(scan, present, interactions, spacing, probability):
        walked.append(interactions)
        begun.set()
        assert go.wait(30)
        return Box((0, 0, 0), (1, 1, 1)), np.zeros((1, 1, 1), bool)

    monkeypatch.setattr(suggestions, "walker_answer", slow)
    before, answers = client.store.log.head, []

    def in_turn():
        answers.append(ask(Client(client.port, client.store, client.access)))

    threads = []
    for n in range(3):  # the first is being walked, the second waits, the third is the newest
        threads.append(threading.Thread(target=in_turn))
        threads[-1].start()
        if n == 0:
            assert begun.wait(30)
        else:
            deadline = time.monotonic() + 30
            while len(answers) < n and time.monotonic() < deadline:
                time.sleep(0.01)
    assert [answer.status_code for answer in answers] == [409, 409]
    go.set()
    for thread in threads:
        thread.join(30)
    assert answers[2].status_code == 200
    assert len(walked) == 2, "what was replaced while it waited is never begun"
    assert client.store.log.head[0] == before[0] + 1
    go.clear()
    monkeypatch.setattr(suggestions, "SECONDS", 0.05)
    late = ask(client)
    go.set()
    assert late.status_code == 503
    assert "Mark a smaller part" in late.text
