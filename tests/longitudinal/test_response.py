"""RECIST 1.1's limits, each just met and just missed."""

from __future__ import annotations

import pytest

from medseg.longitudinal.response import Summed
from medseg.longitudinal.response import response as summed_response
from medseg.longitudinal.sizes import size_change
from medseg.types.follow_up import ObjectChange, PlaneAxes, TrackedObject


def response(objects, nodes, thickness_mm):
    return summed_response(objects, Summed({one.class_name for one in objects}, nodes), thickness_mm)


def part(mm, short=None):
    axes = PlaneAxes(mm, mm if short is None else short, (2, 0), ((0, 0, 0), (1, 0, 0)))
    return TrackedObject(1, "lesion", 1.0, 0.1, (0, 0, 0), axes, False)


def change(number, before, after, *, name="lesion", match="paired", short=None):
    sides = [tuple(part(mm, short and short[n]) for mm in side) for n, side in enumerate((before, after))]
    return ObjectChange(number, name, match, *sides, size_change((1, 0.1), (1, 0.1)), (0, 0, 0))


@pytest.mark.parametrize(
    ("before", "after", "category"),
    [
        (20.0, 14.0, "partial"),
        (20.0, 14.1, "stable"),
        (30.0, 36.0, "progressive"),
        (30.0, 35.9, "stable"),
        (20.0, 24.9, "stable"),  # 24.5% and less than 5 mm
        (20.0, 25.0, "progressive"),
    ],
)
def test_limits(before, after, category):
    assert response([change(1, [before], [after])], (), 1.0).category == category


def test_all_gone_is_complete_and_a_new_one_progress():
    gone = change(1, [20.0], [], match="gone")
    assert response([gone], (), 1.0).category == "complete"
    assert response([gone, change(2, [], [12.0], match="new")], (), 1.0).category == "progressive"


def test_what_is_too_small_is_no_target():
    assert response([change(1, [9.9], [30.0])], (), 1.0).category is None
    assert response([change(1, [13.0], [30.0])], (), 7.0).category is None  # slices of 7 mm: from 14 mm on
    assert response([change(1, [14.0], [30.0])], (), 7.0).category == "progressive"


def test_two_of_a_class_and_five_in_all():
    many = [change(n, [20.0 + n], [20.0 + n], name=f"class-{n % 4}") for n in range(1, 13)]
    found = response(many, (), 1.0)
    assert found.targets == (12, 11, 10, 9, 8)
    assert found.before_mm == pytest.approx(sum(20.0 + n for n in (12, 11, 10, 9, 8)))


def test_nodes_are_measured_by_the_short_axis():
    node = change(1, [30.0], [22.0], name="node", short=(16.0, 9.0))
    found = response([node], ("node",), 1.0)
    assert (found.before_mm, found.after_mm, found.category) == (16.0, 9.0, "complete")
    assert response([change(1, [30.0], [22.0], name="node", short=(14.0, 9.0))], ("node",), 1.0).category is None
    assert response([change(1, [30.0], [20.0], name="node", short=(16.0, 12.0))], ("node",), 1.0).category == "stable"


def test_fragments_are_summed():
    assert response([change(1, [30.0], [16.0, 12.0], match="split")], (), 1.0).after_mm == pytest.approx(28.0)


def test_organs_have_no_sum():
    found = summed_response([change(1, [30.0], [50.0], name="liver")], Summed(()), 1.0)
    assert (found.category, found.targets) == (None, ())
    assert "Say which are with --class" in found.sentence
