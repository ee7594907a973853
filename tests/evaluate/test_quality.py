from __future__ import annotations

import numpy as np

from medseg.evaluate.quality import quality_notes
from medseg.evaluate.volumes import measure_volumes
from medseg.types import Geometry, LabelClass, LabelMap, LabelTable, ModelIdentity, Prediction

GRID = Geometry(np.diag([10.0, 10.0, 10.0, 1.0]), (12, 12, 12))
TABLE = LabelTable((LabelClass(1, "liver"), LabelClass(2, "lesion", is_thing=True)))


def notes_of(array: np.ndarray, geometry: Geometry = GRID, **ranges: tuple[float, float]) -> str:
    labels = LabelMap(array.astype(np.uint8), geometry, TABLE)
    prediction = Prediction(labels, ModelIdentity("m", "1", "0" * 64), volume_range_ml=ranges)
    return "; ".join(quality_notes(prediction, measure_volumes(labels)))


def organ() -> np.ndarray:
    array = np.zeros(GRID.shape)
    array[2:8, 2:8, 2:8] = 1
    return array


def test_an_ordinary_prediction_has_no_remarks() -> None:
    assert notes_of(organ(), liver=(100, 300)) == ""


def test_a_volume_the_training_data_never_had_is_remarked_on_with_the_numbers() -> None:
    assert notes_of(organ(), liver=(300, 500)) == "liver: 216 ml is outside the training data's 300 to 500 ml"


def test_what_should_be_there_and_is_not_is_remarked_on() -> None:
    assert "lesion: not found" in notes_of(organ(), lesion=(1, 50))
    assert notes_of(np.zeros(GRID.shape)) == "nothing was found"


def test_a_class_in_pieces_is_remarked_on_but_not_countable_things() -> None:
    array = organ()
    array[10, 10, 2:10] = 1
    assert notes_of(array) == ""
    array[9:11, 9:11, 2:10] = 1
    assert notes_of(array) == "liver: in pieces; the largest holds 87% of it"
    array[array == 1] = 2
    assert notes_of(array) == ""


def test_what_touches_the_edge_of_the_field_of_view_is_remarked_on() -> None:
    array = organ()
    array[2:8, 2:8, 0:2] = 1
    assert notes_of(array) == "liver: touches the edge of the field of view and may be cut off"
    flat = Geometry(np.eye(4), (12, 12, 1))
    assert notes_of(organ()[:, :, 4:5], flat) == "", "a picture has no edge in front and behind"
