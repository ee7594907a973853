"""How weights may be used: said before they run, and refused for clinical use unless the card allows any."""

import json
import logging
from pathlib import Path

import pytest
from networks_for_tests import tiny_card

import medseg
from medseg.cli.app import run
from medseg.errors import UsageError
from medseg.models.card import NetworkCard
from medseg.models.card_text import card_text, cards_table
from medseg.models.license import check_clinical, use_line
from medseg.models.license_card import LicenseCard
from medseg.models.package import write_package
from medseg.models.registry import build_network

HEAD = Path(medseg.__file__).parent  # never read: what is refused is refused before any scan


@pytest.fixture
def package(tmp_path):
    def make(use):
        card = tiny_card(license=LicenseCard(use=use), network=NetworkCard(name="unet", arguments={"features": [4, 8]}))
        network = build_network("unet", channels=1, classes=2, dimensions=3, arguments=card.network.arguments)
        return write_package(tmp_path / str(use), card, network.state_dict())

    return make


@pytest.mark.parametrize(
    ("use", "words"),
    [
        ("research", "are for research only, as its card says"),
        ("non-commercial", "are for non-commercial use only, as its card says"),
        (None, "does not say how its weights may be used"),
    ],
)
def test_clinical_use_is_refused_in_the_same_words_everywhere(package, capsys, use, words, tmp_path):
    folder = package(use).folder
    with pytest.raises(UsageError, match=words) as error:
        medseg.load_model(folder, clinical=True)
    assert error.value.exit_code == 2
    medseg.load_model(folder, engine="torch", device="cpu")
    command = ["predict", str(HEAD), "--model", str(folder), "--out", str(tmp_path / "out"), "--clinical"]
    assert run(command) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


def test_weights_for_any_use_run(package):
    check_clinical(package("any"))
    assert medseg.load_model(package("any").folder, clinical=True, engine="torch", device="cpu")


def test_it_is_shown(package, tmp_path, caplog, capsys):
    found = package("non-commercial")
    assert "Use           Non-commercial use only." in card_text(found.card)
    assert "non-commercial" in cards_table({"tiny": found.card})
    assert use_line(found) == f"non-commercial use only (license: {found.card.training.license})"
    assert run(["models", "show", str(found.folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["license"] == {"use": "non-commercial"}
    from medseg.engine.stages.segment import Segment

    with caplog.at_level(logging.INFO, "medseg"):
        Segment(Segment.Options(model=str(found.folder), engine="torch", device="cpu")).get_ready(print)
    assert "may be used for: non-commercial use only" in caplog.text


def test_an_import_may_say_it(package, tmp_path, capsys):
    found = package(None)
    out = tmp_path / "imported"
    assert run(["models", "import", str(found.folder), "--name", "mine", "--out", str(out), "--license", "any"]) == 0
    check_clinical(medseg.load_model(out, engine="torch", device="cpu").predictor.package)
