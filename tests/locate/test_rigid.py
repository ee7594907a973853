"""Rigid registration of real heads that were moved by a known motion, and of what does not belong together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from shared_data import SHARED

from medseg.io.read import load_scan
from medseg.locate.rigid import register_rigid
from medseg.locate.sampling import Image
from medseg.types import Geometry
from medseg.types.axis_order import nearest_ras

HIPPOCAMPUS, HEADS = "data/hippocampus", "data/heads"


def image(path) -> Image:
    scan = load_scan(path)
    order = nearest_ras(scan.geometry)
    return Image(order.apply(scan.array[0]).astype(np.float32), order.geometry(scan.geometry))


def moved(fixed: Image, degrees, mm) -> tuple[Image, np.ndarray]:
    """The image as it would look after a motion, with noise and a gradient of brightness; and the motion."""
    grid = fixed.geometry
    center = grid.to_world(np.array(grid.shape) / 2)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    matrix[:3, 3] = np.array(mm) + center - matrix[:3, :3] @ center
    array = fixed.on(Geometry(np.linalg.inv(matrix) @ grid.affine, grid.shape))
    array = array * (1 + 0.15 * np.linspace(-1, 1, grid.shape[2])) + np.random.default_rng(0).normal(
        0, 0.02 * array.max(), array.shape
    )
    return Image(array.astype(np.float32), grid), matrix


def error_mm(found, fixed: Image, matrix) -> float:
    bright = np.argwhere(fixed.array > np.percentile(fixed.array, 60))
    points = fixed.geometry.to_world(bright[:: max(1, len(bright) // 500)])
    there = points @ matrix[:3, :3].T + matrix[:3, 3]
    return float(np.linalg.norm(found.to_fixed(there) - points, axis=1).max())


@pytest.mark.needs_data(HIPPOCAMPUS)
def test_a_crop_that_was_moved_is_found_to_within_a_voxel() -> None:
    fixed = image(sorted((SHARED / HIPPOCAMPUS / "imagesTr").glob("*.nii.gz"))[0])
    moving, matrix = moved(fixed, (4.0, -3.0, 3.0), (2.0, -1.0, 1.0))
    found = register_rigid(fixed, moving)
    assert error_mm(found, fixed, matrix) < 1.0
    assert found.inconsistency_mm < 1.0
    assert found.correlation > 0.8
    assert found.rotation_degrees == pytest.approx(5.8, abs=1.0)


@pytest.mark.slow
@pytest.mark.needs_data(HEADS)
def test_a_head_that_was_moved_is_found_and_other_heads_are_not() -> None:
    heads = {
        name: image(next(path for path in sorted((SHARED / HEADS / name).glob("*.nii.gz")) if "label" not in path.name))
        for name in ("adult_rorden_T1_head_2mm", "child3y_fnndsc_sag", "odd_ct_phantom_head")
    }
    fixed, *others = heads.values()
    moving, matrix = moved(fixed, (8.0, -5.0, 6.0), (6.0, -4.0, 9.0))
    found = register_rigid(fixed, moving)
    assert error_mm(found, fixed, matrix) < 1.5
    assert found.inconsistency_mm < 1.0
    for other in others:
        wrong = register_rigid(fixed, other)
        assert wrong.correlation < 0.6
        assert wrong.inconsistency_mm > 2.0
