"""Figures on a card that no measurement can give are refused."""

import math

import pytest
from pydantic import ValidationError

from medseg.models.validation_card import ValidationCard

MEASURED = {"split": "fold 0", "cases": 2, "dice": {"a": 0.5}, "mean_dice": 0.5}


@pytest.mark.parametrize(
    "change",
    [
        {"dice": {"a": math.nan}},
        {"dice": {"a": 1.2}},
        {"mean_dice": -0.1},
        {"mean_dice": math.inf},
        {"cases": -1},
        {"volume_range_ml": {"a": (math.nan, 1.0)}},
        {"volume_range_ml": {"a": (0.0, math.inf)}},
        {"volume_quantiles_ml": {"a": (-1.0, 1.0)}},
    ],
)
def test_an_impossible_figure_is_refused(change):
    with pytest.raises(ValidationError):
        ValidationCard(**{**MEASURED, **change})


def test_a_mean_of_no_class_is_not_a_number():
    assert math.isnan(ValidationCard(**{**MEASURED, "dice": {}, "mean_dice": math.nan}).mean_dice)
