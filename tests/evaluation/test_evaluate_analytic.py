"""Cases whose answers are known in closed form."""

import math

import numpy as np
import pytest
from objects_for_tests import ball, label_map

from medseg.evaluation.metrics.measure import measure_case
from medseg.evaluation.options import EvaluateOptions
from medseg.types import LabelTable

CUBE = (40, 40, 40)
ISOTROPIC = (1.0, 1.0, 1.0)


def measure(reference, prediction, spacing=ISOTROPIC, tolerance=1.0, **options):
    maps = [label_map(mask, np.diag([*spacing, 1.0]), LabelTable.unnamed([1])) for mask in (reference, prediction)]
    options = EvaluateOptions(tolerances_mm=(tolerance,), **options)
    values = measure_case(*maps, {"object": (1,)}, options).values["object"]
    return values | {"nsd": values[f"nsd@{tolerance:g}mm"]}


def box(low, high, shape=CUBE):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return mask


def assert_close(values, **expected):
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, abs=1e-9), name


CUBE_AT_10 = box((10, 10, 10), (20, 20, 20))
EMPTY = np.zeros(CUBE, bool)
DISTANCES = ("hd", "hd95", "assd", "masd")


@pytest.mark.parametrize("mask", [CUBE_AT_10, box((5, 5, 5), (6, 6, 6)), ~EMPTY], ids=["box", "voxel", "image"])
def test_identical_masks(mask):
    values = measure(mask, mask)
    assert_close(values, dice=1, iou=1, precision=1, recall=1, hd=0, hd95=0, assd=0, masd=0, nsd=1, boundary_iou=1)
    assert_close(values, volume_ml=mask.sum() / 1000, volume_difference_ml=0, relative_volume_difference=0)


def test_box_shifted_by_two_voxels():
    values = measure(CUBE_AT_10, box((12, 10, 10), (22, 20, 20)), tolerance=2)
    assert_close(values, dice=0.8, iou=2 / 3, precision=0.8, recall=0.8, hd=2, hd95=2, nsd=1)


@pytest.mark.parametrize("tolerance", [0.8, 0.6, 1.1])
def test_a_tolerance_of_one_voxel_whose_spacing_is_a_float32(tolerance):
    """As a header holds it, the spacing is a little more than the number that was meant."""
    spacing = float(np.float32(tolerance))
    assert spacing > tolerance
    shifted = box((11, 10, 10), (21, 20, 20))
    assert_close(measure(CUBE_AT_10, shifted, (spacing, 1.0, 1.0), tolerance), nsd=1)
    assert measure(CUBE_AT_10, shifted, (1.001 * spacing, 1.0, 1.0), tolerance)["nsd"] < 1


def test_shift_along_all_axes_of_an_anisotropic_grid():
    values = measure(CUBE_AT_10, box((11, 12, 12), (21, 22, 22)), (3.0, 2.0, 0.5), tolerance=5.1)
    assert_close(values, dice=0.9 * 0.8 * 0.8, iou=0.576 / (2 - 0.576), hd=math.sqrt(26), nsd=1)


def test_nested_boxes_of_an_anisotropic_grid():
    values = measure(box((8, 8, 8), (28, 28, 28)), box((10, 10, 10), (26, 26, 26)), (1.5, 0.8, 0.8), tolerance=3.8)
    assert_close(values, dice=2 * 16**3 / (16**3 + 20**3), hd=math.sqrt(3**2 + 2 * 1.6**2), nsd=1, precision=1)
    assert values["dice"] == pytest.approx(0.6772, abs=5e-5)
    assert values["hd"] == pytest.approx(3.758, abs=5e-4)


def test_single_voxels_apart():
    values = measure(box((5, 5, 5), (6, 6, 6)), box((8, 9, 5), (9, 10, 6)))
    assert_close(values, dice=0, iou=0, hd=5, hd95=5, assd=5, masd=5, nsd=0)


@pytest.mark.parametrize(
    ("shape", "spacing", "tolerance", "slack", "nsd"),
    [((64, 64, 64), ISOTROPIC, 3.0, 0.6, 0), ((26, 72, 72), (2.5, 0.8, 0.8), 8.0, 1.3, 1)],
)
def test_concentric_balls(shape, spacing, tolerance, slack, nsd):
    middle = [(n - 1) / 2 for n in shape]
    values = measure(*(ball(shape, middle, radius, spacing) for radius in (20, 25)), spacing, tolerance)
    assert values["dice"] == pytest.approx(2 * 20**3 / (20**3 + 25**3), abs=0.01)
    assert [values[name] for name in ("hd95", "assd", "masd")] == pytest.approx([5] * 3, abs=slack)
    assert values["nsd"] == nsd


