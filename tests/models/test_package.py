"""A package is what its card says it is, down to the low-resolution stage of a cascade, or it is refused."""

import hashlib

import pytest
import torch
from networks_for_tests import tiny_card

from medseg.errors import ModelError
from medseg.models.card import LowResolutionCard
from medseg.models.package import load_package, write_package


@pytest.fixture
def cascade(tmp_path):
    write_package(tmp_path / "coarse", tiny_card("coarse"), {"w": torch.zeros(2)})
    sha256 = hashlib.sha256((tmp_path / "coarse" / "model.yaml").read_bytes()).hexdigest()
    write_package(
        tmp_path,
        tiny_card("fine", low_resolution_stage=LowResolutionCard(folder="coarse", sha256=sha256, labels=(1,))),
        {"w": torch.ones(2)},
    )
    return tmp_path


def test_a_cascade_as_it_was_written(cascade):
    package = load_package(cascade)
    assert package.low_resolution_stage.card.name == "coarse"
    assert package.weights()["w"].tolist() == [1, 1]
    assert {str(path) for path in package.files()} == {
        "coarse/weights.safetensors",
        "coarse/model.yaml",
        "weights.safetensors",
        "model.yaml",
    }


def test_another_low_resolution_stage_is_refused(cascade):
    """A sound package of its own, put where the card names another by its hash."""
    write_package(cascade / "coarse", tiny_card("coarse"), {"w": torch.full((2,), 0.5)})
    for use in (lambda package: package.low_resolution_stage, lambda package: package.files()):
        with pytest.raises(ModelError, match="SHA-256 differs"):
            use(load_package(cascade))


def test_weights_of_either_stage_that_were_changed_are_refused(cascade):
    for weights in (cascade / "coarse" / "weights.safetensors", cascade / "weights.safetensors"):
        whole = weights.read_bytes()
        weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(ModelError, match="SHA-256 differs"):
            load_package(cascade).files()
        weights.write_bytes(whole)
    assert load_package(cascade).files()


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("  license:", "  licence:", "unknown key 'training.licence'. Did you mean 'license'?"),
        ("title:", "title: a\ntitle:", "the file has the key 'title' twice"),
    ],
)
def test_a_misspelt_card_is_refused_by_the_key_as_it_was_written(cascade, right, wrong, message):
    path = cascade / "coarse" / "model.yaml"
    path.write_text(path.read_text().replace(right, wrong))
    with pytest.raises(ModelError) as caught:
        load_package(path.parent)
    assert str(caught.value).startswith(f"{path}: {message}")
