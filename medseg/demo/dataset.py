"""Writes a small labeled dataset that anyone can train on: made-up organs, each with a lesion, in noise."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt

from medseg.errors import UsageError
from medseg.io.files.atomic import atomic_path, write_text

CASES = 12
SHAPE = (40, 48, 32)
SPACING = (1.0, 1.0, 1.5)
CLASSES = ("background", "organ", "lesion")
BRIGHTNESS = (100.0, 300.0, 450.0)


def write_dataset(folder: Path, *, cases: int = CASES) -> Path:
    """Write the dataset in the layout of the Medical Segmentation Decathlon; the same every time.

    The folder must be new or empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError("is already there", where=folder, fix="Name a folder that does not exist.")
    for number in range(cases):
        image, labels = make_case(number)
        for kind, array in (("imagesTr", image), ("labelsTr", labels)):
            file = nib.Nifti1Image(array, np.diag([*SPACING, 1.0]))
            file.header.set_xyzt_units("mm", "sec")
            with atomic_path(folder / kind / f"case_{number:02}.nii.gz") as part:
                nib.save(file, part)
    names = [f"case_{number:02}.nii.gz" for number in range(cases)]
    description = {
        "name": "Example",
        "description": "Made-up organs, each with a lesion, in noise; for trying medseg out",
        "licence": "CC0-1.0",
        "modality": {"0": "MRI"},
        "labels": {str(value): name for value, name in enumerate(CLASSES)},
        "training": [{"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"} for name in names],
    }
    write_text(folder / "dataset.json", json.dumps(description, indent=2) + "\n")
    return folder


def make_case(number: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Image and labels of one case: an ellipsoid of its own size and place, a ball in it, noise over all."""
    random = np.random.default_rng(number)
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"), axis=-1)
    center = np.asarray(SHAPE) / 2 + random.uniform(-3, 3, 3)
    radii = np.array([11, 14, 9]) * random.uniform(0.8, 1.1, 3)
    labels = np.zeros(SHAPE, np.uint8)
    labels[(((grid - center) / radii) ** 2).sum(axis=-1) <= 1] = 1
    lesion = center + random.uniform(-0.35, 0.35, 3) * radii
    labels[(((grid - lesion) * SPACING) ** 2).sum(axis=-1) <= random.uniform(3.5, 5.0) ** 2] = 2
    image = np.asarray(BRIGHTNESS)[labels] + random.normal(0, 40, SHAPE)
    return image.astype(np.float32), labels
