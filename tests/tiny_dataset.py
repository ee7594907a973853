"""A dataset small enough to learn in seconds: a bright ball and a dark ball in noise."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import yaml

from medseg.config.load import build
from medseg.training.config import TrainConfig

SHAPE = (20, 18, 14)


def write_msd(folder: Path, cases: int = 6, *, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Path:
    """Write a dataset in the Decathlon's layout whose classes differ in intensity."""
    (folder / "imagesTr").mkdir(parents=True)
    (folder / "labelsTr").mkdir()
    for number in range(cases):
        image, labels = make_case(number)
        affine = np.diag([*spacing, 1.0])
        nib.save(nib.Nifti1Image(image, affine), folder / "imagesTr" / f"case_{number:02}.nii.gz")
        nib.save(nib.Nifti1Image(labels, affine), folder / "labelsTr" / f"case_{number:02}.nii.gz")
    listed = [
        {"image": f"./imagesTr/case_{n:02}.nii.gz", "label": f"./labelsTr/case_{n:02}.nii.gz"} for n in range(cases)
    ]
    description = {
        "name": "Balls",
        "description": "Two balls in noise",
        "licence": "CC0",
        "modality": {"0": "MRI"},
        "labels": {"0": "background", "1": "bright", "2": "dark"},
        "training": listed,
    }
    (folder / "dataset.json").write_text(json.dumps(description))
    return folder


def make_case(number: int) -> tuple[Any, Any]:
    """Image and labels of one case."""
    random = np.random.default_rng(number)
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij"), -1)
    labels = np.zeros(SHAPE, np.uint8)
    centers = ([6, 9, 7], [14, 9, 7])
    for value, center in zip((1, 2), centers, strict=True):
        place = np.array(center) + random.integers(-1, 2, 3)
        labels[((grid - place) ** 2).sum(-1) <= 3.5**2] = value
    image = random.normal(0, 0.2, SHAPE) + np.choose(labels, [0.0, 2.0, -2.0])
    return (100 * image + 500).astype(np.float32), labels


def run_without_cases(config: Any, out: Path = Path()) -> Any:
    """A run on a dataset of this description without a file, for parts of training that read none."""
    import torch

    from medseg.data.dataset import Channel, Dataset, DatasetCase
    from medseg.training.training_run import TrainingRun
    from medseg.types import LabelClass, LabelTable

    table = LabelTable((LabelClass(1, "bright"), LabelClass(2, "dark")))
    data = Dataset("Balls", Path(), "msd", (Channel("MR"),), table, (DatasetCase("case_00", (Path(),)),))
    return TrainingRun(data, config, out, torch.device("cpu"))


def write_prepared(folder: Path, image: Any, labels: Any) -> Any:
    """A case as training prepares it: image (1, X, Y, Z) and labels with voxels of 1 mm."""
    from medseg.training.samples.prepared import CaseFacts, PreparedCase

    folder.mkdir(exist_ok=True)
    np.save(folder / "image.npy", image)
    np.save(folder / "labels.npy", labels)
    places = {int(value): np.argwhere(labels == value).astype(np.int32) for value in np.unique(labels[labels > 0])}
    return PreparedCase(folder.name, folder, CaseFacts(labels.shape, (1.0,) * 3, (1.0,) * 3, {}), places)


def train_config(**changes: Any) -> TrainConfig:
    """The configuration of `tiny_config`."""
    return build(TrainConfig, tiny_config(**changes))


def write_config(path: Path, **changes: Any) -> Path:
    """Write the configuration of `tiny_config`."""
    path.write_text(yaml.safe_dump(tiny_config(**changes)))
    return path


def tiny_config(**changes: Any) -> dict[str, Any]:
    """Values of a configuration that learns the balls on one CPU core."""
    values: dict[str, Any] = {
        "name": "balls",
        "input": {"channels": [{"name": "MR"}], "spacing": [1.0, 1.0, 1.0], "patch": [16, 16, 16]},
        "network": {"name": "unet", "arguments": {"features": [4, 8], "deep_supervision": True, "dropout": 0.1}},
        "split": {"folds": 3, "fold": 0},
        "sampling": {"batch": 2, "foreground": 0.5},
        "augment": {"rotation": 0.5, "scaling": 0.5, "flip": ["x", "y"]},
        "optimizer": {"learning_rate": 0.01},
        "ema_decay": 0.9,
        "iterations_per_epoch": 4,
        "epochs": 3,
        "precision": "fp32",
        "tracking": False,
    }
    return {**values, **changes}
