"""A card claims only what is so: of the dataset it was trained on, and of the package its weights started from."""

from pathlib import Path

import pytest
import yaml
from tiny_dataset import train_config, write_config, write_msd

from medseg import resources
from medseg.engine.stages.segment import Segment
from medseg.prepare.acceptance import AcceptanceCard
from medseg.training.run import train

CLAIMS = {"name", "version", "title", "data", "license", "limits"}


@pytest.fixture(scope="module")
def parent(balls, tmp_path_factory):
    """A package trained on the balls, whose configuration states what it is for and what not."""
    out = tmp_path_factory.mktemp("parent")
    config = train_config(epochs=1, iterations_per_epoch=1, limits=["Not for cubes."], name="parent")
    own = {"accepts": AcceptanceCard(purpose="balls"), "body_parts": ("HEAD",)}
    config = config.model_copy(update={"input": config.input.model_copy(update=own)})
    return train(balls, out, config=config, device="cpu")


def test_no_shipped_recipe_claims_anything():
    recipes = [*(Path(__file__).parents[2] / "configs").glob("*.yaml")]
    assert len(recipes) > 5
    for path in recipes:
        values = yaml.safe_load(path.read_text())
        if "network" in values:  # all but comparisons and options of predict
            assert not CLAIMS & set(values), path.name
            assert not {"name", "description", "license"} & set(values.get("dataset", {})), path.name
            assert not {"body_parts", "accepts"} & set(values["input"]), path.name


def test_without_a_configuration_all_claims_are_the_datasets(tmp_path, balls):
    """By a shipped recipe, whose classes are other ones."""
    recipe = resources.find("configs", "hippocampus")
    settings = ["classes={}", "network.arguments.features=[4,8]", "input.patch=[16,16,16]", "split.folds=1"]
    settings += ["iterations_per_epoch=1", "tracking=false"]
    card = train(balls, tmp_path, config=recipe, settings=settings, epochs=1, device="cpu").card
    assert (card.name, card.title) == ("balls", "bright, dark (Balls)")
    assert (card.training.data, card.training.license) == ("Balls. Two balls in noise", "CC0")
    assert card.limits == ()
    said = card.model_copy(update={"training": card.training.model_copy(update={"command": ""})})
    assert "ippocamp" not in said.model_dump_json()


def test_the_card_names_the_cases_trained_on(parent):
    training = parent.card.training
    assert len(training.trained_on) == training.cases == 4
    assert set(training.trained_on).isdisjoint(training.held_out)
    options = {"model": str(parent.folder), "device": "cpu", "engine": "torch"}
    assert Segment(Segment.Options(**options)).trained_on() == training.trained_on


def test_what_the_parent_package_is_passes_on(parent, tmp_path):
    """Its data, license, limits and cases; not its name."""
    other = write_msd(tmp_path / "data", 4)
    text = (other / "dataset.json").read_text()
    (other / "dataset.json").write_text(
        text.replace("Balls", "Other").replace("CC0", "CC BY 4.0").replace("case_", "kid_")
    )
    for path in [*other.glob("*/case_*")]:
        path.rename(path.with_name(path.name.replace("case_", "kid_")))
    config = write_config(tmp_path / "c.yaml", name=None, epochs=1, iterations_per_epoch=1, split={"folds": 1})
    card = train(other, tmp_path / "out", config=config, start=parent.folder, device="cpu").card
    was = f"{parent.card.name} {parent.card.version}"
    assert card.name == "other"
    assert card.training.data.startswith("Other. Two balls in noise. Its weights started from " + was)
    assert card.training.data.endswith(", data: Balls. Two balls in noise")
    assert card.training.license.startswith("CC BY 4.0. Its weights started from " + was)
    assert card.training.license.endswith(", license: CC0")
    assert [limit.endswith("its weights started: Not for cubes.") for limit in card.limits] == [True]
    assert card.input.body_parts == ()
    assert card.input.accepts.purpose == ""
    assert parent.card.input.accepts.purpose == "balls"
    assert card.training.cases == 4
    assert set(card.training.trained_on) == {f"kid_{n:02}" for n in range(4)} | set(parent.card.training.trained_on)
