"""Clicks on a scan, answered by a network that sees what is bright."""

import numpy as np
import pytest
from clicks_package import bright_model

from medseg.errors import ModelError
from medseg.infer.clicks.interaction import Interaction
from medseg.infer.clicks.model import ClickModel
from medseg.infer.clicks.session import ClickSession, Present, corrected, hanging_together
from medseg.infer.options import InferOptions
from medseg.models.package import load_package
from medseg.types import Geometry, Scan
from medseg.types.axis_order import nearest_ras

SHAPE = (60, 50, 40)
TURNED = np.array([[0.0, -1.5, 0.0, 30.0], [1.0, 0.0, 0.0, -20.0], [0.0, 0.0, -2.0, 10.0], [0.0, 0.0, 0.0, 1.0]])


def balls(*places, affine=None, shape=SHAPE):
    """A scan with bright balls, and the mask of each."""
    grid = np.indices(shape)
    masks = [((grid - np.reshape(center, (3, 1, 1, 1))) ** 2).sum(axis=0) <= r**2 for center, r in places]
    array = np.any(masks, axis=0).astype(np.float32)
    return Scan(array[None], Geometry(np.eye(4) if affine is None else affine, shape), "MR"), masks


def test_a_click_finds_what_hangs_together_with_it_and_leaves_the_rest():
    scan, (near, far) = balls(((30, 25, 20), 4), ((38, 25, 20), 2))
    session = ClickSession(bright_model((24, 16, 16)), scan)
    present = np.zeros(SHAPE, bool)
    present[30, 31, 20] = True  # drawn earlier, and by the network wrong: no click says so, so it stays
    answer = session.answer(Present((0, 0, 0), present), [Interaction(np.array([[30, 25, 20]]))])
    whole = np.zeros(SHAPE, bool)
    whole[answer.box.slices] = answer.is_class
    assert far[answer.box.slices].any()
    assert np.array_equal(whole, near | present)
    assert answer.zoom == 1


def test_the_network_sees_the_mask_and_the_clicks_where_they_are():
    scan, (ball,) = balls(((30, 25, 20), 4))
    model = bright_model()
    clicks = [Interaction(np.array([[30, 25, 20]])), Interaction(np.array([[35, 25, 20]]), is_outside=True)]
    ClickSession(model, scan).answer(Present((20, 20, 10), ball[20:45, 20:45, 10:35]), clicks)
    shown = model.engine.shown[0]
    assert np.array_equal(shown[1], shown[0])  # the mask is the ball
    (inside,) = np.argwhere(shown[2] == shown[2].max())
    (outside,) = np.argwhere(shown[3] == 1)
    assert (outside - inside).tolist() == [5, 0, 0]
    assert shown[2].max() == pytest.approx(0.9)


@pytest.mark.parametrize("spacing", [None, [1.0, 1.0, 1.0]])
def test_the_answer_lies_right_on_a_turned_grid_of_other_spacing(spacing):
    scan, (ball,) = balls(((30, 25, 20), 5), affine=TURNED)
    order = nearest_ras(scan.geometry)
    session = ClickSession(bright_model(spacing=spacing), scan, order.geometry(scan.geometry))
    truth = order.apply(ball)
    center = np.argwhere(truth).mean(axis=0).round().astype(int)
    answer = session.answer(Present((0, 0, 0), np.zeros(truth.shape, bool)), [Interaction(center[None])])
    whole = np.zeros(truth.shape, bool)
    whole[answer.box.slices] = answer.is_class
    assert 2 * (whole & truth).sum() / (whole.sum() + truth.sum()) > (0.999 if spacing is None else 0.9)


