"""A clean-up is chosen where it helps cases that had no say in the choice, and nowhere else."""

import numpy as np
import pytest

from medseg.models.card import PostCard
from medseg.training.selection.post_choice import NONE, as_post, choose, read_rule_dice, rule_dice, write_rule_dice
from medseg.types import Geometry, LabelClass, LabelMap, LabelTable

SHAPE = (24, 24, 12)
TABLE = LabelTable((LabelClass(1, "organ"), LabelClass(2, "lesions")))
GRID = Geometry(np.eye(4), SHAPE)
RULES = [NONE, "keep_largest", *(f"remove_small {size} mm3" for size in (10, 100, 1000, 10_000))]


def case(number: int) -> tuple[LabelMap, LabelMap]:
    """Prediction and reference: one organ with stray voxels predicted far from it, and two equal lesions, found."""
    random = np.random.default_rng(number)
    reference = np.zeros(SHAPE, np.uint8)
    reference[2:12, 2:12, 2:10] = 1
    reference[14:18, 2:6, 2:6] = reference[14:18, 10:14, 2:6] = 2
    predicted = reference.copy()
    for _ in range(3):
        x, y, z = random.integers((14, 16, 0), (22, 22, 10))
        predicted[x : x + 2, y : y + 2, z : z + 2] = 1
    return LabelMap(predicted, GRID, TABLE), LabelMap(reference, GRID, TABLE)


@pytest.fixture(scope="module")
def folds():
    return [{f"case_{k}": rule_dice(*case(k)) for k in range(first, first + 4)} for first in (0, 4, 8)]


def test_rules_are_weighed_on_each_class_alone(folds):
    rules = folds[0]["case_0"]
    assert rules["organ"][NONE] < 1
    assert rules["organ"]["keep_largest"] == 1
    # Of two lesions of 64 voxels the largest keeps one: half of them is found.
    half = pytest.approx(2 * 64 / (64 + 128))
    assert rules["lesions"] == dict(zip(RULES, [1.0, half, 1.0, 0.0, 0.0, 0.0], strict=True))


def test_it_is_chosen_where_it_helps_and_not_where_it_hurts(folds):
    found = choose(folds)
    assert found["organ"].rule == "keep_largest"
    assert found["organ"].gain == pytest.approx(1 - np.mean([c["organ"][NONE] for f in folds for c in f.values()]))
    assert set(found["organ"].dice.values()) == {1.0}
    assert found["lesions"].rule == NONE
    assert found["lesions"].gain == 0
    (step,) = as_post(found)
    assert isinstance(step, PostCard)
    assert step.options["rules"] == [{"classes": ["organ"], "rule": "keep_largest", "count": 1, "connectivity": 26}]


def test_a_rule_that_is_best_by_chance_is_not_taken():
    """Each rule helps the cases of one fold only: the best over all cases gains, but never on a fold that chose it."""
    folds = []
    for number in range(3):
        rules = {name: 0.7 if name == RULES[number + 1] else 0.5 if name == NONE else 0.45 for name in RULES}
        folds.append({f"case_{number}_{k}": {"organ": dict(rules)} for k in range(5)})
    everyone = [rules["organ"] for fold in folds for rules in fold.values()]
    assert np.mean([r["keep_largest"] for r in everyone]) > np.mean([r[NONE] for r in everyone])
    found = choose(folds)["organ"]
    assert found.rule == NONE
    assert found.gain < 0
    assert set(found.dice.values()) == {0.5}
    assert as_post({"organ": found}) == ()


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_no_gain(seed):
    random = np.random.default_rng(seed)
    folds = [
        {f"{k}_{n}": {"organ": {name: float(random.normal(0.8, 0.05)) for name in RULES}} for n in range(10)}
        for k in range(5)
    ]
    found = choose(folds)["organ"]
    if found.rule != NONE:  # as one in six will be by one standard error
        assert abs(found.gain) < 3 * found.error


def test_nothing_found_where_nothing_is_counts_as_right():
    empty = LabelMap(np.zeros(SHAPE, np.uint8), GRID, TABLE)
    stray = np.zeros(SHAPE, np.uint8)
    stray[3, 3, 3] = 2
    folds = [{f"{k}": rule_dice(LabelMap(stray, GRID, TABLE), empty)} for k in range(3)]
    found = choose(folds)["lesions"]
    assert found.rule == "remove_small 10 mm3"
    assert found.gain == 1


def test_the_table_comes_back(tmp_path, folds):
    write_rule_dice(tmp_path / "rules.csv", folds[0])
    back = read_rule_dice(tmp_path / "rules.csv")
    assert back.keys() == folds[0].keys()
    assert back["case_1"]["organ"][NONE] == pytest.approx(folds[0]["case_1"]["organ"][NONE], abs=1e-6)
