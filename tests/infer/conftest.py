import pytest
import torch
from networks_for_tests import tiny_card

from medseg.models.card import NetworkCard
from medseg.models.package import write_package
from medseg.models.registry import build_network
from medseg.prepare.card import ChannelCard, InputCard


@pytest.fixture
def make(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSEG_HOME", str(tmp_path / "home"))

    def package(dimensions=3, members=1, regions=None, overlapping=False):
        arguments = {"features": [4, 6], "encoder": "residual"}
        card = tiny_card(
            classes=("a", "b"),
            regions=regions,
            overlapping=overlapping,
            input=InputCard(channels=(ChannelCard(name="MR"),), patch=(8, 12, 16 if dimensions == 3 else 1)),
            network=NetworkCard(name="unet", dimensions=dimensions, arguments=arguments),
            ensemble_members=members,
        )
        weights = {}
        for number in range(members):
            torch.manual_seed(number)
            network = build_network(
                "unet", channels=1, classes=card.n_outputs, dimensions=dimensions, arguments=arguments
            )
            prefix = f"{number}." if members > 1 else ""
            weights |= {prefix + key: value for key, value in network.state_dict().items()}
        return write_package(tmp_path / f"package-{dimensions}-{members}", card, weights)

    return package
