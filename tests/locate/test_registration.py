"""The template found again in copies of itself that were moved, nodded and scaled by known amounts."""

import numpy as np
import pytest
from shared_data import DATA

from medseg.errors import ModelError
from medseg.io.read import load_scan
from medseg.locate.plausibility import implausible_placement
from medseg.locate.registration import register, spread_mm
from medseg.locate.sampling import Image
from medseg.locate.template import load_template
from medseg.models.package import load_package
from medseg.types import Geometry
from medseg.types.axis_order import nearest_ras

PACKAGE = load_package("hippocampus")
LOCATE = PACKAGE.card.locate
CENTERS = np.array([region.center_mm for region in LOCATE.regions])


@pytest.fixture(scope="module")
def template():
    return load_template(PACKAGE.folder, LOCATE)


def moved_head(template):
    """The template's head moved by a known matrix, which comes with it."""
    angle = np.deg2rad(12)
    moved = np.eye(4)
    moved[:3, :3] = np.diag([0.95, 1.05, 0.92]) @ np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    moved[:3, 3] = [15, -40, 25]
    image = template.image
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = [-90, -170, -90]
    grid = Geometry(affine, (72, 90, 80))
    return Image(
        Image(image.array, Geometry(moved @ image.geometry.affine, image.geometry.shape)).on(grid), grid
    ), moved


@pytest.mark.slow
def test_a_moved_head_is_found_to_within_a_millimeter(template):
    head, moved = moved_head(template)
    found = register(template, head, CENTERS)
    true = CENTERS @ moved[:3, :3].T + moved[:3, 3]
    assert np.linalg.norm(found.to_scan(CENTERS) - true, axis=1).max() < 1
    assert np.allclose(found.to_template(found.to_scan(CENTERS)), CENTERS)
    assert implausible_placement(found, LOCATE.placement) == ()


@pytest.mark.slow
@pytest.mark.needs_data("data/heads")
def test_a_childs_turned_head_is_run_until_its_starts_end_at_one_place(template):
    """After the usual steps they end 9 mm apart."""
    scan = load_scan(DATA / "heads" / "child3y_fnndsc_sag" / "image.nii.gz")
    order = nearest_ras(scan.geometry)
    head = Image(order.apply(scan.array[0]).astype(np.float32), order.geometry(scan.geometry))
    middle = head.geometry.to_world((np.array(head.geometry.shape) - 1) / 2)
    motion = np.eye(4)
    motion[:2, :2] = [[np.cos(np.pi / 9), -np.sin(np.pi / 9)], [np.sin(np.pi / 9), np.cos(np.pi / 9)]]
    motion[:3, 3] = middle - motion[:3, :3] @ middle
    turned = Image(head.array, Geometry(motion @ head.geometry.affine, head.geometry.shape)).on(head.geometry)
    as_it_is, found = (register(template, image, CENTERS) for image in (head, Image(turned, head.geometry)))
    assert found.spread_mm < LOCATE.placement.spread_mm
    true = as_it_is.to_scan(CENTERS) @ motion[:3, :3].T + motion[:3, 3]
    assert np.linalg.norm(found.to_scan(CENTERS) - true, axis=1).max() < 4


def test_starts_that_end_elsewhere_are_no_reason_while_three_end_at_one_place():
    here, near, far = np.zeros((2, 3)), np.full((2, 3), [0.3, 0, 0.4]), np.full((2, 3), [0.0, 30, 40])
    assert spread_mm([here, far, near, far, near, far]) == pytest.approx(0.5)
    assert spread_mm([here, near, far, far, far]) == pytest.approx(50)
    assert spread_mm([far, near, here, near, here]) == pytest.approx(np.hypot(np.hypot(0.3, 30), 39.6))


@pytest.mark.slow
def test_a_head_is_placed_the_same_twice(template):
    head, _ = moved_head(template)
    assert np.array_equal(*(register(template, head, CENTERS).matrix for _ in range(2)))


def test_what_is_no_head_is_told(template):
    """A ball of the size of a head, bright in the middle."""
    grid = Geometry(np.diag([4.0, 4.0, 4.0, 1.0]), (50, 60, 50))
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1) - [25, 30, 25]
    ball = np.clip(20 - np.linalg.norm(index, axis=-1), 0, 5).astype(np.float32)
    reasons = implausible_placement(register(template, Image(ball, grid), CENTERS), LOCATE.placement)
    assert any("gray matter is not as bright" in text for text in reasons)


def test_a_changed_template_is_refused(tmp_path):
    (tmp_path / "locate").mkdir()
    for name in LOCATE.files:
        (tmp_path / "locate" / name).write_bytes((PACKAGE.folder / "locate" / name).read_bytes())
    load_template(tmp_path, LOCATE)
    with (tmp_path / "locate" / "brain.nii.gz").open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(ModelError, match="missing or not the one the card describes"):
        load_template(tmp_path, LOCATE)
