"""Draws T1 heads from public label maps of whole heads, whose hippocampi are then known voxel by voxel.

    python benchmarks/make_synthetic_heads.py LABEL_MAPS ../shared/data/heads/synthetic_head_01 OUT

LABEL_MAPS: the folder `data/training_label_maps` of github.com/BBillot/SynthSeg (Apache-2.0), of whose first map the
synthetic head was drawn: each label's brightness is what it is there. Each head gets noise and a coil's uneven
brightness of its own. OUT/images and OUT/labels hold one file a map, in which 1 is the left hippocampus, 2 the right.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

LEFT, RIGHT = 17, 53  # FreeSurfer's numbers of the hippocampi
FEWEST = 50  # voxels whose brightness is measured away from a label's edge
OTHER_SIDE = {26: 58, 58: 26, 28: 60, 60: 28, 30: 77, 62: 77}  # labels that do not differ by 39 from their twin's
BLUR, NOISE, TEXTURE = 0.6, 2.5, 10.0  # voxels, and standard deviations in the brightness of the head
COIL, KNOTS = 0.06, 4  # standard deviation of the logarithm of its brightness at so many places along each axis


def brightness(head: np.ndarray, labels: np.ndarray) -> dict[int, tuple[float, float]]:
    """Mean and standard deviation of each label, away from its edge where it is large enough."""
    found = {}
    for label in np.unique(labels):
        inside = labels == label
        core = ndimage.binary_erosion(inside)
        values = head[core if core.sum() > FEWEST else inside]
        found[int(label)] = (float(values.mean()), float(values.std()))
    return found


def of_label(known: dict[int, tuple[float, float]], label: int) -> tuple[float, float]:
    """Brightness of a label, else of the same on the other side, else of the label with the nearest number."""
    for twin in (label, label + 39, label - 39, OTHER_SIDE.get(label)):
        if twin in known:
            return known[twin]
    return known[min(known, key=lambda other: abs(other - label))]


def drawn(labels: np.ndarray, known: dict[int, tuple[float, float]], seed: int) -> np.ndarray:
    """A head of bytes, of the same shape as its labels."""
    draw = np.random.default_rng(seed)
    means, deviations = np.zeros(labels.max() + 1), np.zeros(labels.max() + 1)
    for label in np.unique(labels):
        means[label], deviation = of_label(known, int(label))
        deviations[label] = min(deviation, TEXTURE)
    image = means[labels] + draw.normal(0, 1, labels.shape) * deviations[labels]
    knots = draw.normal(0, COIL, (KNOTS,) * 3)
    coil = ndimage.zoom(knots, np.array(labels.shape) / KNOTS, order=1)
    uneven = ndimage.gaussian_filter(image, BLUR) * np.exp(coil)
    return np.clip(uneven + draw.normal(0, NOISE, labels.shape), 0, 255).astype(np.uint8)


def main() -> None:
    """Draw every map's head."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("maps", "head", "out"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args()
    paths = sorted(given.maps.glob("training_seg_*.nii.gz"))
    head = np.asarray(nib.load(given.head / "image.nii.gz").dataobj, dtype=np.float64)
    known = brightness(head, np.asarray(nib.load(paths[0]).dataobj).astype(int))
    for folder in ("images", "labels"):
        (given.out / folder).mkdir(parents=True, exist_ok=True)
    for seed, path in enumerate(paths, 1):
        file = nib.load(path)
        labels = np.asarray(file.dataobj).astype(int)
        name = path.name.replace("training_seg_", "drawn")
        nib.save(nib.Nifti1Image(drawn(labels, known, seed), file.affine), given.out / "images" / name)
        sides = np.where(labels == LEFT, 1, np.where(labels == RIGHT, 2, 0)).astype(np.uint8)
        nib.save(nib.Nifti1Image(sides, file.affine), given.out / "labels" / name)


if __name__ == "__main__":
    main()
