"""A third person settles two readings in the page: both outlines are seen, either is taken by a key."""

import numpy as np
import pytest
from review.browser.phantoms import phantoms, write_results
from review.browser.served import Window, serving

from medseg.review.opening import open_store
from medseg.types import LabelMap

VIEW = {"width": 1280, "height": 720}
COLORS = {"A": (0x56, 0xB4, 0xE9), "B": (0xFF, 0x9F, 0x1C)}
COUNT = """([red, green, blue]) => [...document.querySelectorAll('canvas[data-plane]')].map((canvas) => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
  let count = 0
  for (let i = 0; i < data.length; i += 4)
    if (Math.abs(data[i] - red) < 30 && Math.abs(data[i + 1] - green) < 30 && Math.abs(data[i + 2] - blue) < 30) count++
  return count
})"""


@pytest.fixture
def settled(browser, tmp_path, request):
    """Two cases read by Ada and Bob, who may have rejected them, open before a third person."""
    results, scans = write_results(tmp_path, phantoms()[:2])
    rejects = getattr(request, "param", False)
    with open_store(results, create=True, scans=[scans]) as store:
        for who, shift in (("Ada", 1), ("Bob", -2)):
            for case in store.cases():
                if rejects and who == "Bob":
                    store.verdict(case, kind="reject", revision=0, who=who, reader=who, reason="bad scan")
                    continue
                model = store.model_labels(case)
                labels = LabelMap(np.roll(model.array, shift, axis=0), model.geometry, model.table)
                saved = store.save_labels(case, labels, who=who, expected=0, origin="test", reader=who)
                store.verdict(case, kind="accept", revision=saved.number, who=who, reader=who)
    with serving(results, scans, "--adjudicate", "Ada", "--adjudicate", "Bob") as address:
        context = browser.new_context(viewport=VIEW)
        window = Window.open(context, address)
        window.results = results
        yield window
        assert not window.complaints
        context.close()


def test_both_outlines_are_drawn_and_either_reading_is_taken(settled):
    panel = settled.page.inner_text("#readings")
    assert "A: solid, corrected" in panel
    assert "B: dashed, corrected" in panel
    assert not {"Ada", "Bob"} & set(settled.page.inner_text("body").split())
    for color in COLORS.values():
        assert all(count > 5 for count in settled.page.evaluate(COUNT, list(color)))
    case = settled.state("case")
    for key in ("f", "j"):
        settled.press(key)
        settled.wait(dirty="1")
        settled.save()
    settled.press("z")
    settled.wait(dirty="1")
    settled.save()
    settled.press("a")
    settled.page.wait_for_selector(f'body[data-ready="1"]:not([data-case="{case}"])')
    with open_store(settled.results) as store:
        own = store.case(case, "reader")
        taken = [store.labels(case, one.number).array for one in own.revisions]
        read = [store.labels(case, reader=who).array for who in ("Ada", "Bob")]
        assert len(taken) == 3
        assert {any(np.array_equal(one, other) for other in read) for one in taken} == {True}
        assert not np.array_equal(taken[0], taken[1])
        assert np.array_equal(taken[0], taken[2])
        assert own.verdict.revision == own.newest.number


@pytest.mark.parametrize("settled", [True], indirect=True)
def test_no_labels_are_taken_of_a_reading_that_rejected_the_case(settled):
    rejecting = "fj"["B: dashed, rejected" in settled.page.inner_text("#readings")]
    volumes = settled.page.inner_text("#classes")
    settled.press(rejecting)
    settled.says("rejected the case and has no labels to take. Press x to reject it too.")
    assert settled.state("dirty") == "0"
    assert settled.page.inner_text("#classes") == volumes


def test_without_two_readings_there_is_no_panel(logic):
    assert not logic.page.is_visible("#readings")
