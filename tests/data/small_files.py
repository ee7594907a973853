"""Small images and labels on disk."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from PIL import Image


def volume(path: Path, array: Any, *, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0), origin: Any = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    nib.save(nib.Nifti1Image(np.asarray(array), affine), path)
    return path


def mask_dice(path: Path, labels: Any) -> float:
    """Dice of value 1 of labels read from elsewhere with a NIfTI mask, its voxels looked up by their places in mm."""
    oracle = nib.load(path)
    inside = np.asanyarray(oracle.dataobj) > 0
    world = labels.geometry.to_world(np.argwhere(labels.array == 1))
    places = np.rint(nib.affines.apply_affine(np.linalg.inv(oracle.affine), world)).astype(int)
    return float(2 * np.count_nonzero(inside[tuple(places.T)]) / (len(places) + np.count_nonzero(inside)))


def picture(path: Path, array: Any) -> Path:
    """Write a picture given as rows, columns[, colors]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array)).save(path)
    return path


def noise(shape: tuple[int, ...] = (6, 5, 4), seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(100, 10, shape).astype(np.float32)


def classes(shape: tuple[int, ...] = (6, 5, 4), values: tuple[int, ...] = (1, 2)) -> Any:
    """Labels that hold each value."""
    labels = np.zeros(shape, np.uint8)
    for number, value in enumerate(values):
        labels[number] = value
    return labels
