import json
import re
from pathlib import Path

import pytest
import yaml
from small_files import volume
from tiny_dataset import make_case, train_config, write_config

from medseg import resources
from medseg.config.load import build, read_yaml
from medseg.errors import ConfigError, UsageError
from medseg.training.config import TrainConfig
from medseg.training.configure import Configurator
from medseg.training.options import TrainOptions, seconds_of
from medseg.training.plan import plan


def configure(dataset: Path, config: str | None, settings=(), *, out=None, **options) -> TrainConfig:
    return Configurator(TrainOptions(dataset, Path(), config, settings=settings, **options)).config(out)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"optimizer": {"learning_rte": 0.1}}, "optimizer.learning_rte"),
        ({"optimizer": {"learning_rate": -1}}, "optimizer.learning_rate"),
        ({"augment": {"flip": ["w"]}}, "augment.flip"),
        ({"sampling": {"foreground": 1.5}}, "sampling.foreground"),
        ({"batch": 3}, "batch"),
        ({"epochs": 0}, "epochs"),
        ({"epochs": None}, "no end"),
    ],
)
def test_a_wrong_key_is_named(changes, key):
    with pytest.raises(ConfigError, match=re.escape(key)):
        train_config(**changes)


def test_options_win_over_the_file(tmp_path):
    path = write_config(tmp_path / "c.yaml", seed=3)
    config = configure(Path(), str(path), ["sampling.batch=7"], epochs=9, seed=5)
    assert (config.sampling.batch, config.epochs, config.seed, config.time_budget) == (7, 9, 5, None)


def test_a_time_budget_takes_the_place_of_the_files_epochs(tmp_path):
    path = write_config(tmp_path / "c.yaml")
    config = configure(Path(), str(path), time_budget="1.5h")
    assert (config.time_budget, config.epochs) == (5400.0, None)
    both = configure(Path(), str(path), time_budget="90s", epochs=2)
    assert (both.time_budget, both.epochs) == (90.0, 2)


@pytest.mark.parametrize("text", ["", "20 minutes", "-5m", "0s", "m", "2"])
def test_what_is_no_length_of_time_is_refused(text):
    with pytest.raises(UsageError, match="--time-budget"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["network.name=unet9"], "--set network.name=unet9: there is no 'unet9'. Did you mean 'unet'?"),
        (
            ["network.name=unet", "network.arguments.featurs=3"],
            "--set network.arguments.featurs=3: unknown key 'featurs'. Did you mean 'features'?",
        ),
        (["optimzer.name=sgd"], "--set optimzer.name=sgd: unknown key 'optimzer'"),
    ],
)
def test_network_and_keys_are_checked_before_a_dataset_is_read(settings, message, tmp_path):
    with pytest.raises(ConfigError) as caught:
        configure(tmp_path / "no dataset", None, settings)
    assert str(caught.value).startswith(message)


def test_a_plan_checks_the_configuration_before_it_reads_the_dataset(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("optimzer: {name: sgd}\n")
    with pytest.raises(ConfigError, match="unknown key 'optimzer'"):
        plan(tmp_path / "no dataset", config=str(path))


SHIPPED = [path for path in resources.shipped("configs").values() if "network" in read_yaml(path)]
assert SHIPPED


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_shipped_configurations_are_valid_and_open_with_their_command(path):
    build(TrainConfig, read_yaml(path), where=path)
    assert path.read_text(encoding="utf-8").startswith("# medseg train ")


def test_the_time_of_a_step_is_explained_as_that_of_a_training_without_a_time_budget(balls):
    for preset, says in (("cpu", True), ("8gb", False)):
        explained = plan(balls, preset=preset, explain=True, device="cpu").explanation
        assert "s a step" in explained
        assert ("With a --time-budget of few such steps" in explained) == says


def test_without_a_configuration_the_dataset_is_planned(balls, tmp_path, monkeypatch):
    config = configure(balls, None, ["iterations_per_epoch=2"], out=tmp_path, device="cpu", epochs=1)
    assert config.input.patch == (16, 16, 12)
    assert config.input.channels[0].modality == "MR"
    assert config.iterations_per_epoch == 2
    plan = yaml.safe_load((tmp_path / "plan.yaml").read_text())
    fingerprint = json.loads((tmp_path / "fingerprint.json").read_text())
    assert plan["input"]["patch"] == [16, 16, 12]
    assert json.loads((tmp_path / "audit.json").read_text())["blocked"] == {}
    # Held-out cases decide nothing.
    assert len(fingerprint["cases"]) < 6
    # When a run is resumed, the plan is not made again.
    monkeypatch.setattr("medseg.training.configure.plan_dataset", None)
    assert configure(balls, None, ["iterations_per_epoch=2"], out=tmp_path, device="cpu", epochs=1) == config


def test_a_recipe_changes_the_plan_and_nothing_else(balls, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("optimizer: {learning_rate: 0.5}\nsampling: {batch: 3}\n")
    planned = configure(balls, None, out=tmp_path, device="cpu")
    changed = configure(balls, str(path), out=tmp_path, device="cpu")
    assert changed.optimizer.learning_rate == 0.5
    assert changed.sampling.batch == 3
    assert changed.optimizer.name == planned.optimizer.name
    assert changed.input == planned.input


def test_a_plan_is_made_again_where_the_configuration_says_something_else_of_the_dataset(tmp_path):
    for number in range(6):
        image, labels = make_case(number)
        volume(tmp_path / "data" / "images" / f"c{number}.nii.gz", image)
        volume(tmp_path / "data" / "labels" / f"c{number}.nii.gz", labels)

    def planned(*settings):
        out = tmp_path / "run"
        options = TrainOptions(tmp_path / "data", out, None, epochs=1, device="cpu", settings=settings)
        Configurator(options).config(out)
        return out / "plan.yaml"

    first = planned().read_text()
    written = planned().stat().st_mtime_ns
    assert planned().stat().st_mtime_ns == written
    assert yaml.safe_load(first)["augment"]["flip"] == ["x"]
    sided = yaml.safe_load(planned("dataset.labels={organ_l: 1, organ_r: 2}").read_text())
    assert sided["dataset"] == {"labels": {"organ_l": 1, "organ_r": 2}}
    assert sided["augment"]["flip"] == []
    overruled = yaml.safe_load(planned("dataset.labels={organ_l: 1, organ_r: 2}", "plan.mirror=[x]").read_text())
    assert overruled["augment"]["flip"] == ["x"]
    assert planned().read_text() == first
