import pytest

from medseg.data.plan import Plan
from medseg.training import plan_for_budget as module
from medseg.training.cost import Cost
from medseg.training.plan_for_budget import ENOUGH_STEPS, FOR_STEPS, plan_for_budget


def planned(monkeypatch, steps: int, *, patch=(32, 40, 32), dimensions: int = 3) -> Plan:
    """Plan for a budget of so many steps of half a second."""
    monkeypatch.setattr(module, "build", lambda _kind, values: values)
    monkeypatch.setattr(module, "predict_cost", lambda *_, **__: Cost(1.0, 0.5, 50.0, "cpu", 1000))
    strides = [[1] * dimensions, [2] * dimensions, [4] * dimensions]
    network = {"dimensions": dimensions, "arguments": {"strides": strides, "features": [32, 64, 128]}}
    reasons = {"input.patch": "Why.", "network.arguments.features": "Because."}
    plan = Plan({"input": {"patch": list(patch), "spacing": [1, 1, 1]}, "network": network}, reasons)
    return plan_for_budget(plan, steps * 0.5 / FOR_STEPS, 3)


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


@pytest.mark.parametrize(("steps", "expected"), [(10, [16, 32, 64]), (ENOUGH_STEPS + 1, [32, 64, 128])])
def test_a_network_in_2d_has_half_the_features_where_there_are_few_steps(monkeypatch, steps, expected):
    plan = planned(monkeypatch, steps, patch=(64, 48, 1), dimensions=2)
    assert plan.values["network"]["arguments"]["features"] == expected
    few = " 0.5 times as many, as there are few steps, and so more of them." if steps == 10 else ""
    assert plan.reasons["network.arguments.features"] == f"Because.{few}"
    assert plan.values["network"]["arguments"]["strides"] == [[1, 1], [2, 2], [4, 4]]


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
