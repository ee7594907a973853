import json
import re

import pytest
import torch
from networks_for_tests import tiny_card

from medseg.cli.app import run
from medseg.models.calibration_card import CalibrationCard
from medseg.models.card import NetworkCard
from medseg.models.card_text import card_text
from medseg.models.package import load_package, write_package
from medseg.models.registry import build_network


@pytest.fixture
def stored(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSEG_HOME", str(tmp_path / "home"))
    arguments = {"features": [4, 8]}
    card = tiny_card(title="A tiny U-Net", network=NetworkCard(name="unet", arguments=arguments))
    network = build_network("unet", channels=1, classes=2, dimensions=3, arguments=arguments)
    return write_package(tmp_path / "home" / "models" / "tiny", card, network.state_dict())


def test_list_and_show(stored, capsys):
    assert run(["models", "list", "--json"]) == 0
    listed = {"name": "tiny", "title": "A tiny U-Net", "version": "1", "folder": str(stored.folder)}
    listed |= {"modalities": [None], "body_parts": [], "mean_dice": None, "use": None}
    every = {card["name"]: card for card in json.loads(capsys.readouterr().out)}
    assert every["tiny"] == listed
    assert every["hippocampus"]["modalities"] == ["MR"]
    assert 0.8 < every["hippocampus"]["mean_dice"] < 1
    assert "Hippocampus" in every["hippocampus"]["body_parts"]
    assert run(["models", "list"]) == 0
    shown = capsys.readouterr().out
    first = r"^hippocampus +MR +HEAD, BRAIN, Hippocampus +0\.\d{3} +research +Anterior and posterior"
    assert re.search(first, shown, re.MULTILINE)
    assert re.search(r"^tiny +not stated +not stated +- +not stated +A tiny U-Net$", shown, re.MULTILINE)
    assert run(["models", "show", "tiny", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sha256"] == stored.hash
    assert run(["models", "show", "tiny", "--yaml"]) == 0
    assert "title: A tiny U-Net" in capsys.readouterr().out


def test_a_modality_is_a_word_and_no_code(capsys):
    assert run(["models", "show", "nuclei"]) == 0
    assert "general microscopy (" in capsys.readouterr().out


def test_a_card_is_readable_on_one_screen(capsys):
    for name in ("hippocampus", "nuclei"):
        assert run(["models", "show", name]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) <= 40
        assert max(map(len, lines)) <= 100
        titles = {line[:14].strip() for line in lines}
        assert {"Body part", "Modality", "Classes", "Measured", "Trained on", "Limits"} <= titles


def test_an_axis_of_any_spacing_is_said():
    card = load_package("hippocampus").card
    flat = card.model_copy(update={"input": card.input.model_copy(update={"spacing": (1.0, 1.5, None)})})
    assert "3D, 1 x 1.5 x any mm" in card_text(flat)


def test_a_card_says_whether_probabilities_are_calibrated_and_volumes_have_an_interval():
    card = load_package("hippocampus").card
    assert "Probabilities Not calibrated: they are the network's." in card_text(card)
    plain = card.model_copy(update={"volume_interval": None, "ensemble_members": 5})
    assert "Volumes       Given without an interval: none was measured." in card_text(plain)
    assert "Not calibrated: they are the mean of 5 networks'." in card_text(plain)
    found = {"temperature": 1.5, "nll_before": 0.4, "nll_after": 0.3, "ece_before": 0.1, "ece_after": 0.05}
    found = CalibrationCard(**found, cases_fitted=6, cases_checked=6)
    assert "Calibrated with temperature 1.5;" in card_text(card.model_copy(update={"calibration": found}))


def test_dice_is_of_the_classes_that_results_have(capsys):
    card = load_package("nuclei").card
    assert [entry.name for entry in card.result_classes] == ["nucleus"]
    assert (card.mean_dice, card.validation.mean_dice) == (0.9, 0.7473)  # the latter with the border between nuclei
    assert run(["models", "list"]) == 0
    assert re.search(r"^nuclei .* 0\.900 +research +Nuclei", capsys.readouterr().out, re.MULTILINE)
    assert run(["models", "show", "nuclei"]) == 0
    shown = capsys.readouterr().out
    assert "Mean Dice 0.900 on 50 cases" in shown
    assert re.findall(r"(\w+): Dice", shown) == ["nucleus"]
    hippocampus = load_package("hippocampus").card
    assert hippocampus.mean_dice == hippocampus.validation.mean_dice


def test_verify_runs_the_network(stored, capsys):
    assert run(["models", "verify", "tiny", "--device", "cpu"]) == 0
    assert "2 finite outputs" in capsys.readouterr().out


def test_verify_finds_weights_that_are_not_numbers(stored, capsys):
    broken = {name: torch.full_like(tensor, float("nan")) for name, tensor in stored.weights().items()}
    write_package(stored.folder, stored.card, broken)
    assert run(["models", "verify", "tiny", "--device", "cpu"]) == 4
    assert "not numbers" in capsys.readouterr().err


def test_export_and_use_the_zip(stored, tmp_path, capsys):
    assert run(["models", "export", "tiny", "--out", str(tmp_path / "tiny.zip")]) == 0
    assert run(["models", "verify", str(tmp_path / "tiny.zip"), "--device", "cpu"]) == 0
    assert stored.hash[:12] in capsys.readouterr().out


def test_import_of_what_is_no_model(stored, tmp_path, capsys):
    assert run(["models", "import", str(tmp_path), "--name", "x"]) == 4
    assert "not a kind of model" in capsys.readouterr().err
    assert run(["models", "show", "nothing"]) == 2
    assert "there is no model called 'nothing'" in capsys.readouterr().err
