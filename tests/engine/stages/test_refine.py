import numpy as np
import pytest

from medseg.api.model import Model
from medseg.engine.stages.refine import Refine, follow
from medseg.errors import ConfigError, ModelError
from medseg.types import Case, Geometry, LabelClass, LabelMap, LabelTable, ModelIdentity, PostStep, Prediction, Scan
from medseg.types.run import PredictedCase
from medseg.types.stage import RunContext

GRID = Geometry(np.diag([2.0, 1.0, 1.0, 1.0]), (20, 12, 10))
MODEL = ModelIdentity("m", "1", "0" * 64)
CASE = Case("a", (Scan(np.ones((1, *GRID.shape), np.float32), GRID),))


def predicted(array: np.ndarray, names: tuple[str, ...], *recipe: PostStep) -> Prediction:
    table = LabelTable(tuple(LabelClass(value, name) for value, name in enumerate(names, 1)))
    return Prediction(LabelMap(array.astype(np.uint8), GRID, table), MODEL, recipe=recipe)


def two_cells_with_a_border() -> np.ndarray:
    """Two touching boxes with interiors (1) and the border between and around them (2)."""
    array = np.zeros(GRID.shape)
    array[2:10, 2:10, 2:8] = array[10:18, 2:10, 2:8] = 2
    array[3:9, 3:9, 3:7] = array[11:17, 3:9, 3:7] = 1
    return array


def test_objects_of_a_border_model_use_the_border_up(tmp_path):
    prediction = predicted(two_cells_with_a_border(), ("cell", "border"), PostStep("border"))
    refined = follow(prediction, RunContext(tmp_path))
    assert [row.class_value for row in refined.instances.rows] == [1, 1]
    assert [c.name for c in refined.labels.table] == ["cell"]
    assert np.array_equal(refined.labels.array > 0, prediction.labels.array > 0)
    assert set(np.unique(refined.labels.array)) == {0, 1}


def test_clean_up_comes_before_objects_and_other_classes_stay(tmp_path):
    array = np.zeros(GRID.shape)
    array[1:4, 1:4, 1:4] = 1
    array[8, 8, 8] = 1
    array[12:15, 1:4, 1:4] = 2
    recipe = (
        PostStep("clean-up", {"rules": [{"rule": "keep_largest", "classes": ["lesion"]}]}),
        PostStep("components", {"classes": ["lesion"]}),
    )
    refined = follow(predicted(array, ("lesion", "organ"), *recipe), RunContext(tmp_path))
    assert len(refined.instances.rows) == 1
    assert (refined.labels.array == 2).sum() == 27
    assert (refined.labels.array == 1).sum() == 27


def test_the_stage_measures_objects_in_mm(tmp_path):
    array = np.zeros(GRID.shape)
    array[1:4, 1:4, 1:4] = 1
    prediction = predicted(array, ("lesion",), PostStep("components"))
    refined = Refine(Refine.Options()).run(PredictedCase(CASE, prediction), RunContext(tmp_path))
    [row] = refined.instances.rows
    assert row.measures.volume_ml == pytest.approx(0.054)
    assert row.measures.centroid_mm == pytest.approx((4.0, 2.0, 2.0))


def test_a_card_without_a_recipe_leaves_the_prediction_alone(tmp_path):
    prediction = predicted(np.ones(GRID.shape), ("all",))
    assert Refine(Refine.Options()).run(PredictedCase(CASE, prediction), RunContext(tmp_path)) is prediction


def test_a_card_that_names_what_there_is_not_is_refused(tmp_path):
    array = np.ones(GRID.shape)
    with pytest.raises(ModelError, match=r"'predict' is not known.*components"):
        follow(predicted(array, ("a",), PostStep("predict")), RunContext(tmp_path))
    with pytest.raises(ConfigError, match="connectivty"):
        follow(predicted(array, ("a",), PostStep("components", {"connectivty": 6})), RunContext(tmp_path))


def test_a_model_used_from_python_follows_its_card_like_predict(monkeypatch):
    monkeypatch.setattr("medseg.api.model.segment_scan", lambda predictor, scan, anyway: predictor.segment(scan))

    class Predictor:
        def segment(self, scan: Scan) -> Prediction:
            assert scan.geometry == GRID
            return predicted(two_cells_with_a_border(), ("cell", "border"), PostStep("border"))

    model = Model(None, Predictor())
    found = model.segment(Scan(np.full((1, *GRID.shape), 7.0, np.float32), GRID))
    assert [c.name for c in found.labels.table] == ["cell"]
    assert [row.measures.mean_intensity for row in found.instances.rows] == [(7.0,), (7.0,)]
