"""A part that finds both hippocampi in a head loses neither in a composite."""

from dataclasses import replace

import numpy as np
import pytest

from medseg.combine.located import with_own_classes
from medseg.combine.merging import combined, report
from medseg.errors import NotForThisModel
from medseg.locate.table import parts_table, whole_table
from medseg.models.composite_card import PartCard
from medseg.models.package import load_package
from medseg.types import Geometry, LabelMap, Prediction
from medseg.types.prediction import ClassUncertainty

PACKAGE = load_package("hippocampus")
CARD = PACKAGE.card


def entry(values):
    return PartCard(name="hippo", sha256="0" * 64, values=values)


def located(table):
    array = np.zeros((4, 4, 4), np.uint8)
    for n, known in enumerate(table):
        array[n % 4, n // 4] = known.value
    labels = LabelMap(array, Geometry(np.diag([1.0, 1.0, 2.4, 1.0]), array.shape), table)
    ranges = {known.name: (0.1, 0.2) for known in table}
    return Prediction(labels, PACKAGE.identity, volume_range_ml=ranges, uncertainty={1: ClassUncertainty(0.5)})


def test_both_sides_are_kept_under_the_classes_of_the_part():
    given = located(parts_table(CARD, CARD.locate))
    found = with_own_classes(given, entry({1: 1, 2: 2}), CARD)
    assert found.labels.table == CARD.table
    for own in (1, 2):
        sides = [known.value for known in given.labels.table if known.name.endswith(CARD.table.name_of(own))]
        assert len(sides) == 2
        assert np.array_equal(found.labels.array == own, np.isin(given.labels.array, sides))
    assert "left and right are one class each" in found.notes[-1]
    assert not found.volume_range_ml
    assert not found.uncertainty
    assert with_own_classes(found, entry({1: 1, 2: 2}), CARD) is found


def test_a_region_given_whole_is_never_called_one_of_its_parts():
    given = located(whole_table(CARD, CARD.locate))
    found = with_own_classes(given, entry({1: 7, 2: 7}), CARD)
    assert np.array_equal(found.labels.array > 0, given.labels.array > 0)
    for values in ({1: 1, 2: 2}, {1: 7}, {2: 7}):
        with pytest.raises(NotForThisModel, match=r"2\.4 mm apart, where 'hippo' does not distinguish anterior"):
            with_own_classes(given, entry(values), CARD)


def test_limits_of_one_class_do_not_hold_for_several_together():
    labels = LabelMap(np.zeros((2, 2, 2), np.uint8), Geometry(np.eye(4), (2, 2, 2)), CARD.table)
    limits = {known.name: (0.1 * known.value, 1.0) for known in CARD.table}
    given = Prediction(labels, PACKAGE.identity, volume_range_ml=limits, uncertainty={2: ClassUncertainty(0.5)})
    unmeasured = replace(PACKAGE, card=CARD.model_copy(update={"validation": None}))
    for values, ranges in (({1: 2, 2: 1}, {1: (0.2, 1.0), 2: (0.1, 1.0)}), ({1: 1, 2: 1}, {})):
        made = combined(labels, unmeasured, [report(entry(values), CARD, given)], anyway=False)
        assert made.volume_range_ml == {CARD.table.name_of(value): known for value, known in ranges.items()}
        assert set(made.uncertainty) == ({1} if ranges else set())
    # What was measured on the whole, as of an ensemble, counts before what was measured on a part.
    made = combined(labels, PACKAGE, [report(entry({1: 2, 2: 1}), CARD, given)], anyway=False)
    assert made.volume_range_ml == CARD.validation.volume_range_ml
