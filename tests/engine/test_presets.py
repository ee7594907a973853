import importlib

import pytest

from medseg.engine.predict import PRESETS
from medseg.infer.options import InferOptions

module = importlib.import_module("medseg.engine.predict")


@pytest.fixture
def overrides(monkeypatch):
    seen = []
    monkeypatch.setattr(module, "run_pipeline", lambda *_, overrides, **__: seen.extend(overrides))
    return seen


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_hold_values_the_options_take(preset):
    InferOptions(**PRESETS[preset])


def test_a_preset_gives_way_to_what_is_said_by_name(overrides):
    module.predict("scan.nii.gz", "m", "out", preset="best", overlap=0.75)
    assert {"segment.overlap=0.75", "segment.mirror=all", "segment.precision=float32"} <= set(overrides)
    assert "segment.overlap=0.5" not in overrides


def test_without_a_preset_nothing_is_chosen(overrides):
    module.predict("scan.nii.gz", "m", "out")
    assert not [text for text in overrides if text.startswith("segment.") and not text.startswith("segment.model=")]


def test_the_two_ends_exclude_each_other(tmp_path, capsys):
    from medseg.cli.app import run

    assert run(["predict", "x", "--model", "m", "--out", str(tmp_path), "--fast", "--best"]) == 2
    assert "two ends" in capsys.readouterr().err
