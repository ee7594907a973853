from dataclasses import replace

import pytest

from medseg.data.plan import Plan
from medseg.training import plan_for_budget as module
from medseg.training.cost import Cost
from medseg.training.plan_for_budget import ENOUGH_STEPS, FOR_STEPS, plan_for_budget


def planned(monkeypatch, steps: int, *, patch=(32, 40, 32), dimensions: int = 3, showing=None) -> Plan:
    """Plan for a budget of so many steps of half a second."""
    monkeypatch.setattr(module, "build", lambda _kind, values: values)
    monkeypatch.setattr(module, "predict_cost", lambda *_, **__: Cost(1.0, 0.5, 50.0, "cpu", 1000))
    strides = [[1] * dimensions, [2] * dimensions, [4] * dimensions]
    network = {"dimensions": dimensions, "arguments": {"strides": strides, "features": [32, 64, 125]}}
    reasons = {"input.patch": "Why.", "network.arguments.features": "Because."}
    plan = Plan({"input": {"patch": list(patch), "spacing": [1, 1, 1]}, "network": network}, reasons)
    return plan_for_budget(plan, steps * 0.5 / FOR_STEPS, 3, None if showing is None else lambda: showing(plan))


@pytest.mark.parametrize(
    ("steps", "patch", "expected"),
    [
        (10 * ENOUGH_STEPS, (32, 40, 32), [32, 40, 32]),
        (ENOUGH_STEPS + 1, (32, 40, 32), [32, 40, 32]),
        (ENOUGH_STEPS - 1, (32, 40, 32), [24, 32, 24]),
        (10, (8, 16, 32), [8, 16, 24]),
    ],
)
def test_the_patch_is_smaller_where_there_are_few_steps(monkeypatch, steps, patch, expected):
    plan = planned(monkeypatch, steps, patch=patch)
    assert plan.values["input"] == {"patch": expected, "spacing": [1, 1, 1]}


def test_a_patch_in_2d_becomes_half_as_wide(monkeypatch):
    assert planned(monkeypatch, 10, patch=(64, 48, 1), dimensions=2).values["input"]["patch"] == [32, 24, 1]
    many = planned(monkeypatch, ENOUGH_STEPS + 1, patch=(64, 48, 1), dimensions=2)
    assert many.values["input"]["patch"] == [64, 48, 1]


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(("part", "expected"), [(0.9, [16, 32, 63]), (1.1, [32, 64, 125])])
def test_features_are_halved_where_the_smaller_patch_does_not_make_steps_enough(
    monkeypatch, dimensions, part, expected
):
    smaller = {2: (64, 48, 1), 3: (32, 64, 32)}
    times = {2: 64 * 48 / (32 * 24), 3: 32 * 64 * 32 / (24 * 48 * 24)}[dimensions]
    plan = planned(monkeypatch, int(part * ENOUGH_STEPS / times), patch=smaller[dimensions], dimensions=dimensions)
    assert plan.values["network"]["arguments"]["features"] == expected
    assert plan.reasons["network.arguments.features"].startswith("Because.")
    assert ("Half of that" in plan.reasons["network.arguments.features"]) == (part < 1)
    assert len(plan.values["network"]["arguments"]["strides"]) == 3


def test_the_reason_says_how_many_steps_there_will_be(monkeypatch):
    assert planned(monkeypatch, 2000).reasons["input.patch"] == (
        "Why. 23.8 minutes give about 2000 steps on this machine."
    )
    assert planned(monkeypatch, 900).reasons["input.patch"] == (
        "Why. 10.7 minutes give about 900 steps on this machine, fewer than 1000; of patches of 24 x 32 x 24 about "
        "2000."
    )
    assert planned(monkeypatch, 900, patch=(8, 16, 8)).reasons["input.patch"] == (
        "Why. 10.7 minutes give about 900 steps on this machine, fewer than 1000."
    ), "a patch that cannot be smaller"


def coarser(plan: Plan) -> Plan:
    """The plan on a grid of voxels twice as long."""
    return replace(plan, values={**plan.values, "input": {"patch": [24, 40, 24], "spacing": [2, 2, 2]}})


def test_a_coarser_grid_that_shows_classes_takes_the_place_of_a_smaller_patch(monkeypatch):
    plan = planned(monkeypatch, 10, showing=coarser)
    assert plan.values["input"] == {"patch": [24, 40, 24], "spacing": [2, 2, 2]}
    assert plan.values["network"]["arguments"]["features"] == [16, 32, 63]
    assert plan.reasons["input.patch"].endswith("fewer than 1000; on the coarser grid about 10.")


def test_the_grid_stays_where_it_shows_classes_or_there_are_steps_enough(monkeypatch):
    assert planned(monkeypatch, 10, showing=lambda plan: plan).values == planned(monkeypatch, 10).values
    assert planned(monkeypatch, ENOUGH_STEPS + 1, showing=coarser).values["input"]["spacing"] == [1, 1, 1]
