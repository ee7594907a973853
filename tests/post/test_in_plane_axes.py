"""Long and short axis within a slice, against what is known by hand and a slow search."""

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from objects_for_tests import ORDERS, ball
from scipy.spatial.transform import Rotation

from medseg.post.in_plane_axes import in_plane_axes, slice_axis
from medseg.types import Geometry


def ellipse(size, long, short, turned, spacing=(1.0, 1.0)):
    x, y = np.meshgrid(*((np.arange(size) - size / 2) * step for step in spacing), indexing="ij")
    u, v = x * np.cos(turned) + y * np.sin(turned), -x * np.sin(turned) + y * np.cos(turned)
    return ((u / long) ** 2 + (v / short) ** 2 <= 1)[..., None]


def searched(mask, steps, long_direction, lines=4000):
    """Longest distance across, of lines close together: a little less than the longest of all."""
    across = np.array([-long_direction[1], long_direction[0]])
    corners = np.array([[-0.5, -0.5], [-0.5, 0.5], [0.5, 0.5], [0.5, -0.5]])
    voxels = (np.argwhere(mask)[:, None] + corners) @ steps.T
    along, height = voxels @ long_direction, voxels @ across
    best = 0.0
    for t in np.linspace(along.min(), along.max(), lines):
        crossings = []
        for n in range(4):
            (a, b), (p, q) = (along[:, n], along[:, n - 1]), (height[:, n], height[:, n - 1])
            hit = (np.minimum(a, b) <= t) & (t <= np.maximum(a, b)) & (a != b)
            crossings.append((p + (q - p) * (t - a) / np.where(a == b, 1, b - a))[hit])
        found = np.concatenate(crossings)
        best = max(best, np.ptp(found)) if len(found) else best
    return best


def test_a_rectangle_has_its_diagonal_and_what_fits_across_that():
    mask = np.zeros((9, 20, 4), bool)
    mask[2:4, 3:11, 1:3] = True
    long, short = in_plane_axes(mask, np.diag([1.5, 1.0, 9.0]), 2)
    assert long == pytest.approx(np.hypot(3, 8))
    assert short == pytest.approx(3 * np.hypot(3, 8) / 8)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 0.8)])
def test_an_ellipse_has_its_own(spacing):
    mask = ellipse(160, 30, 15, 0.6, spacing)
    long, short = in_plane_axes(mask, np.diag([*spacing, 3.0]), 2)
    voxel = np.hypot(*spacing)
    assert 60 - voxel < long < 60 + voxel
    assert 30 - voxel < short < 30 + voxel


def test_the_short_axis_is_that_of_a_slow_search():
    rng = np.random.default_rng(0)
    for seed in range(6):
        mask = rng.random((9, 8, 1)) < (0.3, 0.6)[seed % 2]
        steps = np.array([[0.9, 0.2], [0.0, 1.3]]) if seed > 2 else np.diag([0.7, 1.1])
        matrix = np.zeros((3, 3))
        matrix[:2, :2], matrix[2, 2] = steps, 5
        long, short = in_plane_axes(mask, matrix, 2)
        corners = (np.argwhere(mask[..., 0])[:, None] + [[-0.5, -0.5], [-0.5, 0.5], [0.5, 0.5], [0.5, -0.5]]) @ steps.T
        points = corners.reshape(-1, 2)
        between = points[:, None] - points
        lengths = np.linalg.norm(between, axis=-1)
        assert long == pytest.approx(lengths.max())
        a, b = np.unravel_index(lengths.argmax(), lengths.shape)
        found = searched(mask[..., 0], steps, between[a, b] / long)
        assert found <= short + 1e-9
        assert found == pytest.approx(short, rel=0.01)


def test_they_do_not_depend_on_how_the_scan_is_stored_or_turned():
    mask = ball((20, 24, 9), (9, 11, 4), 6) | ball((20, 24, 9), (13, 15, 5), 4)
    turned = Rotation.from_euler("xyz", (20, 30, 40), degrees=True).as_matrix() @ np.diag([0.8, 0.9, 2.5])
    geometry = Geometry(np.block([[turned, np.zeros((3, 1))], [np.zeros(3), 1]]), mask.shape)
    expected = in_plane_axes(mask, turned, 2)
    assert in_plane_axes(mask, np.diag([0.8, 0.9, 2.5]), 2) == pytest.approx(expected)
    for order in ORDERS[::7]:
        other = order.geometry(geometry)
        found = in_plane_axes(order.apply(mask), np.ascontiguousarray(other.affine[:3, :3]), slice_axis(other))
        assert found == pytest.approx(expected)


def test_slices_are_the_scanner_s_where_they_are_thick_and_else_axial():
    assert slice_axis(Geometry(np.diag([5.0, 1, 1, 1]), (20, 99, 99))) == 0
    assert slice_axis(Geometry(np.eye(4), (20, 99, 99))) == 2
    assert slice_axis(Geometry(np.eye(4)[[2, 0, 1, 3]], (20, 99, 99))) == 1
    assert slice_axis(Geometry(np.diag([1.0, 1, 9, 1]), (20, 1, 99))) == 1


def test_in_one_slice_the_long_axis_is_itk_s_feret_diameter_and_a_voxel():
    mask = ellipse(90, 30, 15, 0.6)
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.ComputeFeretDiameterOn()
    shape.Execute(sitk.GetImageFromArray(mask.astype(np.uint8).transpose(2, 1, 0)))
    long, _ = in_plane_axes(mask, np.eye(3), 2)
    # ITK measures from center to center of voxels.
    assert 0.8 < long - shape.GetFeretDiameter(1) < 1.5
