"""The click tool: what the page makes of a suggestion, and a reader who clicks in a noisy ball."""

import re

import numpy as np
import pytest
from clicks_package import bright_model, write_filling
from review.browser.phantoms import SHAPE, Phantom, phantoms, write_results
from review.browser.served import Window, newest_labels, serving, until
from review.browser.test_modules import SETUP, blobs, edited, flat
from review_server import KEY
from review_server import serving as clicks_served

from medseg.review.opening import open_store
from medseg.review.server.click_answers import ByModel
from medseg.review.server.suggestions import runs_of

VIEW = {"width": 1280, "height": 720}
CENTER, RADIUS_MM = (19, 25, 14), 11
SPACING = np.array([1.0, 1.3, 2.2])
LOW, SIZE = (2, 1, 1), (6, 5, 4)
BOX = np.s_[2:8, 1:6, 1:5]
ANSWER = """
    const { Rules } = await at('rules.js')
    const rules = new Rules({})
    rules.overByClicks = given.over
    given.locked.forEach((pen) => rules.locked.add(pen))
    const belongs = (index) => labels.pens[index] === given.pen
    const box = { low: given.low, size: given.size }
    const present = m.presentRuns(labels, box, belongs).runs
    const drawn = new Set()
    const edit = new Edit(labels, rules.ofAnswers())
    const result = m.applyAnswer(edit, labels, { box, runs: given.runs }, given.pen, belongs, drawn)
    return [[...labels.pens], { ...result, present, drawn: drawn.size }]
"""


@pytest.mark.parametrize(("over", "locked"), [(None, []), (0, []), (2, []), (None, [2]), (None, [1])])
def test_an_answer_replaces_the_class_in_its_box_and_others_where_it_may_and_counts_them(logic, over, locked):
    before, pen = blobs(4), 1
    mask = blobs(8)[BOX] == 1
    grown, inside = np.zeros(before.shape, bool), np.zeros(before.shape, bool)
    grown[BOX], inside[BOX] = mask, True
    may = np.isin(before, [n for n in range(4) if over in (None, n) and n not in locked]) & (pen not in locked)
    added = grown & (before != pen) & may
    removed = inside & ~grown & (before == pen) & (pen not in locked)
    expected = np.where(added, pen, np.where(removed, 0, before))
    given = {"low": LOW, "size": SIZE, "runs": runs_of(mask), "pen": pen, "over": over, "locked": locked}
    given |= {"pens": flat(before), "dims": before.shape}
    after, result = logic.module("tools/suggestion.js", SETUP + ANSWER, given)
    assert after == flat(expected)
    assert result.pop("present") == runs_of(before[BOX] == pen)
    counts = {
        "added": added,
        "removed": removed,
        "taken": added & (before > 0),
        "drawn": added,
    }
    held = grown & (before != pen) & ~added
    is_locked = np.isin(before, locked) | (pen in locked)
    by_rule = {"Lock": held & is_locked, "others": held & ~is_locked & (before > 0)}
    by_rule["draw over"] = held & ~is_locked & (before == 0)
    assert result.pop("held") == {name: int(voxels.sum()) for name, voxels in by_rule.items() if voxels.any()}
    assert result == {name: int(voxels.sum()) for name, voxels in counts.items()}


MARKS = """
    const { Mark, Round, marked } = m
    const brush = new Brush([1, 1, 1])
    brush.set(5)
    const round = new Round(labels, 1, { value: 1, name: 'one' })
    const marks = given.ways.map(([isOutside, ...way]) => {
      const done = (mark) => round.marks.push(mark)
      const mark = new Mark(round, { brush, spacing: [1, 1, 1] }, PLANES[0], isOutside, done)
      for (const voxel of way) mark.to(voxel)
      mark.end()
      return mark
    })
    return [marks.map((mark) => mark.voxels), marked(round.marks)]
"""


def test_a_click_marks_one_voxel_of_whatever_brush_and_a_stroke_all_under_it(logic):
    ways = [[False, [4, 4, 3]], [False, [4, 4, 3], [4, 4, 3]], [True, [3, 4, 3], [5, 4, 3]], [False]]
    _, (marks, (inside, outside)) = edited(logic, "tools/marks.js", MARKS, blobs(4), ways=ways)
    disc = {(u, v) for u in range(-2, 3) for v in range(-2, 3) if np.hypot(u, v) <= 2.5}
    stroke = {(x + u, 4 + v, 3) for x in (3, 4, 5) for u, v in disc}
    assert marks[:2] == [[[4, 4, 3]]] * 2
    assert {*map(tuple, marks[2])} == stroke
    assert marks[2][0] == [3, 4, 3]
    assert (inside, len(outside)) == ([], len(stroke)), "the newest mark of a voxel counts"


