"""Objects in the page: deleted, merged, split by a stroke, drawn; saved with the ids that are on the screen."""

import numpy as np
import pytest
from clicks_package import bright_model
from review.browser.phantoms import MARKS, Phantom, phantoms, write_results
from review.browser.served import Window, newest_labels, serving, until
from review_server import KEY
from review_server import serving as clicks_served

from medseg.io.instances import write_instances
from medseg.io.read import load_scan
from medseg.review.opening import open_store
from medseg.review.server.click_answers import ByModel
from medseg.types import Instances, LabelClass, LabelTable
from medseg.types.instances import InstanceRow

TABLE = LabelTable((LabelClass(1, "nucleus", color=(230, 159, 0), is_thing=True),))
SHAPE = (40, 52, 28)
# Boxes of voxels: two that touch, one bar to be cut, one by itself.
BOXES = {
    1: np.s_[4:10, 30:40, 10:18],
    2: np.s_[10:16, 30:40, 10:18],
    3: np.s_[20:36, 10:16, 10:18],
    4: np.s_[22:26, 30:34, 12:16],
}
MIDDLE = 14  # a slice that all of them are in


def ids_of_boxes():
    ids = np.zeros(SHAPE, np.int32)
    for number, box in BOXES.items():
        ids[box] = number
    return ids


@pytest.fixture
def review(browser, tmp_path):
    ids = ids_of_boxes()
    straight = next(one for one in phantoms() if one.name == "straight-00")
    phantom = Phantom(straight.name, straight.scan, (ids > 0).astype(np.uint8), straight.affine, straight.marks)

    def add_objects(folder, scan):
        rows = tuple(InstanceRow(n, 1, True, int((ids == n).sum()), 0.9) for n in BOXES)
        write_instances(Instances(ids, scan.geometry, rows, TABLE), folder, scan.source)

    results, scans = write_results(tmp_path, [phantom], TABLE, more=add_objects)
    with serving(results, scans) as address:
        window = Window.open(browser.new_context(viewport={"width": 1280, "height": 720}), address)
        window.results, window.name = results, phantom.name
        go(window, (20, 20, MIDDLE))
        yield window
        assert not window.complaints


def go(window, voxel):
    window.go(f"case={window.name}&voxel={','.join(map(str, voxel))}", window.name)
    window.wait(voxel=",".join(map(str, voxel)))


def place(window, x, y):
    """Where the center of a voxel is in the axial plane, which shows all of the slice."""
    box = window.canvas("axial")
    width, height = SHAPE[0] * 1.0, SHAPE[1] * 1.3
    scale = min(box["width"] / width, box["height"] / height)
    left = box["x"] + (box["width"] - width * scale) / 2
    top = box["y"] + (box["height"] - height * scale) / 2
    return left + (SHAPE[0] - x - 0.5) * scale, top + (SHAPE[1] - y - 0.5) * 1.3 * scale


def shown(window):
    return window.page.text_content("#classes .objects")


def saved(window):
    """Save; return labels and ids as the store has them."""
    window.save()
    with open_store(window.results) as store:
        newest = store.case(window.name).newest
        labels = store.labels(window.name)
    assert newest.instances_file is not None
    ids = np.asarray(load_scan(newest.instances_file).array[0]).astype(int)
    assert np.array_equal(labels.array > 0, ids > 0)
    return ids


def test_an_object_is_deleted_and_comes_back(review):
    go(review, (12, 35, MIDDLE))
    review.press("d")
    expected = ids_of_boxes()
    expected[expected == 2] = 0
    assert np.array_equal(saved(review), expected)
    assert shown(review) == "3 objects (−1)"
    review.press("z")
    assert np.array_equal(saved(review), ids_of_boxes())
    assert shown(review) == "4 objects"
    review.press("y", "m")
    assert np.array_equal(saved(review), ids_of_boxes())


def test_objects_are_merged_by_a_stroke(review):
    review.press("j")
    review.drag(place(review, 6, 35), place(review, 13, 35))
    expected = ids_of_boxes()
    expected[expected == 2] = 1
    review.says("2 objects merged into one.")
    review.drag(place(review, 1, 5), place(review, 3, 5))
    review.says("Nothing was merged")
    assert np.array_equal(saved(review), expected)


def test_an_object_is_split_by_a_stroke(review):
    review.press("f")
    review.drag(place(review, 30, 12), place(review, 30, 20))
    review.says("does not cut the object in two")
    review.drag(place(review, 1, 5), place(review, 3, 5))
    review.says("the stroke passes no object")
    review.drag(place(review, 30, 5), place(review, 30, 20))
    review.says("The object was split into parts of")
    until(lambda: shown(review) == "5 objects (+1)")
    found = saved(review)
    bar = found[BOXES[3]]
    assert (bar[:10] == 3).all(), "the larger part keeps its id"
    assert set(bar[11:].ravel().tolist()) == {5}, "the smaller part has a new one"
    assert set(bar[10].ravel().tolist()) <= {3, 5}
    found[found == 5] = 3
    assert np.array_equal(found, ids_of_boxes())
    review.page.reload()
    review.ready()
    assert "revision 1, 0 voxels from the model's, 5 objects of the model's 4" in review.page.text_content("#about")
    assert shown(review) == "5 objects (+1)"


def test_a_pen_draws_on_at_an_object_and_begins_a_new_one_elsewhere(review):
    review.press("4", *"[[[[[[[[[[[[[[[")
    review.drag(place(review, 24, 33), place(review, 24, 36))
    review.drag(place(review, 8, 8), place(review, 10, 8))
    expected = ids_of_boxes()
    expected[24, 34:37, MIDDLE] = 4
    expected[8:11, 8, MIDDLE] = 5
    assert np.array_equal(saved(review), expected)
    review.page.reload()
    review.ready()
    until(lambda: review.state("revision") == "1")
    go(review, (9, 8, MIDDLE))
    review.press("d")
    expected[expected == 5] = 0
    assert np.array_equal(saved(review), expected)
    assert newest_labels(review.results, review.name).shape == SHAPE


def test_one_click_makes_an_object_and_one_deletes_another_each_apart_from_the_rest(browser, review):
    """By a model for which all that is bright belongs: a cube that nobody drew, and none of the four objects."""
    model = ByModel(bright_model((24, 24, 24), threshold=500.0))
    x, y, z = (int(at) for at in MARKS[2])
    review.page.close()
    with clicks_served(review.results, clicks=model, scans=review.results.parent / "scans") as client:
        window = Window.open(browser.new_context(viewport={"width": 1280, "height": 720}), f"{client.at}/?key={KEY}")
        window.results, window.name = review.results, review.name
        go(window, (x, y, z))
        window.press("t", "4")
        window.page.mouse.click(*place(window, x, y))
        window.says("nucleus: +27 −0 voxels (bright)")
        expected = ids_of_boxes()
        expected[x - 1 : x + 2, y - 1 : y + 2, z - 1 : z + 2] = 5
        assert np.array_equal(saved(window), expected)
        assert shown(window) == "5 objects (+1)"
        go(window, (24, 32, MIDDLE))
        window.page.mouse.click(*place(window, 24, 32), button="right")
        window.says("nucleus: +0 −")
        expected[expected == 4] = 0
        assert np.array_equal(saved(window), expected)
        window.press("z", "z")
        assert np.array_equal(saved(window), ids_of_boxes())
        assert not window.complaints
