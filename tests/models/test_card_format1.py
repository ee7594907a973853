"""Packages made before the card's keys were renamed are still read."""

import shutil
from pathlib import Path

import yaml

from medseg.models.package import load_package

# Written out, not taken from the code under test: what cards of format 1 called these keys.
OLD = (
    ("license:", "licence:"),
    ("normalization:", "normalisation:"),
    ("normalize_after_resampling:", "normalise_after_resampling:"),
    ("low_resolution_stage:", "first_pass:"),
    ("uncertainty:", "doubt:"),
    ("boundary_entropy:", "border_entropy:"),
    ("ensemble_members:", "members:"),
    ("output: logits", "output: scores"),
    ("interpolated: logits", "interpolated: scores"),
    ("format_version: 2", "format_version: 1"),
)


def test_a_package_of_format_1_says_the_same(tmp_path: Path) -> None:
    new = load_package("nuclei")
    shutil.copytree(new.folder, tmp_path / "nuclei")
    card = tmp_path / "nuclei" / "model.yaml"
    text = card.read_text(encoding="utf-8")
    for now, then in OLD:
        assert now in text
        text = text.replace(now, then)
    card.write_text(text, encoding="utf-8")
    old = load_package(tmp_path / "nuclei")
    assert old.card == new.card
    assert old.weights().keys() == new.weights().keys()


def test_names_of_classes_and_arguments_stay(tmp_path: Path) -> None:
    folder = tmp_path / "nuclei"
    shutil.copytree(load_package("nuclei").folder, folder)
    values = yaml.safe_load((folder / "model.yaml").read_text(encoding="utf-8"))
    values["format_version"] = 1
    values["validation"]["dice"] = {"doubt": 0.5}
    values["uncertainty"]["boundary_entropy"] = {"members": 0.5}
    (folder / "model.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    card = load_package(folder).card
    assert card.validation is not None
    assert card.validation.dice == {"doubt": 0.5}
    assert card.uncertainty is not None
    assert card.uncertainty.boundary_entropy == {"members": 0.5}
