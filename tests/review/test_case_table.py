"""Classes of a case whose model was replaced: known by their names, whatever values they have."""

from __future__ import annotations

import numpy as np

from medseg.review.case_table import case_table, with_values_of
from medseg.types import Geometry, LabelClass, LabelMap, LabelTable


def table(**values: int) -> LabelTable:
    return LabelTable(tuple(LabelClass(value, name) for name, value in values.items()))


def as_dict(found: LabelTable) -> dict[str, int]:
    return {entry.name: entry.value for entry in found}


def test_the_models_values_stay_and_further_classes_get_free_ones() -> None:
    model, old, older = table(kidney=1, liver=4), table(liver=1, spleen=2, lesion=4), table(cyst=300)
    found = case_table(model, [old, older])
    assert as_dict(found) == {"kidney": 1, "spleen": 2, "lesion": 3, "liver": 4, "cyst": 300}
    assert case_table(model, []) == model


def test_labels_are_given_the_values_of_their_names() -> None:
    geometry = Geometry(np.eye(4), (2, 2, 1))
    labels = LabelMap(np.array([[[0], [1]], [[2], [4]]], np.uint8), geometry, table(liver=1, spleen=2, lesion=4))
    found = with_values_of(labels, case_table(table(kidney=1, liver=4), [labels.table]))
    assert found.array.ravel().tolist() == [0, 4, 2, 3]
    assert found.table.name_of(int(found.array[0, 1, 0])) == "liver"
    same = with_values_of(labels, labels.table)
    assert same.array is labels.array
