"""What a reader does, from the worklist to the verdict, with mouse and with keys alone."""

import hashlib
import json
import re

import nibabel as nib
import numpy as np
import pytest
from review.browser.phantoms import Phantom, phantoms, write_results
from review.browser.served import Window, newest_labels, serving, until

from medseg.models.card_summary import summary
from medseg.models.package import load_package
from medseg.review.opening import open_store
from medseg.review.verdicts import REASONS
from medseg.types import LabelClass, LabelTable

VIEW = {"width": 1280, "height": 720}
CASES = phantoms()[:3]


@pytest.fixture
def review(browser, tmp_path):
    """A review of three cases, opened at the first; `review.store()` reads what was recorded."""
    results, scans = write_results(tmp_path, CASES)
    with serving(results, scans) as address:
        context = browser.new_context(viewport=VIEW)
        window = Window.open(context, address)
        window.context, window.results = context, results
        yield window
        assert not [line for line in window.complaints if "409" not in line]
        context.close()


def volumes(window: Window) -> list[str]:
    return window.page.eval_on_selector_all("#classes td.number", "(cells) => cells.map((cell) => cell.innerText)")


def middle(window: Window, plane: str = "axial") -> tuple[float, float]:
    box = window.canvas(plane)
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def stroke(window: Window, dx: float = 60, dy: float = 0, at: tuple[float, float] = (-60, -120)) -> None:
    x, y = middle(window)
    window.drag((x + at[0], y + at[1]), (x + at[0] + dx, y + at[1] + dy))


def test_the_first_case_opens_and_the_list_is_by_priority(review):
    assert review.state("case") == CASES[0].name
    assert review.state("revision") == "0"
    named = review.page.eval_on_selector_all("#cases button", "(all) => all.map((one) => one.dataset.case)")
    assert named == [case.name for case in CASES]
    assert review.page.inner_text("#progress-text") == "0 of 3 judged"


def test_drawing_changes_volumes_and_is_undone_and_redone(review):
    before = volumes(review)
    review.press("4")
    stroke(review)
    drawn = volumes(review)
    assert drawn[0] != before[0]
    assert "+" in drawn[0]
    assert review.state("dirty") == "1"
    review.press("z")
    until(lambda: volumes(review) == before)
    review.press("y")
    until(lambda: volumes(review) == drawn)
    review.press("m")
    until(lambda: volumes(review) == before)


def test_drafts_save_themselves_and_the_trail_shows_them(review):
    review.press("5")
    stroke(review)
    review.wait(dirty="0", revision="1")
    saved = np.asarray(newest_labels(review.results, CASES[0].name).dataobj)
    assert np.count_nonzero(saved == 2) > np.count_nonzero(CASES[0].labels == 2)


def test_lasso_limits_and_the_class_to_draw_over(review):
    """Only voxels between the limits are drawn; the bright mark stands out of noise of 40 to 49."""
    mark = CASES[0].marks[0]
    review.go(f"case={CASES[0].name}&voxel={','.join(map(str, mark))}&window=0,200", CASES[0].name)
    review.wait(voxel=",".join(map(str, mark)))
    low = review.page.get_by_label("Lowest value drawn on")
    low.fill("500")
    low.blur()
    review.press("r", "6")
    review.page.wait_for_timeout(100)
    review.press("r")
    x, y = middle(review)
    review.drag((x - 200, y - 150), (x + 200, y - 150), (x + 200, y + 150), (x - 200, y + 150), (x - 200, y - 148))
    review.save()
    saved = np.asarray(newest_labels(review.results, CASES[0].name).dataobj)
    drawn = (saved == 3) & (CASES[0].labels != 3)
    assert np.count_nonzero(drawn) == 9  # the mark's part of the slice
    assert (CASES[0].scan[drawn] == 1000).all()


def test_accept_is_about_the_labels_that_were_saved_just_before(review):
    review.press("4")
    stroke(review)
    review.press("s", "a")  # at once, one after the other
    review.ready(CASES[1].name)
    with open_store(review.results) as store:
        case = store.case(CASES[0].name)
        assert (case.state, case.verdict.revision, case.revision) == ("accepted", 1, 1)
        assert case.is_corrected
    assert review.page.inner_text("#progress-text") == "1 of 3 judged"


