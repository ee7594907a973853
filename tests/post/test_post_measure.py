"""Measures of objects against analytic truths, brute force and SimpleITK."""

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from objects_for_tests import ball, instances, label_map, oblique_affine, orientations, random_blobs
from scipy.spatial.distance import pdist

from medseg.errors import GeometryMismatch, InputError
from medseg.post.components import components
from medseg.post.diameter import longest_diameter
from medseg.post.measure import located, measure, score
from medseg.post.surface_area import perimeter, sphericity, surface_area
from medseg.types import Geometry, Instances, Scan

SPACINGS = [(1.0, 1.0, 1.0), (0.8, 0.8, 2.5), (2.0, 0.5, 1.0)]


def brute_force_diameter(mask, matrix, flat=None):
    corners = np.array([[i, j, k] for i in (-0.5, 0.5) for j in (-0.5, 0.5) for k in (-0.5, 0.5)])
    if flat is not None:
        corners[:, flat] = 0
    points = (np.argwhere(mask)[:, None] + corners).reshape(-1, 3)
    return pdist(points @ matrix.T).max()


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("size", [(1, 1, 1), (7, 3, 12), (1, 9, 1), (30, 30, 30)])
def test_diameter_of_a_box_is_its_diagonal(size, spacing):
    mask = np.ones(size, bool)
    assert longest_diameter(mask, np.diag(spacing)) == pytest.approx(np.linalg.norm(np.multiply(size, spacing)))


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)),
    density=st.floats(0.02, 0.9),
    sheared=st.booleans(),
    flat=st.sampled_from([None, 0, 1, 2]),
)
def test_diameter_equals_brute_force(seed, shape, density, sheared, flat):
    if flat is not None:
        shape = tuple(1 if axis == flat else n for axis, n in enumerate(shape))
    mask = np.random.default_rng(seed).random(shape) < density
    mask.flat[0] = True
    matrix = oblique_affine()[:3, :3]
    if sheared:
        matrix = matrix @ np.array([[1, 0.2, 0], [0, 1, 0.3], [0, 0, 1]])
    assert longest_diameter(mask, matrix, flat) == pytest.approx(brute_force_diameter(mask, matrix, flat))


def test_diameter_of_a_large_ball_and_shell():
    solid = ball((61, 61, 61), (30, 30, 30), 28)
    shell = solid & ~ball((61, 61, 61), (30, 30, 30), 26)
    assert longest_diameter(solid, np.eye(3)) == longest_diameter(shell, np.eye(3))
    assert 56 <= longest_diameter(solid, np.eye(3)) <= 56 + np.sqrt(3)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("radius", [8.0, 12.3, 20.0])
def test_surface_and_sphericity_of_balls(radius, spacing):
    shape = [2 * int(radius / s) + 5 for s in spacing]
    mask = ball(shape, [n // 2 for n in shape], radius, spacing)
    matrix = np.diag(spacing)
    assert surface_area(mask, matrix) == pytest.approx(4 * np.pi * radius**2, rel=0.035)
    assert 0.96 < sphericity(mask, matrix) <= 1


def test_surface_does_not_depend_on_where_the_ball_lies():
    rng = np.random.default_rng(0)
    areas = [surface_area(ball((30, 30, 30), 14.5 + rng.uniform(-0.5, 0.5, 3), 10), np.eye(3)) for _ in range(20)]
    assert np.mean(areas) == pytest.approx(4 * np.pi * 100, rel=0.005)
    assert np.std(areas) < 0.01 * np.mean(areas)


def test_boxes_are_less_spherical_and_the_known_bias_of_faces_along_the_grid():
    cube = np.ones((40, 40, 40), bool)
    assert 0.9 < surface_area(cube, np.eye(3)) / (6 * 40**2) < 0.93
    assert (np.pi / 6) ** (1 / 3) < sphericity(cube, np.eye(3)) < 0.89
    assert sphericity(np.ones((4, 4, 160), bool), np.eye(3)) < 0.45


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 0.8, 1.6)])
def test_surface_equals_simple_itk(spacing):
    mask = ball((40, 40, 40), (20, 18, 21), 11, spacing) | ball((40, 40, 40), (26, 25, 14), 7, spacing)
    picture = SimpleITK.GetImageFromArray(mask.astype(np.uint8).T)
    picture.SetSpacing(spacing)
    peer = SimpleITK.LabelShapeStatisticsImageFilter()
    peer.ComputePerimeterOn()
    peer.Execute(picture)
    assert surface_area(mask, np.diag(spacing)) == pytest.approx(peer.GetPerimeter(1), rel=0.03)