def test_what_reaches_beyond_a_patch_is_looked_at_from_farther():
    scan, (ball,) = balls(((30, 25, 20), 14))
    model = bright_model()
    answer = ClickSession(model, scan).answer(
        Present((0, 0, 0), np.zeros(SHAPE, bool)), [Interaction(np.array([[30, 25, 20]]))]
    )
    whole = np.zeros(SHAPE, bool)
    whole[answer.box.slices] = answer.is_class
    assert answer.zoom == 2
    assert len(model.engine.shown) == 2
    assert 2 * (whole & ball).sum() / (whole.sum() + ball.sum()) > 0.95


def test_a_scan_smaller_than_the_patch_is_answered_whole():
    scan, (ball,) = balls(((6, 5, 4), 3), shape=(12, 10, 8))
    answer = ClickSession(bright_model(), scan).answer(
        Present((0, 0, 0), np.zeros((12, 10, 8), bool)), [Interaction(np.array([[6, 5, 4]]))]
    )
    assert answer.box.shape == (12, 10, 8)
    assert np.array_equal(answer.is_class, ball)


def test_changes_that_touch_no_mark_are_not_made():
    before, after = np.zeros((9, 9, 9), bool), np.zeros((9, 9, 9), bool)
    before[0:2] = True
    after[4:6, 4:6, 4:6] = True
    assert np.array_equal(hanging_together(before, after, [np.array([[3, 3, 3]])]), before | after)
    assert np.array_equal(hanging_together(before, after, [np.array([[8, 8, 8]])]), before)


def test_a_click_leaves_what_an_older_one_settled_and_makes_up_for_one_without_an_answer():
    scan, (first, second) = balls(((10, 12, 10), 5), ((24, 12, 10), 5))
    session = ClickSession(bright_model((48, 24, 24)), scan)
    marks = [Interaction(np.array([[10, 12, 10]])), Interaction(np.array([[24, 12, 10]]))]
    cut_off = first.copy()
    cut_off[:, :12] = False  # after the first click the reader erased a part of it, up to the mark

    def drawn(present):
        answer, whole = session.answer(Present((0, 0, 0), present), marks), present.copy()
        whole[answer.box.slices] = answer.is_class
        return whole

    assert np.array_equal(drawn(cut_off), cut_off | second)
    assert np.array_equal(drawn(np.zeros(first.shape, bool)), first | second)


def test_a_mark_that_belongs_only_adds_and_one_that_does_not_only_takes_away():
    before, network = np.zeros((9, 9, 9), bool), np.zeros((9, 9, 9), bool)
    before[1:5, 4, 4], network[3:8, 4, 4] = True, True
    inside, outside = Interaction(np.array([[5, 4, 4]])), Interaction(np.array([[2, 4, 4]]), True)
    assert np.array_equal(corrected(before, network, [inside], (0, 0, 0)), before | network)
    assert np.array_equal(corrected(before, network, [outside], (0, 0, 0)), before & network)
    # An older mark that nothing answered is made up for, each by what is of its kind.
    assert np.array_equal(corrected(before, network, [outside, inside], (0, 0, 0)), network)
    settled = Interaction(np.array([[8, 8, 8]]), True)
    assert np.array_equal(corrected(before, network, [settled, inside], (0, 0, 0)), before | network)


@pytest.mark.parametrize("is_outside", [False, True])
def test_a_click_gives_up_nothing_that_was_not_asked_for(is_outside):
    """The network would move a ball by three voxels: a click that belongs only adds, one that does not only takes."""
    scan, (ball,) = balls(((33, 25, 20), 5))
    present = np.roll(ball, -3, axis=0)
    place = [[25, 25, 20]] if is_outside else [[38, 25, 20]]
    session = ClickSession(bright_model((24, 24, 24)), scan)
    answer = session.answer(Present((0, 0, 0), present), [Interaction(np.array(place), is_outside)])
    after = present.copy()
    after[answer.box.slices] = answer.is_class
    assert np.array_equal(after, present & ball if is_outside else present | ball)
    assert not np.array_equal(after, present)


def test_an_automatic_model_takes_no_clicks():
    with pytest.raises(ModelError, match="takes no clicks"):
        ClickModel(load_package("hippocampus"), InferOptions())
