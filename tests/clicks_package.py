"""Models that take clicks, made without training."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from medseg.infer.clicks.model import ClickModel
from medseg.models.card import ClassCard, ModelCard, NetworkCard
from medseg.models.interactive_card import InteractiveCard
from medseg.models.package import ModelPackage, write_package
from medseg.models.registry import build_network
from medseg.models.training_card import TrainingCard
from medseg.prepare.card import InputCard


class Bright:
    """An engine whose class is what is bright, whatever was clicked; keeps what it was shown."""

    name, working_bytes, multiple = "bright", 0, None

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = threshold
        self.shown: list[Any] = []

    def run(self, windows: Any) -> Any:
        self.shown.append(windows[0].copy())
        return np.stack([np.zeros_like(windows[:, 0]), windows[:, 0] - self.threshold], axis=1)


def input_card(patch: tuple[int, int, int], spacing: Any = None) -> InputCard:
    """Intensities as they are."""
    channels = [{"name": "MR", "normalization": {"scheme": "none"}}]
    return InputCard.model_validate({"channels": channels, "patch": patch, "spacing": spacing})


def bright_model(patch: tuple[int, int, int] = (16, 16, 16), spacing: Any = None, threshold: float = 0.5) -> ClickModel:
    """A model on the engine `Bright`."""
    card = SimpleNamespace(interactive=InteractiveCard(radius=2.0, decay=0.9), input=input_card(patch, spacing))
    identity = SimpleNamespace(name="bright", __str__=lambda self: "bright 1")
    package: Any = SimpleNamespace(card=card, identity=identity, hash="ab" * 32, folder=Path())
    return ClickModel(package, engine=Bright(threshold))  # type: ignore[arg-type]


def write_filling(folder: Path, patch: tuple[int, int, int] = (8, 8, 8)) -> ModelPackage:
    """A package whose network says of every voxel of its patch that it belongs to the class in hand."""
    arguments = {"features": [2, 4]}
    card = ModelCard(
        name="filling",
        title="Whatever is clicked fills the patch",
        classes=(ClassCard(value=1, name="anything"),),
        input=input_card(patch),
        interactive=InteractiveCard(radius=2.0, decay=0.9),
        network=NetworkCard(name="unet", arguments=arguments),
        training=TrainingCard(data="none", license="none", cases=0, command="none", seed=None),
        weights_sha256="0" * 64,
    )
    network = build_network("unet", channels=card.channels, classes=card.n_outputs, dimensions=3, arguments=arguments)
    weights = network.state_dict()
    heads = [name for name, value in weights.items() if value.ndim == 1 and value.shape[0] == 2 and "bias" in name]
    for name, value in weights.items():
        value.zero_()
        if name == heads[-1]:
            value.copy_(torch.tensor([-5.0, 5.0]))
    return write_package(folder, card, weights)
