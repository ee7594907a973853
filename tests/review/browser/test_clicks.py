"""The click tool: what the page makes of a suggestion, and a reader who clicks in a noisy ball."""

import numpy as np
import pytest
from clicks_package import bright_model, write_filling
from review.browser.phantoms import SHAPE, Phantom, phantoms, write_results
from review.browser.served import Window, newest_labels, serving, until
from review.browser.test_modules import blobs, edited, flat
from review_server import KEY
from review_server import serving as clicks_served
from scipy import ndimage

from medseg.review.opening import open_store
from medseg.review.server.click_answers import ByModel
from medseg.review.server.suggestions import runs_of

VIEW = {"width": 1280, "height": 720}
CENTER, RADIUS_MM = (19, 25, 14), 11
SPACING = np.array([1.0, 1.3, 2.2])
LOW, SIZE = (2, 1, 1), (6, 5, 4)
BOX = np.s_[2:8, 1:6, 1:5]
APPLY = """
    const answer = { box: { low: given.low, size: given.size }, runs: given.runs }
    return m.applySuggestion(edit, labels, answer, given.pen, new Set(given.outside), given.over)
"""


@pytest.mark.parametrize("over", [0, 2])
def test_a_suggestion_adds_over_one_class_and_takes_away_what_hangs_on_a_mark(logic, over):
    before, pen = blobs(4), 1
    mask = blobs(8)[BOX] == 1
    wrong = np.zeros(before.shape, bool)
    wrong[BOX] = (before[BOX] == pen) & ~mask
    islands, count = ndimage.label(wrong)
    assert count, "there is something to take away"
    mark = tuple(np.argwhere(islands == 1)[0])
    expected = before.copy()
    expected[islands == 1] = 0
    after_removal = expected.copy()
    grown = np.zeros(before.shape, bool)
    grown[BOX] = mask
    expected[grown & (after_removal == over)] = pen
    place = int(np.ravel_multi_index(mark, before.shape, order="F"))
    given = {"low": LOW, "size": SIZE, "runs": runs_of(mask), "pen": pen, "outside": [place], "over": over}
    after, result = edited(logic, "tools/suggestion.js", APPLY, before, **given)
    assert np.array_equal(after, expected)
    assert result == {"added": int((grown & (after_removal == over)).sum()), "removed": int((islands == 1).sum())}
    assert flat(after) != flat(before)


ANSWER = """
    const belongs = (index) => labels.pens[index] === given.pen
    const box = { low: given.low, size: given.size }
    const present = m.presentRuns(labels, box, belongs)
    const result = m.applyAnswer(edit, labels, { box, runs: given.runs }, given.pen, given.over, belongs)
    return { ...result, present: present.runs }
"""


@pytest.mark.parametrize("over", [0, 2])
def test_an_answer_of_a_model_replaces_the_class_in_its_box_and_no_other(logic, over):
    before, pen = blobs(4), 1
    mask = blobs(8)[BOX] == 1
    expected = before.copy()
    inside = np.zeros(before.shape, bool)
    inside[BOX] = True
    grown = np.zeros(before.shape, bool)
    grown[BOX] = mask
    expected[inside & ~grown & (before == pen)] = 0
    expected[grown & (before == over)] = pen
    given = {"low": LOW, "size": SIZE, "runs": runs_of(mask), "pen": pen, "over": over}
    after, result = edited(logic, "tools/suggestion.js", ANSWER, before, **given)
    assert np.array_equal(after, expected)
    assert result["present"] == runs_of(before[BOX] == pen)
    assert result["removed"] == int((inside & ~grown & (before == pen)).sum()) > 0


@pytest.fixture
def review(browser, tmp_path):
    """A bright ball in noise; the scan's first class is nowhere, the second lies over a part of the ball."""
    straight = next(one for one in phantoms() if one.name == "straight-00")
    away = (np.indices(SHAPE) - np.reshape(CENTER, (3, 1, 1, 1))) * SPACING.reshape(3, 1, 1, 1)
    ball = np.sqrt((away**2).sum(axis=0)) < RADIUS_MM
    scan = (40 + 60 * ball + np.random.default_rng(2).normal(0, 8, SHAPE)).astype(np.int16)
    labels = np.zeros(SHAPE, np.uint8)
    labels[26:36, 20:30, 12:17] = 2
    results, scans = write_results(tmp_path, [Phantom(straight.name, scan, labels, straight.affine, ())])
    with serving(results, scans) as address:
        window = Window.open(browser.new_context(viewport=VIEW), address)
        window.results, window.name, window.ball, window.labels = results, straight.name, ball, labels
        window.go(f"case={window.name}&voxel={','.join(map(str, CENTER))}", window.name)
        window.wait(voxel=",".join(map(str, CENTER)))
        yield window
        assert not window.complaints


