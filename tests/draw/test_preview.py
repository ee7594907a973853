from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
from objects_for_tests import label_map
from PIL import Image

from medseg.draw.outline import Layer, number_places, paint
from medseg.draw.preview import draw_preview
from medseg.errors import GeometryMismatch
from medseg.io.read import load_scan
from medseg.post.volumes import measure_volumes
from medseg.types import Geometry, InstanceRow, Instances, LabelClass, LabelMap, LabelTable, Scan, Source

GREEN = (0, 255, 0)
TABLE = LabelTable((LabelClass(1, "nodule", color=GREEN),))


def scene() -> nib.Nifti1Image:
    """A body with a bright spot in its right, front, upper corner; x, y, z of different length and spacing."""
    array = np.zeros((30, 40, 20), np.float32)
    array[5:25, 5:35, 3:17] = 100
    array[20:24, 28:33, 12:16] = 200
    return nib.Nifti1Image(array, np.diag([2.0, 1.0, 3.0, 1.0]))


def drawn(image: nib.Nifti1Image) -> np.ndarray:
    array = np.asarray(image.dataobj)
    labels = label_map(array > 150, image.affine, TABLE)
    return np.asarray(draw_preview(Scan(array[None], labels.geometry), labels, measure_volumes(labels), size=120))


def test_right_is_left_on_the_preview_and_front_is_up():
    image = drawn(scene())
    green = (image[..., 1] > 200) & (image[..., 0] < 60) & (image[..., 2] < 60)
    axial, coronal, sagittal = (green[12:132, 12 + n * 132 : 132 + n * 132] for n in range(3))
    for pane in (axial, coronal, sagittal):
        rows, columns = np.nonzero(pane)
        assert len(rows) > 20
        assert columns.mean() < 60, "the spot is right and front, and so on the left"
        assert rows.mean() < 60, "the spot is front and up, and so at the top"


def test_the_preview_does_not_depend_on_how_the_axes_are_stored():
    source = scene()
    reference = drawn(source)
    for order in permutations(range(3)):
        for signs in product((1, -1), repeat=3):
            turned = source.as_reoriented(np.stack([order, signs], axis=1))
            assert np.array_equal(drawn(turned), reference)


def test_an_empty_prediction_and_a_flat_scan_can_be_drawn():
    labels = label_map(np.zeros((8, 9, 10)), table=TABLE)
    scan = Scan(np.full((1, 8, 9, 10), np.nan, np.float32), labels.geometry)
    image = draw_preview(scan, labels, measure_volumes(labels))
    assert image.width > image.height


def test_labels_of_another_grid_are_refused():
    labels = label_map(np.zeros((8, 9, 10)), np.diag([2.0, 1, 1, 1]), TABLE)
    scan = Scan(np.zeros((1, 8, 9, 10)), Geometry(np.eye(4), (8, 9, 10)))
    with pytest.raises(GeometryMismatch):
        draw_preview(scan, labels, measure_volumes(labels))


def test_a_mark_stands_below_the_legend():
    labels = label_map(np.random.default_rng(0).integers(0, 2, (20, 20, 20)), table=LabelTable.unnamed([1]))
    scan = Scan(labels.array[None].astype(np.float32), labels.geometry)
    plain, marked = (
        np.asarray(draw_preview(scan, labels, measure_volumes(labels), mark=mark))
        for mark in ("", "not what the model is for")
    )
    assert len(marked) > len(plain)
    assert np.array_equal(marked[: len(plain) - 12], plain[:-12])
    assert (marked[len(plain) - 12 :] > 200).any()


def test_many_classes_have_a_short_legend():
    labels = label_map(np.random.default_rng(0).integers(0, 118, (20, 20, 20)), table=LabelTable.unnamed(range(1, 118)))
    image = draw_preview(Scan(labels.array[None].astype(np.float32), labels.geometry), labels, measure_volumes(labels))
    assert image.height < 600


