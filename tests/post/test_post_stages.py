from pathlib import Path

import numpy as np
import pytest
from objects_for_tests import label_map

from medseg.config.load import build
from medseg.engine.pipeline import PipelineFile, assemble
from medseg.engine.registry import stage_class
from medseg.errors import ConfigError, PipelineError
from medseg.post.components import components
from medseg.types import Case, Discovery, FoundScan, Prediction, Scan
from medseg.types.instances import ObjectsOfCase
from medseg.types.stage import RunContext


class Found:
    Options = stage_class("save-objects").Options

    def __init__(self, options):
        pass

    def run(self, item: object, context: RunContext) -> Discovery:
        raise NotImplementedError


class Predict(Found):
    def run(self, item: FoundScan, context: RunContext) -> Prediction:
        raise NotImplementedError


class Read(Found):
    def run(self, item: FoundScan, context: RunContext) -> Case:
        raise NotImplementedError


OWN = {"found": Found, "read": Read, "predict": Predict}


def pipeline(monkeypatch, *steps, config=None):
    monkeypatch.setattr("medseg.engine.pipeline.stage_class", lambda name: OWN.get(name) or stage_class(name))
    first = ({"name": "read", "stage": "read", "from": "case"}, {"name": "predict", "stage": "predict", "from": "case"})
    gather = {"name": "found", "stage": "found", "from": "inputs"}
    structure = {"description": "objects", "gather": gather, "each": [*first, *steps]}
    return assemble("objects", build(PipelineFile, structure), config or {})


MEASURE = {"name": "measure", "stage": "measure-objects", "from": {"instances": "objects", "case": "read"}}
SAVE = {"name": "save", "stage": "save-objects", "from": {"instances": "measure", "case": "read"}}


@pytest.mark.parametrize("stage", ["components", "watershed", "border", "panoptic"])
def test_a_pipeline_of_objects_fits(monkeypatch, stage):
    clean = {"name": "clean", "stage": "clean-up", "from": "predict"}
    objects = {"name": "objects", "stage": stage, "from": "clean"}
    built = pipeline(monkeypatch, clean, objects, MEASURE, SAVE)
    assert [step.name for step in built.each][-3:] == ["objects", "measure", "save"]


def test_things_of_a_method_merge_with_stuff(monkeypatch):
    things = {"name": "things", "stage": "watershed", "from": "predict"}
    merged = {"name": "objects", "stage": "merge-stuff", "from": {"things": "things", "prediction": "predict"}}
    config = {"things": {"depth_mm": 2, "classes": ["lesion"]}}
    assert pipeline(monkeypatch, things, merged, MEASURE, SAVE, config=config).each[2].stage.options.depth_mm == 2


def test_a_wrong_order_cannot_be_written(monkeypatch):
    objects = {"name": "objects", "stage": "components", "from": "predict"}
    with pytest.raises(PipelineError, match="takes"):
        pipeline(monkeypatch, objects, {"name": "clean", "stage": "clean-up", "from": "objects"})


def test_options_are_checked_before_any_data_is_read(monkeypatch):
    objects = {"name": "objects", "stage": "components", "from": "predict"}
    with pytest.raises(ConfigError, match=r"connectivity"):
        pipeline(monkeypatch, objects, config={"objects": {"connectivity": 7}})
    with pytest.raises(ConfigError, match=r"unknown key 'conectivity'"):
        pipeline(monkeypatch, objects, config={"objects": {"conectivity": 6}})


def test_measure_takes_intensities_from_the_case_unless_told_not_to():
    labels, context = label_map(np.ones((3, 3, 3))), RunContext(Path())
    found = components(labels)
    case = Case("a", (Scan(np.full((2, 3, 3, 3), 4.0), labels.geometry),))
    measure = stage_class("measure-objects")
    full = measure(measure.Options()).run(ObjectsOfCase(found, case), context)
    assert full.rows[0].measures.mean_intensity == (4, 4)
    bare = measure(measure.Options(intensity=False, shape=False)).run(ObjectsOfCase(found, case), context)
    assert bare.rows == found.rows
