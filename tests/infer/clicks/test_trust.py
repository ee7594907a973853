"""Answers that no reader can have meant are told from those that may be drawn."""

import numpy as np
import pytest

from medseg.infer.clicks.interaction import Interaction
from medseg.infer.clicks.session import Answer
from medseg.infer.clicks.trust import fault, obeyed
from medseg.types.box import Box

BOX = Box((10, 20, 30), (20, 30, 40))


def marks(*voxels, outside=False):
    return Interaction(np.array(voxels, np.int64), outside)


def found(before, after, *interactions):
    return fault(before, Answer(BOX, after, 1), interactions)


@pytest.fixture
def ball():
    return (np.indices(BOX.shape) - 5).__pow__(2).sum(axis=0) < 12


def test_an_answer_that_keeps_to_the_marks_has_no_fault(ball):
    inside, outside = marks((15, 25, 35)), marks((11, 21, 31), outside=True)
    assert found(np.zeros_like(ball), ball, inside, outside) is None
    assert found(ball, np.zeros_like(ball), marks((15, 25, 35), outside=True)) is None
    assert found(ball, ball, marks((99, 25, 35), outside=True)) is None, "a mark beyond the box"


def test_marks_that_are_not_kept_are_a_fault(ball):
    nothing = np.zeros_like(ball)
    assert found(nothing, nothing, marks((15, 25, 35))) == "missed what you marked as inside"
    assert found(ball, ball, marks((15, 25, 35), outside=True)) == "kept what you marked as outside"
    # An older mark counts too, unless a newer one lies on it.
    inside = marks((15, 25, 35))
    assert found(ball, nothing, inside, marks((11, 21, 31), outside=True)) == "missed what you marked as inside"
    assert found(ball, nothing, inside, marks((15, 25, 35), outside=True)) is None


def test_a_scribble_may_reach_a_little_beyond(ball):
    along = [(15, 25, k) for k in range(30, 40)]  # seven of ten in the ball
    assert found(np.zeros_like(ball), ball, marks(*along)) is None
    assert found(np.zeros_like(ball), np.roll(ball, 4, axis=0), marks(*along)) is not None


def test_what_fills_all_that_was_looked_at_is_a_fault(ball):
    nothing, everything = np.zeros_like(ball), np.ones_like(ball)
    assert found(nothing, everything, marks((15, 25, 35))) == "filled more than half of what it looked at"
    assert found(everything, everything, marks((15, 25, 35))) is None, "it was drawn before"


def test_where_nothing_else_helps_what_is_marked_is_drawn(ball):
    wrong = Answer(BOX, np.ones_like(ball), 1)
    after = obeyed(ball, wrong, [marks((10, 20, 30)), marks((15, 25, 35), outside=True)]).is_class
    assert after[0, 0, 0]
    assert after[1, 1, 1]
    assert not after[4:7, 4:7, 4:7].any()
    assert np.count_nonzero(after != ball) == 8 + 27