@pytest.mark.parametrize("flat", [0, 1, 2])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.5, 1.0, 1.5)])
def test_perimeter_and_roundness_of_discs(flat, spacing):
    shape = [1 if axis == flat else 61 for axis in range(3)]
    mask = ball(shape, [n // 2 for n in shape], 13, spacing)
    matrix = np.diag(spacing)
    assert perimeter(mask, matrix, flat) == pytest.approx(2 * np.pi * 13, rel=0.03)
    assert sphericity(mask, matrix, flat) > 0.96
    square = np.ones([1 if axis == flat else 30 for axis in range(3)], bool)
    assert np.sqrt(np.pi) / 2 < sphericity(square, np.eye(3), flat) < 0.95


def test_one_voxel():
    array = np.zeros((5, 5, 5))
    array[2, 3, 1] = 1
    row = measure(components(label_map(array, np.diag([1, 2, 3, 1])))).rows[0]
    assert row.measures.volume_ml == pytest.approx(0.006)
    assert row.measures.centroid_mm == (2, 6, 3)
    assert row.measures.diameter_mm == pytest.approx(np.sqrt(14))
    assert row.measures.sphericity == 1


def test_a_slice_of_a_volume_is_not_a_picture():
    array = np.zeros((9, 9, 9))
    array[2:7, 2:7, 4] = 1
    thin = measure(components(label_map(array))).rows[0].measures
    picture = measure(components(label_map(array[:, :, 4:5]))).rows[0].measures
    assert thin.diameter_mm == pytest.approx(np.sqrt(51))
    assert picture.diameter_mm == pytest.approx(np.sqrt(50))
    assert thin.sphericity < picture.sphericity


def test_measures_are_the_same_in_all_48_orientations():
    labels = label_map(random_blobs((8, 9, 10), seed=11, density=0.3), oblique_affine())
    first = measure(components(labels)).rows
    for turned, _ in orientations(labels):
        for row, expected in zip(measure(components(turned)).rows, first, strict=True):
            assert row.measures.diameter_mm == pytest.approx(expected.measures.diameter_mm)
            assert row.measures.sphericity == pytest.approx(expected.measures.sphericity)


def test_intensity_of_each_channel():
    array = np.zeros((4, 4, 4))
    array[0], array[3] = 1, 1
    labels = label_map(array)
    voxels = np.stack([np.arange(64).reshape(4, 4, 4), np.full((4, 4, 4), -2)]).astype(np.float32)
    found = measure(components(labels), Scan(voxels, labels.geometry))
    assert [row.measures.mean_intensity for row in found.rows] == [(7.5, -2.0), (55.5, -2.0)]


def test_a_scan_elsewhere_and_scores_of_another_shape_are_refused():
    found = components(label_map(np.ones((4, 4, 4))))
    moved = np.eye(4)
    moved[0, 3] = 1
    with pytest.raises(GeometryMismatch, match="1 mm apart"):
        measure(found, Scan(np.zeros((1, 4, 4, 4)), Geometry(moved, (4, 4, 4))))
    with pytest.raises(InputError, match="3 classes"):
        score(found, np.zeros((3, 4, 4, 4)))


def test_rows_without_measures_are_located_first():
    ids = np.zeros((6, 6, 6), np.int32)
    ids[:2], ids[4:] = 3, 4_000_000
    both = instances(ids)
    assert [row.measures.start for row in located(both).rows] == [(0, 0, 0), (4, 0, 0)]
    assert [row.id for row in measure(both).rows] == [3, 4_000_000]
    wrong = Instances(ids, both.geometry, both.rows[:1], both.table)
    with pytest.raises(InputError, match="lists 1 object and the id map holds 2"):
        located(wrong)