@pytest.fixture
def review(browser, tmp_path):
    """A bright ball in noise; the scan's first class is nowhere, the second lies over a part of the ball."""
    straight = next(one for one in phantoms() if one.name == "straight-00")
    away = (np.indices(SHAPE) - np.reshape(CENTER, (3, 1, 1, 1))) * SPACING.reshape(3, 1, 1, 1)
    ball = np.sqrt((away**2).sum(axis=0)) < RADIUS_MM
    scan = (40 + 60 * ball + np.random.default_rng(2).normal(0, 8, SHAPE)).astype(np.int16)
    labels = np.zeros(SHAPE, np.uint8)
    labels[26:36, 20:30, 12:17] = 2
    other = next(one for one in phantoms() if one.name == "straight-01")
    results, scans = write_results(tmp_path, [Phantom(straight.name, scan, labels, straight.affine, ()), other])
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


def drawn(window):
    """Save; the labels as the store has them."""
    window.save()
    return np.asarray(newest_labels(window.results, window.name).dataobj)


def test_a_click_in_and_a_click_out_give_the_ball_a_step_each(review):
    review.press("t", "4")
    assert review.page.get_attribute("button[data-tool=click]", "aria-pressed") == "true"
    click(review, 20, 27, "right")
    review.says("Now mark what does belong to class 1")
    review.press("q", "t")  # marks are gone with the tool
    click(review, 20, 27, "left")
    assert "No interactive model: a random walker answers" in review.page.inner_text("#hint")
    review.says("(random walker, scan)")
    first = drawn(review)
    click(review, 4, 25, "right")
    with open_store(review.results) as store:
        asked = lambda: [(e.body["inside"], e.body["outside"]) for e in store.events() if e.kind == "suggested"]  # noqa: E731
        until(lambda: asked() == [(1, 0), (1, 1)])  # of whatever brush, a click is one voxel
    review.says("(random walker, scan)")
    found = drawn(review)
    free = review.ball & (review.labels == 0)
    assert 2 * ((found == 1) & free).sum() / ((found == 1).sum() + free.sum()) > 0.9
    assert np.array_equal(found == 2, review.labels == 2), "no voxel of another class is drawn over"
    review.press("q", "t")
    click(review, 3, 3, "right")
    review.says("Nothing is marked as belonging to the class")
    (complaint,) = review.complaints
    assert "422" in complaint, "the browser notes the refusal, and nothing else"
    review.complaints.clear()
    review.press("z")
    review.says("The mark that changed nothing was taken back")
    review.press("z")
    assert np.array_equal(drawn(review), first)
    review.press("z", "z", "q")
    assert review.page.locator("#hint").is_hidden()
    assert np.array_equal(drawn(review), review.labels)
    review.page.reload()
    review.ready()
    trail = review.page.text_content("#about")
    assert "asked the random walker for class 1: 1 voxels marked inside, 1 outside" in trail
    assert "marked without an answer for class 1: 0 voxels marked inside, 1 outside" in trail
    with open_store(review.results) as store:
        assert store.verify() == ()


@pytest.fixture
def clicked(browser, review):
    """The same case with a model for which all that is bright belongs, class 1 in hand."""
    model = ByModel(bright_model((24, 24, 24), threshold=70.0))
    with clicks_served(review.results, clicks=model, scans=review.results.parent / "scans") as client:
        window = Window.open(browser.new_context(viewport=VIEW), f"{client.at}/?key={KEY}")
        for name in ("results", "name", "ball", "labels"):
            setattr(window, name, getattr(review, name))
        window.client = client
        window.go(f"case={review.name}&voxel={','.join(map(str, CENTER))}", review.name)
        window.wait(voxel=",".join(map(str, CENTER)))
        window.press("t", "4")
        yield window
        assert not window.complaints


@pytest.fixture
def held(clicked):
    """Requests for answers, until they are let go."""
    waiting = []
    clicked.page.route("**/suggest", lambda route: waiting.append(route))
    return waiting


def asked_for(clicked):
    return [event.body for event in clicked.client.store.events() if event.kind == "suggested"]


def test_draw_over_holds_for_what_a_click_may_take_and_what_is_left_is_said(clicked):
    assert clicked.page.input_value("label:has-text('draw over') select") == "0"
    click(clicked, 20, 27, "left")
    clicked.says("left to other classes (bright)")
    left = int(re.search(r"(\d+) left to other classes", clicked.message())[1])
    assert np.array_equal(drawn(clicked) == 2, clicked.labels == 2)
    clicked.press("z")
    clicked.page.select_option("label:has-text('draw over') select", label="anything")
    click(clicked, 20, 27, "left")
    clicked.says("of them taken from other classes (bright)")
    assert f"{left} of them taken" in clicked.message()
    found = drawn(clicked)
    assert np.count_nonzero(found == 2) == np.count_nonzero(clicked.labels == 2) - left
    assert not (found[clicked.ball] == 2)[(clicked.labels[clicked.ball] == 2)].all()
    clicked.press("w")
    assert clicked.page.input_value("label:has-text('draw over') select") == "", "the pen has a choice of its own"
    clicked.press("z")
    assert np.array_equal(drawn(clicked), clicked.labels)


