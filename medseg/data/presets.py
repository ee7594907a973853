"""What a machine can hold and how long one will wait: the part of a plan that is not read off the data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# nnU-Net's measure of what 8 GB of GPU memory hold, in numbers kept for one patch, and the batch that goes with it.
REFERENCE_3D, REFERENCE_2D = 560_000_000, 85_000_000
BATCH_3D, BATCH_2D = 2, 12


@dataclass(frozen=True)
class Preset:
    """A kind of machine.

    - `scale_3d`, `scale_2d`: what a patch may hold, in units of nnU-Net's 8 GB.
    - `base_3d`, `base_2d`, `largest_3d`, `largest_2d`: channels at full resolution, and of the widest.
    - `most_of_scan`: fraction of the median scan along each axis that a 3D patch covers at most.
    - `mirror`: whether prediction by 3D networks averages over a mirrored copy, where left and right are alike.
    - `elastic_voxels`: displacements of elastic deformation in 3D, smallest and largest, and distance of control
      points, in voxels of the finest axis.
    """

    name: str
    description: str
    scale_3d: float
    scale_2d: float
    base_3d: int
    base_2d: int
    largest_3d: int
    largest_2d: int
    most_3d: int
    most_2d: int
    why: str
    most_stages: int | None = None
    most_of_scan: float = 1.0
    mirror: bool = False
    augment: dict[str, Any] = field(default_factory=dict)
    augment_3d: dict[str, Any] = field(default_factory=dict)
    elastic_voxels: tuple[float, float, float] | None = None
    training: dict[str, Any] = field(default_factory=dict)
    optimizer_2d: dict[str, Any] | None = None
    why_2d: str = ""
    batch_3d: int = BATCH_3D
    batch_2d: int = BATCH_2D

    @property
    def budget_3d(self) -> float:
        """Numbers one 3D patch may keep."""
        return REFERENCE_3D * self.scale_3d

    @property
    def budget_2d(self) -> float:
        """Numbers one 2D patch may keep."""
        return REFERENCE_2D * self.scale_2d


_NNUNET_AUGMENT: dict[str, Any] = {"rotation": 0.2, "scaling": 0.2, "flip": ["x", "y", "z"]}
_NNUNET_TRAINING: dict[str, Any] = {
    "optimizer": {
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
_NNUNET_WHY = "nnU-Net's: SGD with Nesterov momentum 0.99 from a learning rate of 0.01, 1000 epochs of 250 steps."


def _gpu(gigabytes: int) -> Preset:
    return Preset(
        name=f"{gigabytes}gb",
        description=f"a GPU of {gigabytes} GB",
        scale_3d=gigabytes / 8,
        scale_2d=gigabytes / 8,
        base_3d=32,
        base_2d=32,
        largest_3d=320,
        largest_2d=512,
        most_3d=64,
        most_2d=64,
        why=_NNUNET_WHY,
        augment=_NNUNET_AUGMENT,
        training=_NNUNET_TRAINING,
    )


_CPU = Preset(
    name="cpu",
    description="a few CPU cores and an hour",
    scale_3d=1 / 16,
    scale_2d=1 / 8,
    base_3d=16,
    base_2d=32,
    largest_3d=128,
    largest_2d=128,
    most_3d=2,
    most_2d=4,
    most_stages=5,
    most_of_scan=0.8,
    mirror=True,
    why="Few steps: Muon gets further in them than AdamW or SGD, and a cosine schedule ends at rest.",
    augment={
        "rotation": 0.5,
        "rotation_degrees": 20.0,
        "scaling": 0.4,
        "scaling_range": [0.8, 1.25],
        "translation": 0.4,
        "flip": ["x"],
    },
    augment_3d={"rotation_degrees": 25.0, "scaling": 0.5, "scaling_range": [0.75, 1.3], "elastic": 0.3},
    elastic_voxels=(1.0, 3.0, 16.0),
    training={
        "optimizer": {"name": "muon", "learning_rate": 2.0e-2, "weight_decay": 1.0e-2, "warm_up": 0.03},
        "ema_decay": 0.998,
        "iterations_per_epoch": 100,
        "epochs": 100,
    },
    optimizer_2d={"name": "adamw", "learning_rate": 2.0e-3, "weight_decay": 1.0e-2, "warm_up": 0.03},
    why_2d="Few steps: AdamW gets further in them than SGD; Muon was measured in 3D only.",
)

PRESETS: dict[str, Preset] = {p.name: p for p in (_CPU, _gpu(8), _gpu(24), _gpu(40), _gpu(80))}
