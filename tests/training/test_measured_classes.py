import math
from pathlib import Path

import pytest

from medseg.training.measured_classes import as_limits, class_dice, untrained_classes
from medseg.training.samples.prepared import CaseFacts, PreparedCase
from medseg.training.selection.validate import CaseDice


def case(**volumes):
    return PreparedCase("c", Path(), CaseFacts((1, 1, 1), (1.0,) * 3, (1.0,) * 3, volumes))


def test_classes_of_no_training_case_are_named_as_the_card_names_them():
    cases = [case(a=1.0, b=0.0, c=0.0), case(a=0.0, b=0.0, c=0.2)]
    assert untrained_classes(cases, {"a": "A", "b": "B", "c": "C", "d": "D"}) == ("B", "D")
    assert as_limits(["B"]) == ("No training case has 'B', so the model cannot find it.",)


def test_no_dice_is_given_of_what_was_not_trained_or_not_measured():
    results = [
        CaseDice("x", {"a": 0.8, "b": 0.0, "c": math.nan, "d": 0.5}),
        CaseDice("y", {"a": 0.6, "b": 0.0, "c": math.nan, "d": math.nan}),
    ]
    assert class_dice(results, ["b"]) == ({"a": 0.7, "d": 0.5}, pytest.approx(0.6))
    none, mean = class_dice(results, ["a", "b", "d"])
    assert none == {}
    assert math.isnan(mean)
