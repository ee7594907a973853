"""Two time points of a phantom under a known rigid motion, with lesions whose truth is known by formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from dicom_phantom import Array, write_series
from dicom_phantom import grid as dicom_grid
from pydicom.dataset import Dataset

from medseg.io.read import load_scan
from medseg.types import Geometry

SHAPE, SPACING = (56, 64, 48), (2.0, 1.5, 2.5)
ANGLE, SHIFT = np.deg2rad(7.0), (5.0, -4.0, 3.0)


@dataclass(frozen=True)
class Ball:
    """A lesion: center in the earlier world, mm, and its radius at both times; 0 where it is not there."""

    center: tuple[float, float, float]
    before: float
    after: float


# Radii are chosen so that half a voxel's shift of the boundary does not explain the change.
LESIONS = {
    "grown": Ball((-20.0, 12.0, 8.0), 5.0, 8.0),
    "shrunk": Ball((22.0, 10.0, 5.0), 8.0, 5.0),
    "unchanged": Ball((0.0, -20.0, 0.0), 7.0, 7.0),
    "new": Ball((-18.0, -14.0, -12.0), 0.0, 6.0),
    "gone": Ball((20.0, -16.0, -10.0), 6.0, 0.0),
}


def motion() -> Array:
    """Earlier world to later world: turned about two axes, and moved."""
    c, s = np.cos(ANGLE), np.sin(ANGLE)
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
    matrix[:3, 3] = SHIFT
    return matrix


def grid(spacing: Sequence[float]) -> Geometry:
    """The field of view with voxels of this size."""
    x, y, z = (round(n * mm / own) for n, mm, own in zip(SHAPE, SPACING, spacing, strict=True))
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -(np.array([x, y, z]) - 1) / 2 * spacing
    return Geometry(affine, (x, y, z))


def world_of(geometry: Geometry) -> Array:
    """World points of all voxels, shape (X, Y, Z, 3)."""
    return geometry.to_world(np.moveaxis(np.indices(geometry.shape), 0, -1))


def labels_at(world: Array, lesions: Sequence[Ball], *, after: bool) -> Array:
    """1 inside a lesion, at points of that time's own world."""
    points = _earlier(world, after=after)
    inside = [
        np.linalg.norm(points - one.center, axis=-1) <= radius
        for one in lesions
        if (radius := one.after if after else one.before)
    ]
    return np.any(inside, axis=0).astype(np.uint8) if inside else np.zeros(points.shape[:-1], np.uint8)


def image_at(world: Array, lesions: Sequence[Ball], *, after: bool) -> Array:
    """A body with structures in it and bright lesions, at points of that time's own world, with noise."""
    p = _earlier(world, after=after)
    body = ((p / [44.0, 40.0, 48.0]) ** 2).sum(axis=-1) < 1
    inner = (((p - [3.0, 2.0, 0.0]) / [34.0, 31.0, 38.0]) ** 2).sum(axis=-1) < 1
    waves = np.sin(p[..., 0] / 6.0) * np.cos(p[..., 1] / 7.0) + np.sin(p[..., 2] / 5.0 + p[..., 0] / 11.0)
    image = np.where(body, 90.0, 0.0) + np.where(inner, 60.0 + 25.0 * waves, 0.0)
    image[labels_at(world, lesions, after=after) > 0] = 260.0
    return image + np.random.default_rng(int(after)).normal(0, 4.0, image.shape)


def _earlier(world: Array, *, after: bool) -> Array:
    back = np.linalg.inv(motion()) if after else np.eye(4)
    return world @ back[:3, :3].T + back[:3, 3]


@dataclass(frozen=True)
class Pair:
    """Paths of labels and scans at both times."""

    before: Path
    after: Path
    scans: tuple[Path, Path]


def write_pair(
    folder: Path,
    lesions: Sequence[Ball] = tuple(LESIONS.values()),
    *,
    spacing_after: Sequence[float] = (1.5, 2.0, 2.0),
) -> Pair:
    """Write both times as NIfTI, each on a grid of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, spacing in (("before", SPACING), ("after", spacing_after)):
        geometry, after = grid(spacing), name == "after"
        world = world_of(geometry)
        for kind, made in (("", labels_at), ("-scan", image_at)):
            array = made(world, lesions, after=after)
            array = array.astype(np.uint8 if kind == "" else np.float32)
            nib.save(nib.Nifti1Image(array, geometry.affine), folder / f"{name}{kind}.nii.gz")
    before, after_, *scans = (folder / f"{name}.nii.gz" for name in ("before", "after", "before-scan", "after-scan"))
    return Pair(before, after_, (scans[0], scans[1]))


def write_dicom_pair(
    folder: Path, lesions: Sequence[Ball], *, edit: Callable[[Dataset, bool], None] | None = None
) -> Pair:
    """Write both times as DICOM series in one space, the labels as NIfTI; `edit` is given each header."""
    paths = []
    matrix = motion()

    def own(world: Array, *, after: bool) -> Array:
        """Where a point of the one space lies in a time's own world."""
        return world @ matrix[:3, :3].T + matrix[:3, 3] if after else world

    for after in (False, True):
        name = "after" if after else "before"
        where = dicom_grid(columns=64, rows=64, slices=34, spacing=(1.7, 1.7), step=3.5)
        write_series(
            folder / name,
            where,
            modality="MR",
            name=f"study-{name}",
            intercept=0.0,
            values=lambda world, after=after: np.maximum(image_at(own(world, after=after), lesions, after=after), 0),
            edit=None if edit is None else lambda header, _k, after=after: edit(header, after),
        )
        scan = load_scan(folder / name)
        labels = labels_at(own(world_of(scan.geometry), after=after), lesions, after=after)
        paths.append(folder / f"{name}.nii.gz")
        nib.save(nib.Nifti1Image(labels, scan.geometry.affine), paths[-1])
    return Pair(paths[0], paths[1], (folder / "before", folder / "after"))
