"""`medseg train --interactive`: a model that takes clicks, resumed exactly, refused where it can do nothing."""

import os
import signal

import pytest
import torch
import yaml
from checkpoint_state import differing, state
from tiny_dataset import tiny_config, train_config, write_config

from medseg.cli.app import run
from medseg.errors import ConfigError, Interrupted, UsageError
from medseg.infer.engines.torch import load_networks
from medseg.infer.predictor import Predictor
from medseg.models.card_text import card_text
from medseg.models.interactive_card import MAPS
from medseg.models.package import load_package
from medseg.training import step as step_module
from medseg.training.run import train


@pytest.fixture(scope="module")
def clicked(balls, tmp_path_factory):
    """A run of twelve steps."""
    out = tmp_path_factory.mktemp("clicked")
    train(balls, out, config=train_config(), interactive=True, device="cpu")
    return out


def test_the_card_says_what_the_network_is_shown_and_what_clicks_gained(clicked):
    card = load_package(clicked / "model").card
    assert card.interactive.maps == MAPS
    assert (card.channels, card.n_outputs) == (1 + len(MAPS), 2)
    assert [c.name for c in card.classes] == ["bright", "dark"]
    for start in ("corrected", "from_nothing"):
        assert set(card.interactive.dice[start]) == {0, 1, 3}
    assert card.interactive.dice["from_nothing"][0] == 0
    assert set(card.validation.dice) == {"bright", "dark"}
    assert "3 simulated clicks" in card.validation.notes
    assert "Takes clicks" in card_text(card)
    assert (clicked / "validation.csv").read_text().count(",bright,dice,") == 2
    assert (clicked / "report.html").is_file()


def test_it_is_refused_where_nobody_clicks(clicked, tmp_path, capsys, balls):
    with pytest.raises(UsageError, match="takes clicks"):
        Predictor(load_package(clicked / "model"))
    scan = next((balls / "imagesTr").iterdir())
    assert run(["predict", str(scan), "--model", str(clicked / "model"), "--out", str(tmp_path)]) == 2
    assert "medseg review RESULTS --clicks MODEL" in capsys.readouterr().err
    with pytest.raises(UsageError, match="takes clicks"):
        train(balls, tmp_path, config=train_config(), start=clicked / "model")


def test_stopped_between_steps_it_resumes_exactly(clicked, balls, tmp_path, monkeypatch):
    real, calls = step_module.segmentation_loss, []

    def stopping(*arguments, **options):
        calls.append(1)
        if len(calls) in (2, 7):
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments, **options)

    monkeypatch.setattr(step_module, "segmentation_loss", stopping)
    for _ in range(2):
        with pytest.raises(Interrupted):
            train(balls, tmp_path, config=train_config(), interactive=True, device="cpu")
    train(balls, tmp_path, config=train_config(), interactive=True, device="cpu")
    assert len(calls) == 12
    assert differing(state(clicked), state(tmp_path)) == []


def test_an_automatic_model_is_taught_to_take_clicks(balls, tmp_path):
    """At a learning rate of nearly 0 it finds, whatever is drawn and clicked, what it found before."""
    slow = tiny_config(epochs=1, ema_decay=0.0, optimizer={"learning_rate": 1e-12})
    before = train(balls, tmp_path / "automatic", config=train_config(epochs=1), device="cpu")
    file = tmp_path / "slow.yaml"
    file.write_text(yaml.safe_dump({key: slow[key] for key in slow if key not in ("input", "network")}))
    after = train(balls, tmp_path / "out", config=file, start=before.folder, interactive=True, device="cpu")
    (automatic,), (clicks,) = load_networks(before), load_networks(after)
    image, maps = torch.randn(1, 1, 16, 16, 16), torch.rand(1, len(MAPS), 16, 16, 16)
    with torch.inference_mode():
        old, new = automatic(image), clicks(torch.cat([image, maps], 1))
    assert torch.allclose(new[:, 0], old[:, 0], atol=1e-4)
    assert torch.allclose(new[:, 1], old[:, 1:].mean(1), atol=1e-4)
    assert after.card.training.parent == str(before.identity)


def test_what_clicks_cannot_be_combined_with_is_said_before_any_work(balls, tmp_path):
    with pytest.raises(UsageError, match="simulated clicks"):
        train(balls, tmp_path, config=train_config(), interactive=True, folds="all")
    with pytest.raises(ConfigError, match="exclude each other"):
        train(balls, tmp_path, config=write_config(tmp_path / "c.yaml", border_mm=1.0), interactive=True)
