import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from objects_for_tests import oblique_affine

from medseg.errors import GeometryMismatch, InputError
from medseg.types import Geometry

ANGLES = st.floats(-3.14, 3.14)
SPACINGS = st.floats(0.1, 10)


@given(st.tuples(ANGLES, ANGLES, ANGLES), st.tuples(SPACINGS, SPACINGS, SPACINGS))
def test_spacing_and_volume_do_not_depend_on_rotation(angles: tuple[float, ...], spacing: tuple[float, ...]) -> None:
    geometry = Geometry(oblique_affine(spacing, angles=angles), (4, 5, 6))
    assert geometry.spacing == pytest.approx(spacing)
    assert geometry.voxel_volume == pytest.approx(np.prod(spacing))
    assert not geometry.is_sheared


@given(st.tuples(ANGLES, ANGLES, ANGLES), st.tuples(SPACINGS, SPACINGS, SPACINGS))
def test_world_and_voxel_are_each_others_inverse(angles: tuple[float, ...], spacing: tuple[float, ...]) -> None:
    geometry = Geometry(oblique_affine(spacing, (10, -20, 30), angles), (4, 5, 6))
    points = np.array([[0, 0, 0], [3, 4, 5], [1.5, 2.5, 0.25]])
    assert geometry.to_voxel(geometry.to_world(points)) == pytest.approx(points, abs=1e-6)


@pytest.mark.parametrize("signs", [(-1, 1, 1), (1, -1, 1), (-1, -1, -1)])
def test_the_volume_of_a_mirrored_voxel_is_positive(signs: tuple[int, int, int]) -> None:
    assert Geometry(np.diag([*np.multiply(signs, (2, 3, 4)), 1.0]), (2, 2, 2)).voxel_volume == pytest.approx(24)


def test_orientation_names_where_the_axes_run_to() -> None:
    assert Geometry(np.eye(4), (2, 2, 2)).orientation == "RAS"
    assert Geometry(np.diag([-1.0, -1, 1, 1]), (2, 2, 2)).orientation == "LPS"


def test_a_tilted_gantry_is_sheared_and_keeps_its_volume() -> None:
    tilted = np.eye(4)
    tilted[1, 2] = 0.3
    geometry = Geometry(tilted, (2, 2, 2))
    assert geometry.is_sheared
    assert geometry.voxel_volume == pytest.approx(1.0)


def test_grids_match_up_to_what_headers_lose() -> None:
    grid = Geometry(np.diag([0.7, 0.7, 3, 1]), (512, 512, 100))
    grid.match(Geometry(grid.affine.astype(np.float32), grid.shape))
    moved = grid.affine.copy()
    moved[0, 3] += 0.1
    with pytest.raises(GeometryMismatch, match=r"corners up to 0\.1 mm apart"):
        grid.match(Geometry(moved, grid.shape))
    with pytest.raises(GeometryMismatch, match="shapes"):
        grid.match(Geometry(grid.affine, (512, 512, 99)))


def test_a_small_rotation_that_moves_far_corners_is_a_mismatch() -> None:
    grid = Geometry(np.eye(4), (500, 500, 500))
    turned = Geometry(oblique_affine((1, 1, 1), (0, 0, 0), (0, 0, 0.001)), grid.shape)
    assert not grid.matches(turned)


@pytest.mark.parametrize(
    ("affine", "shape"),
    [
        (np.zeros((4, 4)), (2, 2, 2)),
        (np.full((4, 4), np.nan), (2, 2, 2)),
        (np.eye(3), (2, 2, 2)),
        (np.diag([1.0, 1, 0, 1]), (2, 2, 2)),
        (np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), (2, 2, 2)),
        (np.diag([1.0, 1, 1, 2]), (2, 2, 2)),
        *((np.eye(4), shape) for shape in ((0, 2, 2), (2, 2), (2, 2, 2, 2))),
    ],
)
def test_what_is_no_grid_of_a_volume_is_refused(affine: np.ndarray, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError):
        Geometry(affine, shape)  # type: ignore[arg-type]


def test_a_geometry_cannot_be_changed_behind_ones_back() -> None:
    mine = np.eye(4)
    geometry = Geometry(mine, (2, 2, 2))
    mine[0, 3] = 5
    assert geometry.affine[0, 3] == 0
    with pytest.raises(ValueError, match="read-only"):
        geometry.affine[0, 3] = 5


@pytest.mark.parametrize(
    ("affine", "words"),
    [
        (np.diag([1, 1e20, 1, 1]), r"1e\+20 mm large"),
        (np.diag([1, 1e200, 1, 1]), r"1e\+200 mm large"),
        (np.diag([1, 1e-20, 1, 1]), "1e-20 to 1 mm large"),
        ([[1, 0, 0, 0], [0, 1, 0, -1e30], [0, 0, 1, 0], [0, 0, 0, 1]], r"1e\+30 mm away"),
    ],
)
def test_numbers_that_no_scan_has_are_refused(affine, words):
    with pytest.raises(InputError, match=words):
        Geometry(affine, (4, 4, 4))
    Geometry(np.diag([1e-7, 3, 1000, 1]), (4, 4, 4))  # from an electron microscope to a whole body
