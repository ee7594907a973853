"""A label map without symmetries, and the places of its voxels, to compare what comes back with."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from small_series import small_series

from medseg.types import Code, Geometry, LabelClass, LabelMap, LabelTable, ModelIdentity, OverlappingLabels, Source

MODEL = ModelIdentity("hippocampus", "1", hashlib.sha256(b"package").hexdigest())
ANATOMY = Code("123037004", "SCT", "Anatomical Structure")
TABLE = LabelTable(
    (
        LabelClass(1, "liver", ANATOMY, Code("10200004", "SCT", "Liver"), (221, 130, 101)),
        LabelClass(2, "Größe α", color=(0, 114, 178)),
        LabelClass(3, "never found", color=(0, 158, 115)),
    )
)


def some_labels(geometry: Geometry, table: LabelTable = TABLE, seed: int = 0) -> LabelMap:
    """A block and a speckled block, on all slices but the first and the last two."""
    generator = np.random.default_rng(seed)
    array = np.zeros(geometry.shape, np.uint8)
    array[2:7, 3:6, 1:-2] = 1
    array[6:10, 2:9, 2:-2][generator.random(array[6:10, 2:9, 2:-2].shape) < 0.6] = 2
    return LabelMap(array, geometry, table)


def no_labels(geometry: Geometry) -> LabelMap:
    """Background alone."""
    return LabelMap(np.zeros(geometry.shape, np.uint8), geometry, TABLE)


def written(
    write: Callable[..., object], folder: Path, make: Callable[..., LabelMap] = some_labels, **series: Any
) -> tuple[Path, LabelMap, Source]:
    """A file of labels of a small series, with `encoding` where it is given; and the two it was made of."""
    how = {"encoding": series.pop("encoding")} if "encoding" in series else {}
    source, geometry = small_series(folder / "in", **series)
    labels = make(geometry)
    write(labels, source, folder / "labels.dcm", model=MODEL, **how)
    return folder / "labels.dcm", labels, source


def world(labels: LabelMap, value: int) -> set[tuple[int, ...]]:
    """World positions of a class's voxels, in hundredths of a millimeter."""
    positions = labels.geometry.to_world(np.argwhere(labels.array == value))
    return {tuple(p) for p in np.rint(positions * 100).astype(int)}


def nrrd(path: Path) -> tuple[np.ndarray, Geometry]:
    """Read an image with ITK: array (X, Y, Z) and its grid."""
    import SimpleITK as sitk  # noqa: N813

    image = sitk.ReadImage(path)
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image).transpose(2, 1, 0), Geometry(np.diag([-1, -1, 1, 1]) @ affine, image.GetSize())


def overlapping_labels(geometry: Geometry) -> OverlappingLabels:
    """A whole, a core that lies in it but for one voxel, and a class never found, on the slices of `some_labels`."""
    whole, core, nothing = np.zeros((3, *geometry.shape), bool)
    whole[2:8, 2:7, 1:-2] = True
    core[4:7, 3:5, 1:-2] = True
    core[8, 2, 2] = True
    return OverlappingLabels.of_masks(zip(TABLE, (whole, core, nothing), strict=True), geometry)