def test_a_2d_image_is_shown_in_color_beside_itself_with_its_objects_outlined():
    array = np.zeros((3, 60, 30, 1), np.uint8)
    array[0] = 200
    array[:, :2] = 0
    touching = np.zeros((60, 30, 1), np.int32)
    touching[10:30, 5:25], touching[30:50, 5:25] = 1, 2
    labels = label_map(touching > 0, table=TABLE)
    rows = tuple(InstanceRow(number, 1, True, None, 400) for number in (1, 2))
    objects = Instances(touching, labels.geometry, rows, TABLE)
    scan = Scan(array, labels.geometry, source=Source("image2d"))
    image = np.asarray(draw_preview(scan, labels, measure_volumes(labels), instances=objects, size=200))
    left, right = image[:, : image.shape[1] // 2], image[:, image.shape[1] // 2 :]
    green = (right == GREEN).all(axis=2)
    assert not (left == GREEN).all(axis=2)[:-40].any(), "the legend alone has the color"
    assert (left[..., 0].astype(int) - left[..., 1] > 150).sum() > 10_000, "red stays red"
    middle = image.shape[0] // 2 - 20
    columns = np.flatnonzero(green[middle])
    assert len(np.split(columns, np.flatnonzero(np.diff(columns) > 5) + 1)) == 3, "the line between the two is drawn"
    (row,) = measure_volumes(labels, objects).rows
    assert row.objects == 2


def test_a_2d_image_is_shown_the_way_it_is_stored(tmp_path):
    stored = np.zeros((60, 80, 3), np.uint8)
    stored[:15, :20, 0] = stored[-15:, :20, 1] = 255
    Image.fromarray(stored).save(tmp_path / "corners.png")
    scan = load_scan(tmp_path / "corners.png")
    labels = LabelMap(np.zeros(scan.geometry.shape, np.uint8), scan.geometry, LabelTable(()))
    drawn = np.asarray(draw_preview(scan, labels, measure_volumes(labels), size=300))
    left, top, height = 12, 12 + (456 - 342) // 2, 342
    assert drawn[top + 20, left + 20].tolist() == [255, 0, 0]
    assert drawn[top + height - 20, left + 20].tolist() == [0, 255, 0]


def test_a_dashed_outline_is_part_of_the_whole_one_wherever_it_runs():
    values = np.zeros((60, 60), np.uint8)
    values[10:50, 8:52] = 1
    drawn = {}
    for dashed in (False, True):
        base = np.zeros((60, 60, 3), np.uint8)
        paint(base, values, Layer(values[..., None], lambda _: (255, 255, 255), width=2, dashed=dashed))
        drawn[dashed] = base.any(axis=2)
    assert drawn[True].sum() < 0.8 * drawn[False].sum()
    assert (drawn[True] <= drawn[False]).all()
    for side in (np.s_[10, 8:52], np.s_[49, 8:52], np.s_[10:50, 8], np.s_[10:50, 51]):
        assert 0.3 < drawn[True][side].mean() < 0.9


def test_a_number_stands_in_a_wide_region_and_beside_a_narrow_one():
    values = np.zeros((80, 80), np.uint8)
    values[10:50, 10:50], values[60:64, 20:60], values[70:74, 60:80] = 1, 2, 3
    places = {value: (row, column) for value, row, column in number_places(values, (80, 80))}
    assert values[places[1]] == 1
    assert places[2][0] in range(60, 64)
    assert places[2][1] in range(60, 72)
    assert places[3][1] in range(48, 60), "to the left at the right end of the image"


def test_two_classes_look_different_in_gray():
    """Drawn in one color, that of both in gray."""
    table = LabelTable((LabelClass(1, "front", color=GREEN), LabelClass(2, "back", color=GREEN)))
    values = np.zeros((40, 40, 40), np.uint8)
    values[5:35, 22:36, 5:35], values[5:35, 4:18, 5:35] = 1, 2
    drawn = []
    for array in (values, np.choose(values, [0, 2, 1])):
        labels = label_map(array, table=table)
        scan = Scan(np.zeros((1, *array.shape), np.float32), labels.geometry)
        drawn.append(np.asarray(draw_preview(scan, labels, measure_volumes(labels)).convert("L")))
    assert drawn[0].shape == drawn[1].shape
    axial = (slice(12, 312), slice(12, 312))
    assert 50 < (drawn[0][axial] != drawn[1][axial]).sum() < 800, "two numbers have changed places"