def click(window, x, y, button):
    """Click the center of a voxel of the axial plane, which shows all of the slice."""
    box = window.canvas("axial")
    width, height = SHAPE[0] * SPACING[0], SHAPE[1] * SPACING[1]
    scale = min(box["width"] / width, box["height"] / height)
    left, top = box["x"] + (box["width"] - width * scale) / 2, box["y"] + (box["height"] - height * scale) / 2
    at = left + (SHAPE[0] - x - 0.5) * scale, top + (SHAPE[1] - y - 0.5) * SPACING[1] * scale
    window.page.mouse.click(*at, button=button)


def test_a_click_in_and_a_click_out_give_the_ball_as_one_step(review):
    review.press("t", "4", *"[[[[[[[[[[[[[[[")
    assert review.page.get_attribute("button[data-tool=click]", "aria-pressed") == "true"
    click(review, 20, 27, "right")
    review.says("Now mark what does belong to class 1")
    review.press("q", "t")  # marks are gone with the tool
    click(review, 20, 27, "left")
    assert "no interactive model, so a random walker" in review.page.inner_text("#hint")
    review.says("(random walker, scan)")
    until(lambda: review.state("dirty") == "1" or review.state("revision") != "0")
    click(review, 4, 25, "right")
    with open_store(review.results) as store:
        until(lambda: [e.body["outside"] for e in store.events() if e.kind == "suggested"] == [0, 1])
    review.says("(random walker, scan)")
    review.save()
    found = np.asarray(newest_labels(review.results, review.name).dataobj)
    free = review.ball & (review.labels == 0)
    drawn = found == 1
    assert 2 * (drawn & free).sum() / (drawn.sum() + free.sum()) > 0.9
    assert np.array_equal(found == 2, review.labels == 2), "no voxel of another class is drawn over"
    review.press("z", "q")
    assert review.page.locator("#hint").is_hidden()
    review.save()
    assert np.array_equal(np.asarray(newest_labels(review.results, review.name).dataobj), review.labels)
    review.page.reload()
    review.ready()
    trail = review.page.text_content("#about")
    assert "asked the random walker for class 1: 1 voxels marked inside, 1 outside" in trail
    with open_store(review.results) as store:
        assert store.verify() == ()


def test_a_model_answers_each_click_as_a_step_of_its_own(browser, review):
    """One for which all that is bright belongs: the ball is filled, over background alone, and taken back."""
    model = ByModel(bright_model((24, 24, 24), threshold=70.0))
    with clicks_served(review.results, clicks=model, scans=review.results.parent / "scans") as client:
        window = Window.open(browser.new_context(viewport=VIEW), f"{client.at}/?key={KEY}")
        window.go(f"case={review.name}&voxel={','.join(map(str, CENTER))}", review.name)
        window.wait(voxel=",".join(map(str, CENTER)))
        window.press("t", "4", *"[[[[[[[[[[[[[[[")
        click(window, 20, 27, "left")
        window.says("(bright)")
        assert "The interactive model bright corrects the class" in window.page.inner_text("#hint")
        window.save()
        filled = np.asarray(newest_labels(review.results, review.name).dataobj)
        assert np.array_equal(filled == 2, review.labels == 2), "no voxel of another class is drawn over"
        free = review.ball & (review.labels == 0)
        assert 2 * ((filled == 1) & free).sum() / ((filled == 1).sum() + free.sum()) > 0.9
        window.press("z")
        window.save()
        assert np.array_equal(np.asarray(newest_labels(review.results, review.name).dataobj), review.labels)
        (event,) = [e for e in client.store.events() if e.kind == "suggested"]
        assert (event.body["method"], event.body["clicks_model_sha256"]) == ("interactive model", "ab" * 32)
        assert not window.complaints


def test_a_model_that_fills_all_is_not_drawn_and_that_is_said(browser, tmp_path):
    package = write_filling(tmp_path / "filling", patch=(8, 8, 8))
    straight = next(one for one in phantoms() if one.name == "straight-00")
    scan = (np.random.default_rng(2).normal(0, 8, SHAPE) + 100 * (np.indices(SHAPE)[0] > 15)).astype(np.int16)
    none = Phantom(straight.name, scan, np.zeros(SHAPE, np.uint8), straight.affine, ())
    results, scans = write_results(tmp_path, [none])
    with serving(results, scans, "--clicks", str(package.folder)) as address:
        window = Window.open(browser.new_context(viewport=VIEW), address)
        window.go(f"case={straight.name}&voxel={','.join(map(str, CENTER))}", straight.name)
        window.wait(voxel=",".join(map(str, CENTER)))
        window.press("t", "4", *"[[[[[[[[[[[[[[[")
        click(window, 20, 27, "left")
        window.says("(random walker, scan; filling filled more than half of what it looked at)")
        with open_store(results) as store:
            (event,) = [e for e in store.events() if e.kind == "suggested"]
            assert (event.body["method"], event.body["clicks_model_sha256"]) == ("random walker", package.hash)
        assert not window.complaints
