"""Clicks answered by a model, by real requests to the server."""

from __future__ import annotations

import numpy as np
import pytest
from clicks_package import bright_model
from review_server import WRITE, Client, serving
from reviewed_results import make_case, make_results
from small_nifti import OBLIQUE, save

from medseg.io.nifti import read_scan
from medseg.review.marks import Box
from medseg.review.server.click_answers import ByModel
from medseg.types.axis_order import nearest_ras

CASE, SHAPE, CENTER = "scan_0", (36, 34, 30), (19, 15, 14)  # the center on the grid that is sent


@pytest.fixture(scope="module")
def sphere(tmp_path_factory):
    """Results of a bright sphere in an oblique scan, and what of the sent grid is the sphere."""
    root = tmp_path_factory.mktemp("clicked_sphere")
    out = make_results(root, 1, shape=SHAPE)
    file = root / "scans" / f"{CASE}.nii.gz"
    order = nearest_ras(read_scan(file).geometry)
    grid = np.indices(order.select(SHAPE))
    truth = np.sqrt(((grid - np.reshape(CENTER, (3, 1, 1, 1))) ** 2).sum(axis=0)) < 5
    save(file, order.undo(100 * truth).astype(np.int16), OBLIQUE)
    digest = make_case(out, CASE, file)
    (out / "sources.csv").write_text(
        f"case_id,state,series_uid,study_uid,path,input_sha256\n{CASE},done,,,{file.name},{digest}\n"
    )
    return out, truth


@pytest.fixture(scope="module")
def client(sphere):
    with serving(sphere[0], clicks=ByModel(bright_model(threshold=50.0))) as client:
        yield client


def ask(client: Client, **body):
    address = f"{client.at}/api/case/{CASE}/suggest"
    return client.session.post(address, json={"class": 1, "inside": [], **body}, headers=WRITE, timeout=60)


def runs(mask):
    flat = mask.ravel(order="F")
    ends = [*(np.flatnonzero(flat[1:] != flat[:-1]) + 1).tolist(), flat.size]
    lengths = np.diff([0, *ends]).tolist()
    return [0, *lengths] if flat[0] else lengths


def drawn(answer, shape):
    whole, lengths = np.zeros(shape, bool), answer["runs"]
    flat = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    box = answer["box"]
    whole[Box(tuple(box["low"]), tuple(box["size"])).slices] = flat.reshape(box["size"], order="F")
    return whole


def test_one_click_gives_the_sphere_and_the_trail_names_the_model(client, sphere):
    _, truth = sphere
    present = {"low": [0, 0, 0], "size": list(truth.shape), "runs": [truth.size]}
    answer = ask(client, inside=[list(CENTER)], present=present).json()
    assert np.array_equal(drawn(answer, truth.shape), truth)
    assert (answer["method"], answer["fault"]) == ("interactive model", None)
    event = client.store.events(CASE)[-1]
    assert (event.kind, event.body["clicks_model_sha256"], event.body["zoom"]) == ("suggested", "ab" * 32, 1)
    assert client.store.verify() == ()
    assert client.store.case(CASE).revision == 0
    about = client.get(f"case/{CASE}").json()["clicks"]
    assert about["model"] == "bright"
    assert len(about["reach"]) == 3


def test_what_is_drawn_on_the_page_is_what_is_corrected(client, sphere):
    """Where half the sphere is drawn, a mark of what does not belong takes away what is not bright."""
    _, truth = sphere
    present = truth.copy()
    present[17:22, 20:24, 12:17] = True  # beyond the sphere
    strokes = [{"outside": True, "voxels": [[19, 22, 14]]}]
    box = {"low": [0, 0, 0], "size": list(truth.shape), "runs": runs(present)}
    answer = ask(client, outside=[[19, 22, 14]], strokes=strokes, present=box).json()
    box = Box(tuple(answer["box"]["low"]), tuple(answer["box"]["size"])).slices
    after = present.copy()
    after[box] = drawn(answer, truth.shape)[box]
    assert np.array_equal(after, truth)


def test_without_a_drawing_the_newest_labels_are_corrected(client, sphere):
    before = ask(client, inside=[list(CENTER)])
    assert before.status_code == 200
    assert drawn(before.json(), sphere[1].shape)[tuple(CENTER)]


def test_a_model_that_fills_all_is_not_drawn_and_what_is_marked_is_as_marked(sphere):
    """One for which all is bright: the random walker answers; a mark outside is taken away from what was drawn."""
    _, truth = sphere
    with serving(sphere[0], clicks=ByModel(bright_model(threshold=-1.0))) as client:
        present = {"low": [0, 0, 0], "size": list(truth.shape), "runs": [truth.size]}
        answer = ask(client, inside=[list(CENTER)], outside=[[3, 3, 3]], present=present).json()
        assert (answer["method"], answer["fault"]) == ("random walker", "filled more than half of what it looked at")
        found = drawn(answer, truth.shape)
        assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.9
        assert client.store.events(CASE)[-1].body["fault"] == answer["fault"]
        present = {"low": [0, 0, 0], "size": list(truth.shape), "runs": runs(truth)}
        answer = ask(client, outside=[list(CENTER)], present=present).json()
        assert (answer["method"], answer["fault"]) == ("interactive model", None)
        after = drawn(answer, truth.shape)
        assert not after[tuple(CENTER)]
        assert np.count_nonzero(after != truth) == 27


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"inside": [[99, 1, 1]]}, "outside the scan"),
        ({"inside": [list(CENTER)], "class": 2}, "no class has the value 2"),
        ({}, "nothing is marked"),
        ({"strokes": [{"voxels": [[1, 1, 1]]}]}, "a stroke needs outside"),
        ({"strokes": "x"}, "strokes must be a list"),
        ({"inside": [list(CENTER)], "present": {"low": [0, 0, 0], "size": [2, 2, 2], "runs": [7]}}, "do not fill"),
        ({"inside": [list(CENTER)], "present": {"low": [30, 0, 0], "size": [99, 1, 1], "runs": [99]}}, "lies outside"),
        ({"inside": [list(CENTER)], "present": {"low": [0, 0], "size": [2, 2, 2], "runs": [8]}}, "low and size"),
        ({"inside": [list(CENTER)], "present": {"low": [0, 0, 0], "size": [2, 2, 2], "runs": [-1, 9]}}, "lengths"),
        ({"outside": [[1, 1, 1]], "present": {"low": [0, 0, 0], "size": [2, 2, 2], "runs": [8]}}, "nothing of it"),
    ],
)
def test_what_means_nothing_is_refused(client, body, says):
    before = client.store.log.head
    answer = ask(client, **body)
    assert answer.status_code == 422
    assert says in answer.text
    assert client.store.log.head == before
