import importlib
from typing import Any

import pytest

from medseg.cli.app import run
from medseg.engine.predict import PRESETS
from medseg.infer.options import InferOptions

module = importlib.import_module("medseg.engine.predict")


@pytest.fixture
def values(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    given: dict[str, Any] = {}
    monkeypatch.setattr(module, "run_pipeline", lambda *_, values, **__: given.update(values))
    return given


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_hold_values_the_options_take(preset):
    InferOptions(**PRESETS[preset])


def test_a_preset_gives_way_to_an_option_of_its_own(values):
    module.predict("scan.nii.gz", "m", "out", best=True, overlap=0.75)
    assert values["segment"] == {"model": "m", "overlap": 0.75, "mirror": "all", "precision": "float32"}


def test_values_travel_as_they_are(values):
    module.predict("scan.nii.gz", "it's: a # model", "out", series="T1: *", format=["dicom-seg-fractional"])
    assert values == {
        "segment": {"model": "it's: a # model", "probabilities": True},
        "discover": {"series": "T1: *"},
        "save": {"formats": ["dicom-seg-fractional"], "probabilities": False},
    }


def test_fast_and_best_exclude_each_other(tmp_path, capsys):
    assert run(["predict", str(tmp_path), "--model", "m", "--out", str(tmp_path / "out"), "--fast", "--best"]) == 2
    assert "exclude each other" in capsys.readouterr().err