def test_slabs_that_touch_the_image_border():
    values = measure(box((0, 0, 0), (10, 40, 40)), box((0, 0, 0), (13, 40, 40)), (2.0, 1.0, 1.0), tolerance=6)
    assert_close(values, dice=20 / 23, iou=10 / 13, hd=6, nsd=1)


def test_both_empty_is_undefined():
    values = measure(EMPTY, EMPTY)
    undefined = ("dice", "iou", "precision", "recall", "nsd", "boundary_iou", "pq", "rq", "f1@0.5", "ap@0.5")
    undefined += (*DISTANCES, "lesion_dice", "relative_volume_difference")
    assert all(math.isnan(values[name]) for name in undefined)
    assert_close(values, volume_ml=0, volume_difference_ml=0, objects_reference=0)


def test_empty_prediction():
    values = measure(CUBE_AT_10, EMPTY)
    assert_close(values, dice=0, iou=0, recall=0, nsd=0, boundary_iou=0, pq=0, rq=0, volume_difference_ml=-1)
    assert all(values[name] == math.inf for name in DISTANCES)
    assert math.isnan(values["precision"])
    assert_close(values, relative_volume_difference=-1, lesion_dice=0, lesion_fn=1)


def test_empty_reference():
    values = measure(EMPTY, CUBE_AT_10)
    assert_close(values, dice=0, iou=0, precision=0, nsd=0, boundary_iou=0, pq=0, rq=0, volume_difference_ml=1)
    assert all(values[name] == math.inf for name in DISTANCES)
    assert math.isnan(values["recall"])
    assert values["relative_volume_difference"] == math.inf


def test_hd95_is_the_larger_directed_percentile():
    """The island is 5.7% of the prediction's border and none of the reference's: pooled, the 95th percentile is 0."""
    shape = (40, 40, 80)
    big = box((5, 5, 5), (25, 25, 25), shape)
    values = measure(big, big | box((5, 5, 60), (10, 11, 66), shape))
    assert values["hd95"] == pytest.approx(36, abs=0.5)
    border = 20**3 - 18**3
    island = 5 * 6 * 6 - 3 * 4 * 4
    assert island / (border + island) == pytest.approx(0.057, abs=5e-4)
    pooled = np.r_[np.zeros(2 * border), np.full(island, 36.0)]
    assert np.percentile(pooled, 95) == 0


def test_assd_and_masd_differ_where_the_surfaces_differ_in_size():
    values = measure(box((10, 10, 10), (11, 11, 11)), box((10, 10, 10), (11, 11, 20)))
    assert_close(values, assd=45 / 11, masd=(0 + 4.5) / 2)


def test_boundary_band_has_the_width_asked_for_in_mm():
    reference, prediction = box((0, 0, 0), (20, 40, 40)), box((0, 0, 0), (21, 40, 40))

    def band(mask, width):
        inner = np.zeros_like(mask)
        low, stop = width + 1, int(mask.any(axis=(1, 2)).sum())
        inner[low : stop - width - 1, low : 40 - width - 1, low : 40 - width - 1] = True
        return mask & ~inner

    for width in (1, 2, 3):
        got = measure(reference, prediction, boundary_width_mm=width)["boundary_iou"]
        a, b = band(reference, width), band(prediction, width)
        assert got == pytest.approx((a & b).sum() / (a | b).sum())


def test_one_slice_is_measured_as_a_picture():
    shape = (40, 40, 1)
    square, shifted = box((10, 10, 0), (20, 20, 1), shape), box((12, 10, 0), (22, 20, 1), shape)
    values = measure(square, shifted, (1.0, 1.0, 7.0), tolerance=1)
    assert_close(values, dice=0.8, hd=2)
    # 36 pixels are on the outline of a square of ten; seven of every side's ten do not move.
    outline = square.copy()
    outline[11:19, 11:19] = False
    other = np.roll(outline, 2, axis=0)
    gaps = [min(math.dist(p, q) for q in np.argwhere(other[..., 0])) for p in np.argwhere(outline[..., 0])]
    assert len(gaps) == 36
    assert values["assd"] == pytest.approx(np.mean(gaps))
    assert values["nsd"] == pytest.approx(np.mean(np.array(gaps) <= 1))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_picture_measures_the_same_along_every_axis(axis):
    rng = np.random.default_rng(3)
    a, b = (rng.random((2, 12, 14)) < 0.5)[:, None]
    expected = measure(np.moveaxis(a, 0, 2), np.moveaxis(b, 0, 2))
    got = measure(np.moveaxis(a, 0, axis), np.moveaxis(b, 0, axis))
    assert got == pytest.approx(expected, nan_ok=True)