def test_whoever_goes_to_another_case_while_a_verdict_is_recorded_stays_there(review):
    held = []
    review.page.route("**/verdict", lambda route: held.append(route))
    review.press("a")
    review.page.wait_for_timeout(300)
    review.go(f"case={CASES[2].name}", CASES[2].name)
    held[0].continue_()
    until(lambda: review.page.inner_text("#progress-text") == "1 of 3 judged")
    review.page.wait_for_timeout(300)
    assert review.state("case") == CASES[2].name
    with open_store(review.results) as store:
        assert store.case(CASES[0].name).state == "accepted"


def test_accept_without_saving_saves_first(review):
    review.press("4")
    stroke(review)
    review.press("a")
    review.ready(CASES[1].name)
    with open_store(review.results) as store:
        assert store.case(CASES[0].name).verdict.revision == 1


def test_what_is_drawn_after_a_verdict_is_said_not_to_be_judged(review):
    review.press("a")
    review.ready(CASES[1].name)
    review.press("p")
    review.ready(CASES[0].name)
    review.press("4")
    stroke(review)
    review.save()
    until(lambda: "the labels were changed after this verdict" in review.page.inner_text("#verdict"))
    assert review.page.inner_text("#progress-text") == "0 of 3 judged"
    review.press("z")
    review.save()
    until(lambda: review.page.inner_text("#progress-text") == "1 of 3 judged")
    assert "changed" not in review.page.inner_text("#verdict")


def test_a_link_to_no_case_leaves_the_open_one_to_be_worked_on(review):
    review.page.evaluate("location.hash = 'case=nowhere'")
    review.says("There is no such case.")
    review.ready(CASES[0].name)
    assert review.page.evaluate("location.hash").startswith(f"#case={CASES[0].name}&")
    review.press("a")
    review.ready(CASES[1].name)
    review.complaints.clear()  # the browser's own line about the case that is not there


def test_reject_needs_a_reason_and_is_taken_back(review):
    review.press("x")
    review.page.wait_for_selector("#reject[open]")
    review.press("Escape")
    with open_store(review.results) as store:
        assert store.case(CASES[0].name).verdict is None
    review.press("x", "1")
    review.ready(CASES[1].name)
    with open_store(review.results) as store:
        given = store.case(CASES[0].name).verdict
        assert (given.kind, given.reason, given.revision) == ("reject", "boundary", 0)
    review.press("p")
    review.ready(CASES[0].name)
    assert "rejected (boundary)" in review.page.inner_text("#verdict")
    review.press("u")
    review.says("taken back")
    with open_store(review.results) as store:
        assert store.case(CASES[0].name).verdict is None


def test_a_comment_is_typed_where_the_reason_is_chosen(review):
    review.press("x")
    review.page.wait_for_selector("#reject[open]")
    review.press("c")
    review.page.keyboard.type("the 3 slices above")  # digits in it choose no reason
    review.press("Enter", "8")
    review.ready(CASES[1].name)
    with open_store(review.results) as store:
        given = store.case(CASES[0].name).verdict
        assert (given.kind, given.reason, given.comment) == ("reject", REASONS[7], "the 3 slices above")
    review.press("x")
    assert review.page.locator("#reject").get_by_label("Comment").input_value() == ""
    review.press("Escape")
    review.page.get_by_role("button", name="keys").click()
    assert "1 to 9" not in review.page.locator("#help").inner_text()


def states(window: Window) -> list[str]:
    return window.page.eval_on_selector_all("#cases .state", "(all) => all.map((one) => one.innerText)")


def test_the_worklist_says_at_once_whether_a_case_is_corrected(review):
    review.press("4")
    stroke(review)
    review.save()
    until(lambda: states(review)[0] == "open, corrected")
    review.press("m")
    review.save()
    until(lambda: states(review)[0] == "open")
    review.press("z")
    review.save()
    until(lambda: states(review)[0] == "open, corrected")
    review.press("z")
    review.save()
    until(lambda: states(review)[0] == "open")


def test_a_verdict_leads_to_the_next_open_case_from_the_last_to_the_first(review):
    review.go(f"case={CASES[2].name}", CASES[2].name)
    review.press("a")
    review.ready(CASES[0].name)
    review.press("n")
    review.ready(CASES[1].name)
    review.press("a")
    review.ready(CASES[0].name)  # the third is judged
    review.press("a")
    review.says("All 3 cases are judged.")


