"""What a machine can hold and how long one will wait: the part of a plan that is not read off the data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["PRESETS", "Preset"]

# nnU-Net's measure of what 8 GB of GPU memory hold, in numbers kept for one patch, and the batch that goes with it.
REFERENCE_3D, REFERENCE_2D = 560_000_000, 85_000_000
BATCH_3D, BATCH_2D = 2, 12


@dataclass(frozen=True)
class Preset:
    """A kind of machine.

    Parameters
    ----------
    name : str
        What it is called.
    description : str
        What it is for.
    scale : float
        Memory in units of nnU-Net's 8 GB.
    base, largest_3d, largest_2d : int
        Channels of the first stage, and of the widest.
    most : int
        Largest batch.
    most_stages : int, optional
        Depth of the network at most.
    augment : dict
        What to augment, and the axes that could be mirrored.
    training : dict
        Optimiser, length and the rest.
    why : str
        Reason of the training part.
    """

    name: str
    description: str
    scale: float
    base: int
    largest_3d: int
    largest_2d: int
    most: int
    why: str
    most_stages: int | None = None
    augment: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    batch_3d: int = BATCH_3D
    batch_2d: int = BATCH_2D

    @property
    def budget_3d(self) -> float:
        """Numbers one 3D patch may keep."""
        return REFERENCE_3D * self.scale

    @property
    def budget_2d(self) -> float:
        """Numbers one 2D patch may keep."""
        return REFERENCE_2D * self.scale


_NNUNET_AUGMENT: dict[str, Any] = {"rotation": 0.2, "scaling": 0.2, "flip": ["x", "y", "z"]}
_NNUNET_TRAINING: dict[str, Any] = {
    "optimiser": {
        "name": "sgd",
        "learning_rate": 0.01,
        "momentum": 0.99,
        "weight_decay": 3.0e-5,
        "schedule": "polynomial",
        "warm_up": 0.0,
    },
    "ema_decay": 0.999,
    "iterations_per_epoch": 250,
    "epochs": 1000,
}
_NNUNET_WHY = "nnU-Net's: Nesterov momentum 0.99 from 0.01, 1000 epochs of 250 steps"


def _gpu(gigabytes: int) -> Preset:
    return Preset(
        name=f"{gigabytes}gb",
        description=f"a GPU of {gigabytes} GB",
        scale=gigabytes / 8,
        base=32,
        largest_3d=320,
        largest_2d=512,
        most=64,
        why=_NNUNET_WHY,
        augment=_NNUNET_AUGMENT,
        training=_NNUNET_TRAINING,
    )


_CPU = Preset(
    name="cpu",
    description="a few CPU cores and an hour",
    scale=1 / 8,
    base=32,
    largest_3d=128,
    largest_2d=128,
    most=4,
    most_stages=5,
    why="few steps: AdamW gets further in them than momentum, and a cosine ends at rest",
    augment={
        "rotation": 0.5,
        "rotation_degrees": 20.0,
        "scaling": 0.4,
        "scaling_range": [0.8, 1.25],
        "translation": 0.4,
        "flip": ["x"],
    },
    training={
        "optimiser": {"name": "adamw", "learning_rate": 2.0e-3, "weight_decay": 1.0e-2, "warm_up": 0.03},
        "ema_decay": 0.998,
        "iterations_per_epoch": 100,
        "epochs": 40,
    },
    batch_3d=4,
)

PRESETS: dict[str, Preset] = {p.name: p for p in (_CPU, _gpu(8), _gpu(24), _gpu(40), _gpu(80))}
