from dataclasses import replace

import numpy as np
import pytest
from objects_for_tests import label_map, prediction
from scipy import ndimage

from medseg.io.measurements import table_of_measurements
from medseg.post.quality import QualityOptions, check_quality
from medseg.post.volumes import measure_volumes
from medseg.types import Geometry, LabelClass, LabelTable
from medseg.types.case_report import CaseReport
from medseg.types.prediction import ClassUncertainty

GRID = Geometry(np.diag([10.0, 10.0, 10.0, 1.0]), (12, 12, 12))
TABLE = LabelTable((LabelClass(1, "liver"), LabelClass(2, "lesion", is_thing=True)))


def notes_of(array: np.ndarray, geometry: Geometry = GRID, **ranges: tuple[float, float]) -> str:
    labels = label_map(array, geometry.affine, TABLE)
    return "; ".join(check_quality(prediction(labels, volume_range_ml=ranges), measure_volumes(labels)).warnings)


def organ() -> np.ndarray:
    array = np.zeros(GRID.shape)
    array[2:8, 2:8, 2:8] = 1
    return array


def test_a_volume_the_training_data_never_had_is_flagged_with_the_numbers_and_an_ordinary_one_is_not():
    assert notes_of(organ(), liver=(100, 300)) == ""
    assert notes_of(organ(), liver=(300, 500)) == "liver: Volume 216 ml; the training data has 300 to 500 ml."
    assert notes_of(organ(), liver=(100, 215.9)) == "liver: Volume 216 ml; the training data has 100 to 215.9 ml."


def test_a_class_that_should_be_there_and_is_not_is_flagged():
    assert "lesion: Not found" in notes_of(organ(), lesion=(1, 50))
    assert notes_of(np.zeros(GRID.shape)) == "Nothing was found."


def test_a_class_of_several_components_is_flagged_but_not_countable_things():
    array = organ()
    array[10, 10, 2:10] = 1
    assert notes_of(array) == ""
    array[9:11, 9:11, 2:10] = 1
    assert notes_of(array) == "liver: 2 connected components; the largest is 87% of the volume."
    array[array == 1] = 2
    assert notes_of(array) == ""


def test_what_touches_the_edge_of_the_field_of_view_is_flagged():
    array = organ()
    array[2:8, 2:8, 0:2] = 1
    assert notes_of(array) == "liver: Touches the edge of the field of view and may be cut off."
    flat = Geometry(np.eye(4), (12, 12, 1))
    assert notes_of(organ()[:, :, 4:5], flat) == "", "a 2D image has no edge in front and behind"


def test_uncertainty_is_measured_weighed_and_flagged():
    labels = label_map(organ(), GRID.affine, TABLE)
    sure = prediction(labels, uncertainty={1: ClassUncertainty(0.4, 0.97)})
    unsure = replace(sure, uncertainty={1: ClassUncertainty(0.9, 0.6)})
    strange = replace(sure, warnings=("spacing is odd",), out_of_distribution=("spacing is odd",))
    volumes = measure_volumes(labels)
    found = [check_quality(each, volumes) for each in (sure, unsure, strange)]
    assert [quality.rows[0].boundary_entropy for quality in found] == [0.4, 0.9, 0.4]
    assert found[0].warnings == ()
    assert found[1].warnings == (
        "liver: The networks of the ensemble disagree (mean Dice 0.60).",
        "liver: High boundary uncertainty (mean entropy 0.90; default limit 0.50).",
    )
    # Worst first: disagreement, then a scan unlike any seen, then by uncertainty alone.
    assert [CaseReport(q.flags, uncertainty=q.uncertainty).review_priority for q in found] == [0.4, 3.9, 2.4]
    assert found[0].rows[1].n_components == 0


def test_the_model_s_card_limits_uncertainty_unless_the_user_does():
    labels = label_map(organ(), GRID.affine, TABLE)
    uncertain = prediction(labels, uncertainty={1: ClassUncertainty(0.4)})
    volumes = measure_volumes(labels)

    def flags(limit: float | None, boundary_limit: dict[str, float]) -> tuple[str, ...]:
        options = QualityOptions(boundary_entropy=limit)
        return check_quality(replace(uncertain, boundary_limit=boundary_limit), volumes, options).warnings

    said = "liver: High boundary uncertainty (mean entropy 0.40; "
    assert flags(None, {"liver": 0.31}) == (f"{said}limit of the model card 0.31).",)
    assert flags(None, {"liver": 0.45}) == ()
    assert flags(None, {"spleen": 0.1}) == ()
    assert flags(0.6, {"liver": 0.31}) == ()
    assert flags(0.35, {"liver": 0.45}) == (f"{said}limit set by the user 0.35).",)


def test_the_table_of_measurements():
    labels = label_map(organ(), GRID.affine, TABLE)
    volumes = measure_volumes(labels)
    quality = check_quality(prediction(labels, uncertainty={1: ClassUncertainty(0.456, None)}), volumes)
    assert table_of_measurements(volumes, quality) == (
        "class,voxels,volume_ml,n_components,largest_component_fraction,touches_border,boundary_entropy,ensemble_dice\n"
        "liver,216,216,1,1,0,0.46,\n"
        "lesion,0,0,0,,0,,\n"
    )


@pytest.mark.parametrize("shape", [(12, 9, 7), (30, 25, 1)])
def test_components_of_all_classes_at_once_are_those_of_each_class_by_itself(shape):
    drawn = np.random.default_rng(2).choice([0, 1, 2], shape, p=[0.8, 0.1, 0.1])
    geometry = Geometry(np.eye(4), shape)
    labels = label_map(np.asfortranarray(drawn), geometry.affine, TABLE)
    rows = check_quality(prediction(labels), measure_volumes(labels)).rows
    for value, row in enumerate(rows, start=1):
        numbered, count = ndimage.label(drawn == value, np.ones((3, 3, 3)))
        sizes = np.bincount(numbered.ravel())[1:]
        assert (row.n_components, row.largest_component_fraction) == (count, sizes.max() / sizes.sum())