def test_a_list_without_a_case_says_why(review):
    review.page.locator("#filter").select_option("rejected")
    assert "None of 3 cases passes the filter “rejected”." in review.page.inner_text("#cases")
    review.page.locator("#filter").blur()
    review.press("n")
    review.says("None of 3 cases passes the filter")
    review.page.locator("#filter").select_option("open")
    review.page.locator("#search").fill(CASES[1].name)
    review.page.locator("#search").blur()
    review.press("a")
    review.ready(CASES[1].name)  # of those that are shown
    review.press("a")
    review.says("1 case is open, and hidden by the filter or the search.")


def test_a_message_of_the_server_begins_with_a_capital_letter(review):
    review.press("u")
    review.says("There is no verdict to take back.")
    review.complaints.clear()  # the browser's own line about the answer


def test_the_planes_stay_where_they_are_whatever_the_brush(review):
    before = review.canvas("axial")
    review.press("4", *"[[[[[[[[[[[[[[[")
    review.says("Brush: one voxel.")
    assert review.canvas("axial") == before
    review.press(*"]]]]]]]]]]]]]]]]]")
    assert review.canvas("axial") == before


def test_a_place_is_given_with_the_patients_sides(review):
    mark = CASES[0].marks[0]
    review.go(f"case={CASES[0].name}&voxel={','.join(map(str, mark))}", CASES[0].name)
    review.wait(voxel=",".join(map(str, mark)))
    world = (CASES[0].affine @ [*mark, 1])[:3]
    sides = [pair[int(mm < 0)] for pair, mm in zip(("RL", "AP", "SI"), world, strict=True)]
    place = " ".join(f"{side} {abs(mm):.1f}" for side, mm in zip(sides, world, strict=True))
    assert f"· {place} mm ·" in review.page.inner_text("#position")
    line = review.page.locator("#position")
    assert "RAS+" in line.get_attribute("title")
    assert line.evaluate("one => one.scrollWidth <= one.clientWidth"), "nothing of it is cut off"


def test_a_class_that_is_everywhere_is_redrawn_between_two_drawn_slices(browser, tmp_path):
    """The tutorial's way: draw on every fifth slice, press i between; what was there is replaced, in one step."""
    one = next(phantom for phantom in phantoms() if phantom.name == "straight-00")
    labels = np.zeros_like(one.labels)
    labels[4:10, 4:40] = 1  # on every slice
    results, scans = write_results(tmp_path, [Phantom(one.name, one.scan, labels, one.affine, one.marks)])
    with serving(results, scans) as address:
        window = Window.open(browser.new_context(viewport=VIEW), address)

        def go(z):
            window.go(f"case={one.name}&voxel=20,20,{z}", one.name)
            window.wait(voxel=f"20,20,{z}")

        go(12)
        window.press("4", "q", "i")
        window.says("Nothing to fill")
        for z in (10, 15):
            go(z)
            window.press("w")
            stroke(window, at=(-30, 0))
            until(lambda: not window.message())
        go(12)
        before = volumes(window)
        window.press("i")
        window.says("4 slices filled in the axial plane, between 11 and 16.")
        until(lambda: volumes(window) != before)
        window.save()
        saved = np.asarray(newest_labels(results, one.name).dataobj) == 1
        assert all(np.array_equal(saved[..., z], saved[..., 10]) for z in range(10, 16))
        assert np.count_nonzero(saved[..., 12]) > np.count_nonzero(labels[..., 12])
        assert all(np.array_equal(saved[..., z], labels[..., z] == 1) for z in (*range(10), *range(16, 28)))
        window.press("z")
        until(lambda: volumes(window) == before)
        assert not window.complaints


