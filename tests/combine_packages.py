"""Small packages with random weights, and composites of them, for tests."""

from pathlib import Path

import torch
import yaml
from networks_for_tests import tiny_card

from medseg.models.card import NetworkCard
from medseg.models.importing import import_composite
from medseg.models.package import write_package
from medseg.models.registry import build_network
from medseg.prepare.card import ChannelCard, InputCard, NormalizationCard


def part(
    folder: Path, name: str, classes=("a", "b"), seed=0, *, modality="CT", normalization=None, bias=None, **changes
):
    """A tiny U-Net with random weights, whose last layer may be given a bias so that a class wins everywhere."""
    plain = normalization or NormalizationCard(scheme="rescale", lower=-100.0, upper=100.0)
    card = tiny_card(
        name,
        classes,
        **{
            "input": InputCard(
                channels=(ChannelCard(name="CT", modality=modality, normalization=plain),),
                patch=(8, 8, 8),
                spacing=(1.5, 1.5, 1.5),
            ),
            "network": NetworkCard(name="unet", arguments={"features": [4, 8]}),
            **changes,
        },
    )
    torch.manual_seed(seed)
    network = build_network(
        "unet", channels=1, classes=len(classes) + 1, dimensions=3, arguments=card.network.arguments
    )
    if bias is not None:
        state = network.state_dict()
        state["decoder.heads.0.bias"] = torch.tensor(bias, dtype=torch.float32)
        network.load_state_dict(state)
    return write_package(folder / name, card, network.state_dict())


def composite(folder: Path, name="whole", **description):
    """Write the description and import it into a folder beside it."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"title": "Parts as one", **description}))
    return import_composite(path, name, out=folder / f"{name}-package")