def test_which_rule_held_an_answer_back_is_said(clicked):
    clicked.page.locator(".field:has-text('values') input").first.fill("100000")
    clicked.page.keyboard.press("Tab")
    click(clicked, 20, 27, "left")
    clicked.says("nothing changed")
    assert re.search(r"\d+ held back by values", clicked.message())
    assert clicked.state("dirty") == "0"


def test_a_click_that_changes_nothing_is_said_and_undone_by_itself(clicked):
    click(clicked, 20, 27, "left")
    clicked.says("class 1: +")
    first = drawn(clicked)
    click(clicked, 20, 26, "left")
    clicked.says("class 1: nothing changed (bright)")
    assert len(asked_for(clicked)) == 2
    clicked.press("z")
    clicked.says("The mark that changed nothing was taken back")
    assert clicked.state("dirty") == "0"
    clicked.press("y")
    clicked.says("The mark that changes nothing is back")
    clicked.press("z", "z")
    assert np.array_equal(drawn(clicked), clicked.labels), "the step before is undone by the second z"
    clicked.press("y")
    assert np.array_equal(drawn(clicked), first)


def test_fast_clicks_are_answered_in_turn_each_a_step(clicked, held):
    click(clicked, 20, 27, "left")
    click(clicked, 32, 24, "right")
    until(lambda: clicked.page.wait_for_timeout(20) or len(held) == 1)
    held.pop().continue_()
    until(lambda: clicked.page.wait_for_timeout(20) or len(held) == 1)
    held.pop().continue_()
    clicked.says("class 1: nothing changed")
    assert [(body["inside"], body["outside"]) for body in asked_for(clicked)] == [(1, 0), (1, 1)]
    clicked.press("z")
    assert (drawn(clicked) == 1).any()
    clicked.press("z")
    assert np.array_equal(drawn(clicked), clicked.labels)


def test_keys_while_an_answer_is_on_its_way_do_not_lead_it_astray(clicked, held):
    """It is of the class and the case that were asked for, and nothing is judged before it is seen."""
    click(clicked, 20, 27, "left")
    until(lambda: clicked.page.wait_for_timeout(20) or len(held) == 1)
    for key in ("a", "u", "n"):
        clicked.press("o", "y")
        clicked.says("Wait for it, then redo")
        clicked.press(key)
        clicked.says("The answer to your mark is on its way. Look at it first")
    assert clicked.state("case") == clicked.name
    clicked.press("5", "w")
    held.pop().continue_()
    clicked.says("class 1: +")
    found = drawn(clicked)
    assert (found == 1).any()
    assert np.array_equal(found == 2, clicked.labels == 2)
    assert not [event for event in clicked.client.store.events() if event.kind in ("accept", "take_back")]
    clicked.press("t", "4")
    click(clicked, 20, 26, "left")
    until(lambda: clicked.page.wait_for_timeout(20) or len(held) == 1)
    clicked.press("z")
    clicked.says("taken back before its answer came")
    assert np.array_equal(drawn(clicked), found), "what was drawn before stays"
    clicked.press("z")
    assert np.array_equal(drawn(clicked), clicked.labels)


def test_who_draws_while_an_answer_is_on_its_way_keeps_that_and_is_told(clicked, held):
    click(clicked, 20, 27, "left")
    until(lambda: clicked.page.wait_for_timeout(20) or len(held) == 1)
    clicked.press("w")
    click(clicked, 4, 4, "left")
    expected = drawn(clicked)
    assert (expected == 1).any()
    held.pop().continue_()
    clicked.says("You drew meanwhile, so the answer was not used")
    assert np.array_equal(drawn(clicked), expected)


@pytest.mark.parametrize("key", ["t", "w"])
def test_a_locked_class_says_so(clicked, key):
    clicked.press(key)
    clicked.page.check("input[aria-label='Lock class 1']")
    click(clicked, 20, 27, "left")
    clicked.says("class 1 is locked, so nothing is drawn")
    assert clicked.state("dirty") == "0"
    assert not asked_for(clicked)


def test_where_the_scan_is_missing_the_hint_says_so(browser, review):
    for file in (review.results.parent / "scans").iterdir():
        file.unlink()
    with serving(review.results, review.results.parent / "scans") as address:
        page = browser.new_context(viewport=VIEW).new_page()
        page.goto(address)
        page.locator("#message.bad").wait_for()
        page.keyboard.press("t")
        hint = page.inner_text("#hint")
        assert hint.startswith("No case is open, so nothing can be marked. ")
        assert page.inner_text("#message") in hint
        assert "scan" in page.inner_text("#message")
        assert "interactive model" not in hint


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
        assert "The interactive model bright answers" in window.page.inner_text("#hint")
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
