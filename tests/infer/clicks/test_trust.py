"""Answers that no reader can have meant are not drawn, and what is marked is as marked."""

import numpy as np
import pytest

from medseg.infer.clicks.interaction import Interaction
from medseg.infer.clicks.session import Answer, as_marked
from medseg.infer.clicks.trust import fault, obeyed
from medseg.types.box import Box

BOX = Box((10, 20, 30), (20, 30, 40))


def marks(*voxels, outside=False):
    return Interaction(np.array(voxels, np.int64), outside)


def found(before, after):
    return fault(before, Answer(BOX, after, 1))


@pytest.fixture
def ball():
    return (np.indices(BOX.shape) - 5).__pow__(2).sum(axis=0) < 12


def test_what_fills_all_that_was_looked_at_is_a_fault(ball):
    nothing, everything = np.zeros_like(ball), np.ones_like(ball)
    assert found(nothing, everything) == "filled more than half of what it looked at"
    assert found(everything, everything) is None, "it was drawn before"


def test_where_nothing_else_helps_what_is_marked_is_drawn(ball):
    wrong = Answer(BOX, np.ones_like(ball), 1)
    after = obeyed(ball, wrong, [marks((10, 20, 30)), marks((15, 25, 35), outside=True)]).is_class
    assert after[0, 0, 0]
    assert after[1, 1, 1]
    assert not after[4:7, 4:7, 4:7].any()
    assert np.count_nonzero(after != ball) == 8 + 27


def test_an_answer_that_contradicts_a_mark_is_put_right_around_it(ball):
    def put_right(mask, *voxels, outside=False):
        return as_marked(mask, marks(*voxels, outside=outside), BOX.start)

    nothing = np.zeros_like(ball)
    assert np.argwhere(put_right(nothing, (15, 25, 35))).tolist() == [
        [x, y, z] for x in (4, 5, 6) for y in (4, 5, 6) for z in (4, 5, 6)
    ]
    assert np.count_nonzero(ball & ~put_right(ball, (15, 25, 35), outside=True)) == 27
    assert put_right(ball, (15, 25, 35)) is ball
    assert put_right(ball, (99, 25, 35), outside=True) is ball, "a mark beyond the box"
    along = [(15, 25, k) for k in range(30, 40)]  # seven of ten in the ball: a scribble may reach a little beyond
    assert put_right(ball, *along) is ball
    assert put_right(np.roll(ball, 4, axis=0), *along)[5, 5].all()