def test_two_windows_of_one_case_merge_nothing_and_lose_nothing(review):
    other = Window.open(review.context, review.address, f"case={CASES[0].name}")
    other.says("open in another window")
    review.page.bring_to_front()
    review.press("4")
    stroke(review)
    review.save()
    other.page.bring_to_front()
    other.press("5")
    stroke(other, at=(-60, 120))
    mine = volumes(other)
    other.press("s")
    other.says("Nothing was merged")
    assert other.state("dirty") == "1"
    assert volumes(other) == mine
    first = np.asarray(newest_labels(review.results, CASES[0].name).dataobj)
    other.page.get_by_role("button", name="Load theirs").click()
    other.wait(dirty="0", revision="1")
    other.says("The newest labels are loaded.")
    assert volumes(other) == volumes(review)
    other.press("z")
    until(lambda: volumes(other) == mine)
    other.save()
    assert other.state("revision") == "2"
    second = np.asarray(newest_labels(review.results, CASES[0].name).dataobj)
    assert np.count_nonzero(first == 1) > np.count_nonzero(CASES[0].labels == 1)
    assert np.array_equal(second == 1, CASES[0].labels == 1), "the other window's drawing is not in it"
    assert np.count_nonzero(second == 2) > np.count_nonzero(CASES[0].labels == 2)


def run_another_model(results, name: str) -> None:
    """Write other labels of a case, as `predict --overwrite` does."""
    file = results / name / "labels.nii.gz"
    image = nib.load(file)
    array = np.asanyarray(image.dataobj).copy()
    array[:2] = 2
    nib.save(nib.Nifti1Image(array, image.affine, image.header), file)
    status = json.loads((results / name / "status.json").read_text())
    status["outputs"]["labels.nii.gz"] = hashlib.sha256(file.read_bytes()).hexdigest()
    (results / name / "status.json").write_text(json.dumps(status))


def test_after_another_model_a_correction_is_shown_with_a_notice_and_m_leads_to_its_labels(review):
    name = CASES[0].name
    model = volumes(review)
    review.press("4")
    stroke(review)
    review.save()
    corrected = volumes(review)
    run_another_model(review.results, name)
    review.page.reload()
    review.ready(name)
    review.says("drawn before the model’s labels changed")
    assert [cell.split()[0] for cell in volumes(review)] == [cell.split()[0] for cell in corrected]
    review.press("m")
    until(lambda: volumes(review)[0].split()[0] == model[0].split()[0])
    assert volumes(review)[1].split()[0] != model[1].split()[0]
    review.save()
    with open_store(review.results) as store:
        assert not store.case(name).is_corrected


def test_what_is_drawn_while_the_model_changes_is_not_saved_over_labels_that_nobody_saw(review):
    name = CASES[0].name
    run_another_model(review.results, name)
    review.press("4")
    stroke(review)
    drawn = volumes(review)
    review.press("s")
    review.says("The model’s labels changed while this case was open")
    with open_store(review.results) as store:
        assert store.case(name).revision == 0
    review.page.click("text=Save mine as the newest")
    review.wait(revision="1", ready="1", dirty="0")
    assert volumes(review)[0].split()[0] == drawn[0].split()[0]
    assert volumes(review)[1] != drawn[1]  # its change is against the labels that the model makes now


def test_a_conflict_can_be_settled_in_favor_of_what_is_drawn_here(review):
    other = Window.open(review.context, review.address, f"case={CASES[0].name}")
    for window, pen in ((review, "4"), (other, "5")):
        window.page.bring_to_front()
        window.press(pen)
        stroke(window)
        window.press("s")
    other.says("Nothing was merged")
    mine = volumes(other)
    other.page.get_by_role("button", name="Save mine").click()
    other.wait(dirty="0", revision="2")
    assert volumes(other) == mine
    with open_store(review.results) as store:
        assert [one.base for one in store.case(CASES[0].name).revisions] == [0, 1]


def test_everything_works_without_a_mouse(review):
    page = review.page
    page.focus("canvas[data-plane=axial]")
    start = [int(i) for i in review.state("voxel").split(",")]
    review.press("ArrowUp", "ArrowUp", "Shift+ArrowLeft", "Shift+ArrowDown")
    until(lambda: [int(i) for i in review.state("voxel").split(",")] != start)
    moved = [abs(a - int(b)) for a, b in zip(start, review.state("voxel").split(","), strict=True)]
    assert sorted(moved) == [1, 1, 2]
    voxel = tuple(int(i) for i in review.state("voxel").split(","))
    review.press("6", *"[[[[[[[[[[[[[[[", "Enter")
    review.save()
    saved = np.asarray(newest_labels(review.results, CASES[0].name).dataobj)
    assert np.argwhere(saved != CASES[0].labels).tolist() == [list(voxel)]
    assert saved[voxel] == 3
    review.press("/")
    page.keyboard.type(CASES[2].name)
    until(lambda: page.locator("#cases button").count() == 1)
    page.focus("#cases button")
    review.press("Enter")
    review.ready(CASES[2].name)


