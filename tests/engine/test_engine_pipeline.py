import copy
from typing import Any

import pytest
from toy_stages import STRUCTURE

from medseg import resources
from medseg.config.load import build, read_yaml
from medseg.engine.pipeline import PipelineFile, assemble, load_pipeline
from medseg.engine.registry import stage_class
from medseg.errors import ConfigError, PipelineError


def changed(**changes: Any) -> PipelineFile:
    return build(PipelineFile, {**copy.deepcopy(STRUCTURE), **changes})


def test_fitting_steps_are_assembled_with_their_options(structure):
    pipeline = assemble("toy", structure, {"shout": {"mark": "?", "times": 2}})
    assert [step.name for step in pipeline.each] == ["read", "shout", "write"]
    assert pipeline.identity()["shout"] == {"mark": "?", "times": 2}
    assert pipeline.identity()["write"] == {}, "a stage's own identity wins over its options"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"shuot": {}}, ["shuot", "shout"]),
        ({"shout": {"marks": "?"}}, ["shout", "marks", "mark, times"]),
        ({"shout": {"times": 0}}, ["times", "0"]),
    ],
)
def test_wrong_configuration_names_the_key_and_the_known_ones(structure, config, words):
    with pytest.raises(ConfigError) as caught:
        assemble("toy", structure, config)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("step", "change", "words"),
    [
        (1, {"from": "later"}, "takes 'later', which no earlier step gives"),
        (1, {"from": "case"}, "'shout' takes Text, and 'case' gives FoundScan"),
        (2, {"from": {"quiet": "read"}}, "needs the inputs quiet, loud"),
        (1, {"name": "read"}, "have the same name"),
    ],
)
def test_steps_that_do_not_fit_are_refused(step, change, words):
    steps = copy.deepcopy(STRUCTURE["each"])
    steps[step] |= change
    with pytest.raises(PipelineError, match=words):
        assemble("toy", changed(each=steps), {})


def test_a_pipeline_file_with_an_unknown_key_is_refused():
    with pytest.raises(ConfigError, match="unknown key 'finally'"):
        changed(**{"finally": []})


def test_every_shipped_pipeline_fits_together_with_its_configuration(monkeypatch):
    monkeypatch.setattr("medseg.engine.pipeline.stage_class", stage_class)
    config = read_yaml(resources.find("configs", "predict"))
    config["segment"]["model"] = "hippocampus"
    for name, path in resources.shipped("pipelines").items():
        assert assemble(name, load_pipeline(path), config).each
