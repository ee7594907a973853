import pytest

from medseg.data.plan import Plan
from medseg.training import plan_for_budget as module
from medseg.training.cost import Cost
from medseg.training.plan_for_budget import ENOUGH_STEPS, FOR_STEPS, plan_for_budget

PATCHES = {None: (32, 40, 32), 0.6: (24, 32, 24)}


@pytest.fixture
def made(monkeypatch):
    """Plan of a budget in steps of the preset's patch, each of which takes half a second."""
    monkeypatch.setattr(module, "build", lambda _kind, values: values)
    monkeypatch.setattr(module, "predict_cost", lambda *_, **__: Cost(1.0, 0.5, 50.0, "cpu", 1000))

    def make(most):
        return Plan({"input": {"patch": list(PATCHES[most])}}, {"input.patch": "Why."})

    return lambda steps: plan_for_budget(steps * 0.5 / FOR_STEPS, make, 3)


@pytest.mark.parametrize(
    ("steps", "most"), [(10 * ENOUGH_STEPS, None), (ENOUGH_STEPS + 1, None), (ENOUGH_STEPS - 1, 0.6), (100, 0.6)]
)
def test_the_patch_is_smaller_where_there_are_few_steps(made, steps, most):
    assert made(steps).values["input"]["patch"] == list(PATCHES[most])


def test_the_reason_says_how_many_steps_there_will_be(made):
    assert made(2000).reasons["input.patch"] == (
        "Why. 23.8 minutes give about 2000 steps of such patches on this machine."
    )
    assert made(900).reasons["input.patch"] == (
        "Why. 10.7 minutes give about 2000 steps of such patches on this machine; of larger ones 900, fewer than 1000."
    )