def test_the_pages_parts_have_names_for_a_screen_reader(review):
    unnamed = review.page.evaluate("""() => [...document.querySelectorAll('button, input, select, textarea, canvas')]
      .filter((one) => !(one.innerText || one.ariaLabel || one.labels?.length || one.getAttribute('aria-labelledby')))
      .map((one) => one.outerHTML)""")
    assert not unnamed
    label = review.page.get_attribute("canvas[data-plane=axial]", "aria-label")
    assert re.fullmatch(r"axial plane, slice \d+ of 28, .+", label)


def test_a_case_that_opens_is_said_and_the_keyboard_goes_on_in_its_planes(review):
    page = review.page
    page.focus(f"#cases [data-case={CASES[1].name}]")
    review.press("Enter")
    review.ready(CASES[1].name)
    assert review.message() == f"{CASES[1].name}: open."
    assert page.get_attribute("#message", "role") == page.get_attribute("#progress-text", "role") == "status"
    assert page.evaluate("document.activeElement.dataset.plane") == "axial"
    review.press("4", "Enter")
    review.wait(dirty="1")
    page.focus(f"#cases [data-case={CASES[2].name}]")  # whoever walks through the list stays there when it is saved
    review.save()
    until(lambda: "corrected" in page.inner_text(f"#cases [data-case={CASES[1].name}]"))
    assert page.evaluate("document.activeElement.dataset.case") == CASES[2].name


def test_the_headers_of_the_classes_have_names(review):
    assert all(text.strip() for text in review.page.locator("#classes th").all_inner_texts())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows_at_1280_by_720_and_text_has_contrast(browser, tmp_path, scheme):
    results, scans = write_results(
        tmp_path, CASES, warnings=["class 1 touches the border of the scan, and is cut there."]
    )
    with serving(results, scans) as address:
        window = Window.open(browser.new_context(viewport=VIEW, color_scheme=scheme), address)
        page = window.page
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
        assert page.evaluate("document.documentElement.scrollHeight") <= 720
        for name in ("accept", "reject"):
            box = page.locator(f"#verdict button.{name}").bounding_box()
            assert box["x"] + box["width"] <= 1280
            assert box["y"] + box["height"] <= 720
        assert not page.evaluate(CUT_OFF)
        assert page.locator("aside").get_by_text("touches the border of the scan, and is cut there.").is_visible()
        low = page.evaluate(CONTRAST)
        assert not low


def test_what_a_reader_must_know_is_on_one_screen(browser, tmp_path):
    """A model of four classes, six warnings, eight notes, and a trail: nothing is behind the edge of the screen."""
    table = LabelTable(tuple(LabelClass(n, f"class {n}", color=(40 * n, 200, 90)) for n in (1, 2, 3, 4)))
    warnings = [f"class {n % 4 + 1} touches the border of the scan, and is cut there." for n in range(6)]
    notes = [f"The scan's voxels are {n} mm long, which is brought to 1 mm and back." for n in range(8)]
    results, scans = write_results(tmp_path, CASES[:1], table, warnings=warnings, notes=notes)
    card = summary(load_package("hippocampus").card)
    dice = {entry.name: 0.9 for entry in table}
    (results / "run.json").write_text(json.dumps({"models": [{**card, "dice": dice}]}))
    with open_store(results, create=True) as store:
        for kind in ("accept", "take_back") * 4:
            store.verdict(CASES[0].name, kind=kind, revision=0, who="A reader with a long name")
    with serving(results, scans) as address:
        page = Window.open(browser.new_context(viewport=VIEW), address).page
        for part in ("#classes table", "#verdict button.accept", "#verdict button.reject"):
            box = page.locator(part).bounding_box()
            assert box["y"] + box["height"] <= 720, part
        page.get_by_role("button", name="all", exact=True).last.click()
        dialog = page.locator("#card")
        for text in (card["title"], *card["limits"], "class 4 0.900", *warnings, *notes, "accepted"):
            box = dialog.get_by_text(text).first.bounding_box()
            assert 0 <= box["y"] <= box["y"] + box["height"] <= 720, text
        assert dialog.evaluate("dialog => dialog.scrollHeight <= dialog.clientHeight")


