"""A configuration is chosen where that helps cases without a say in the choice; its figure is theirs."""

import numpy as np
import pytest

from medseg.training.selection.configuration_choice import choose_configuration
from medseg.training.selection.post_choice import NONE


def folds(means, *, noise=0.01, seed=0, each=4):
    """Cases of each fold with one class, no clean-up compared."""
    random = np.random.default_rng(seed)
    return [
        {f"{k}_{n}": {"organ": {NONE: mean + random.normal(0, noise)}} for n in range(each)}
        for k, mean in enumerate(means)
    ]


def test_a_better_one_is_chosen_and_measured_by_itself():
    good = folds([0.9] * 5, seed=1)
    found = choose_configuration({"2d": folds([0.8] * 5), "3d_fullres": good})
    assert found.name == "3d_fullres"
    assert found.without == ("3d_fullres",) * 5
    assert found.gain == pytest.approx(0.1, abs=0.02)
    assert found.dice == {case: {"organ": rules["organ"][NONE]} for fold in good for case, rules in fold.items()}
    (difference,) = found.differences
    assert (difference.first, difference.second, difference.cases) == ("2d", "3d_fullres", 20)
    assert difference.mean == pytest.approx(0.1, abs=0.02)


def test_of_two_alike_the_first_named_is_taken():
    one, other = folds([0.8] * 5), folds([0.8] * 5)
    assert choose_configuration({"2d": one, "3d_fullres": other}).name == "2d"
    assert choose_configuration({"3d_fullres": other, "2d": one}).name == "3d_fullres"


def test_one_that_is_best_by_the_luck_of_one_fold_is_not_taken():
    """Without its lucky fold it is worse than the first: what choosing gains on unseen cases is below nothing."""
    plain = folds([0.8] * 3, noise=0.0)
    lucky = folds([0.95, 0.75, 0.75], noise=0.0)
    everyone = [rules["organ"][NONE] for fold in lucky for rules in fold.values()]
    assert np.mean(everyone) > 0.8
    found = choose_configuration({"plain": plain, "lucky": lucky})
    assert found.name == "plain"
    assert {value["organ"] for value in found.dice.values()} == {0.8}


def test_no_case_has_a_say_in_how_it_is_measured():
    """Whatever one fold's cases are worth, what is chosen without them stays, clean-up included."""
    rules = (NONE, "keep_largest", *(f"remove_small {n} mm3" for n in (10, 100, 1000, 10_000)))
    random = np.random.default_rng(3)

    def case():
        return {"organ": {rule: float(random.uniform(0.5, 1)) for rule in rules}}

    candidates = {name: [{f"{k}_{n}": case() for n in range(4)} for k in range(4)] for name in "ab"}
    before = choose_configuration(candidates).without[2]
    for name in candidates:
        for case in candidates[name][2].values():
            case["organ"] = dict.fromkeys(rules, 1.0 if name == "a" else 0.0)
    assert choose_configuration(candidates).without[2] == before


def test_different_cases_cannot_be_compared():
    with pytest.raises(ValueError, match="different cases"):
        choose_configuration({"a": folds([0.8] * 3), "b": folds([0.8] * 3, each=3)})