# What is cut off at the edge of its box, and says all of it neither there nor under the mouse.
CUT_OFF = """() => [...document.querySelectorAll('nav *, main *, aside *')]
  .filter((one) => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1
    && getComputedStyle(one).overflowX === 'hidden' && !one.closest('[title]'))
  .map((one) => one.textContent)"""


# WCAG's contrast of text with what is behind it: 4.5 for text of this size.
CONTRAST = """() => {
  const numbers = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number)
  const channel = (c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4)
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b)
  const behind = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const color = numbers(getComputedStyle(at).backgroundColor)
      if (color.length && color[3] !== 0) return color
    }
    return [255, 255, 255]
  }
  return [...document.querySelectorAll('body *')]
    .filter((one) => one.checkVisibility() && !one.disabled)
    .filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .map((one) => {
      const [a, b] = [light(numbers(getComputedStyle(one).color)), light(behind(one))].sort((x, y) => y - x)
      return [one.textContent.slice(0, 30), (a + 0.05) / (b + 0.05)]
    })
    .filter(([, contrast]) => contrast < 4.5)
}"""


def test_label_values_beyond_a_byte_survive(browser, tmp_path):
    """Classes 1, 300 and 65535; one voxel of each is drawn, and all others stay as they were."""
    one = CASES[0]
    values = np.array([0, 1, 300, 65535], np.uint16)
    wide = Phantom(one.name, one.scan, values[one.labels], one.affine, one.marks)
    table = LabelTable(tuple(LabelClass(int(v), f"class {v}", color=(200, v % 200, 40)) for v in values[1:]))
    results, scans = write_results(tmp_path, [wide], table)
    with serving(results, scans) as address:
        window = Window.open(browser.new_context(viewport=VIEW), address)
        expected = wide.labels.copy()
        for key, mark, value in zip("456", wide.marks, values[1:], strict=True):
            window.go(f"case={one.name}&voxel={','.join(map(str, mark))}", one.name)
            window.wait(voxel=",".join(map(str, mark)))
            window.press(key, *"[[[[[[[[[[[[[[[", "Enter")
            expected[mark] = value
        window.save()
        saved = newest_labels(results, one.name)
        assert np.array_equal(np.asarray(saved.dataobj), expected)
        assert saved.get_data_dtype() == np.uint16
        window.page.reload()
        window.ready()
        assert volumes(window)[2] != "0 ml"


def test_a_server_that_stops_loses_nothing_that_is_drawn(browser, tmp_path):
    results, scans = write_results(tmp_path, CASES[:1])
    with serving(results, scans) as address:
        window = Window.open(browser.new_context(viewport=VIEW), address)
    window.press("4")
    stroke(window)
    mine = volumes(window)
    window.press("s")
    window.says("does not answer")
    assert window.state("dirty") == "1"
    assert volumes(window) == mine


def test_hurrying_through_cases_shows_each_ones_own_values(review):
    """Memory of one case is used again for the next; nothing of the one before may be left in it."""
    for keys in ("nn", "pp", "npn", "np"):
        review.press(*keys)
        review.page.wait_for_timeout(300)
        review.ready()
        case = next(one for one in CASES if one.name == review.state("case"))
        for mark in (*case.marks, (3, 3, 3)):
            review.go(f"case={case.name}&voxel={','.join(map(str, mark))}", case.name)
            review.wait(voxel=",".join(map(str, mark)))
            assert f"value {case.scan[mark]} ·" in review.page.inner_text("#position")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_save_then_accept_at_once_records_the_corrected_labels_every_time(review):
    for count in range(100):
        review.press(
            "e" if count % 2 else "4"
        )  # what is drawn is erased next time, so that each stroke changes something
        stroke(review)
        review.press("s", "a")
        review.ready(CASES[1].name)
        with open_store(review.results) as store:
            case = store.case(CASES[0].name)
            assert (case.state, case.verdict.revision, case.revision) == ("accepted", count + 1, count + 1)
        review.press("p")
        review.ready(CASES[0].name)
