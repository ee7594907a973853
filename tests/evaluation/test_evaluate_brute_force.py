"""Against the plainest possible computation: every border voxel against every other."""

import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from objects_for_tests import label_map
from scipy.spatial.distance import cdist

from medseg.evaluation.metrics import nearest, overlap
from medseg.evaluation.metrics.boundary import boundary_iou
from medseg.evaluation.metrics.measure import measure_case
from medseg.evaluation.metrics.nearest import Steps, nearest_distances
from medseg.evaluation.metrics.overlap import confusion
from medseg.evaluation.metrics.surface_voxels import border_voxels
from medseg.evaluation.options import EvaluateOptions
from medseg.types import LabelTable

shapes = st.tuples(*[st.integers(1, 7)] * 3)
TABLE = LabelTable.unnamed([1, 2, 3])
spacings = st.tuples(*[st.sampled_from([0.5, 0.8, 1.0, 2.5, 7.0])] * 3)


@st.composite
def pairs(draw, largest=3):
    shape = draw(shapes)
    values = st.sampled_from([0] * 3 + list(range(largest + 1)))
    return draw(arrays(np.uint8, shape, elements=values)), draw(arrays(np.uint8, shape, elements=values))


def plain_border(mask):
    """Voxels with a face neighbor outside the mask, an axis at a time, voxel by voxel."""
    real = [axis for axis in range(3) if mask.shape[axis] > 1]
    border = np.zeros(mask.shape, bool)
    for voxel in map(tuple, np.argwhere(mask)):
        for axis, step in itertools.product(real, (-1, 1)):
            other = list(voxel)
            other[axis] += step
            outside = not 0 <= other[axis] < mask.shape[axis]
            border[voxel] |= outside or not mask[tuple(other)]
        border[voxel] |= not real
    return border


def plain_measures(a, b, affine, tolerance, width):
    points = [np.argwhere(plain_border(m)) @ affine[:3, :3].T for m in (a, b)]
    if not len(points[0]) or not len(points[1]):
        nothing = not len(points[0]) and not len(points[1])
        far, near = (np.nan, np.nan) if nothing else (np.inf, 0.0)
        return {"hd": far, "hd95": far, "assd": far, "masd": far, "nsd": near, "boundary_iou": near}
    gaps = cdist(*points)
    to_b, to_a = gaps.min(axis=1), gaps.min(axis=0)
    bands = []
    for mask, border in zip((a, b), points, strict=True):
        inside = np.argwhere(mask)
        bands.append({tuple(v) for v in inside[cdist(inside @ affine[:3, :3].T, border).min(axis=1) <= width + 1e-9]})
    return {
        "hd": max(to_a.max(), to_b.max()),
        "hd95": max(np.percentile(to_a, 95), np.percentile(to_b, 95)),
        "assd": np.r_[to_a, to_b].mean(),
        "masd": (to_a.mean() + to_b.mean()) / 2,
        "nsd": (np.r_[to_a, to_b] <= tolerance + 1e-6).mean(),
        "boundary_iou": len(bands[0] & bands[1]) / len(bands[0] | bands[1]),
    }


@settings(max_examples=150)
@given(pair=pairs(), spacing=spacings, order=st.sampled_from("CF"))
def test_every_measure_of_every_class(pair, spacing, order):
    affine = np.diag([*spacing, 1.0])
    maps = [label_map(np.asarray(array, order=order), affine, TABLE) for array in pair]
    classes = {"a": (1,), "b": (2,), "c": (3,), "a or c": (1, 3)}
    options = EvaluateOptions(tolerances_mm=(2.5,), boundary_width_mm=1.6)
    measured = measure_case(*maps, classes, options).values
    for name, members in classes.items():
        a, b = (np.isin(array, members) for array in pair)
        expected = plain_measures(a, b, affine, 2.5, 1.6)
        got = measured[name]
        assert {k: got["nsd@2.5mm" if k == "nsd" else k] for k in expected} == pytest.approx(expected, nan_ok=True)
        if a.any() or b.any():
            assert got["dice"] == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()))
            assert got["iou"] == pytest.approx((a & b).sum() / (a | b).sum())
        assert got["volume_difference_ml"] == pytest.approx((b.sum() - a.sum()) * np.prod(spacing) / 1000)


# Axes that are at right angles but for a thousandth count as being so.
SHEARS = st.floats(-0.6, 0.6).filter(lambda shear: shear == 0 or abs(shear) > 0.002)


@settings(max_examples=60)
@given(pair=pairs(largest=1), shear=SHEARS, spacing=spacings)
def test_a_sheared_grid_is_measured_in_the_world(pair, shear, spacing):
    affine = np.diag([*spacing, 1.0])
    affine[1, 2] = shear * spacing[2]
    maps = [label_map(array, affine, TABLE) for array in pair]
    got = measure_case(*maps, {"a": (1,)}, EvaluateOptions(tolerances_mm=(2.5,), boundary_width_mm=1.6)).values["a"]
    expected = plain_measures(pair[0] == 1, pair[1] == 1, affine, 2.5, 1.6)
    distances = ("hd", "hd95", "assd", "masd")
    assert [got[k] for k in distances] == pytest.approx([expected[k] for k in distances], nan_ok=True)


@settings(max_examples=60)
@given(pair=pairs(), axes=st.permutations(range(3)), flips=st.lists(st.booleans(), min_size=3, max_size=3))
def test_axis_order_and_direction_change_nothing(pair, axes, flips):
    classes = {"a": (1,), "b": (2,), "b or c": (2, 3)}
    expected = measure_case(*[label_map(array, np.diag([0.8, 1.5, 2.5, 1.0]), TABLE) for array in pair], classes).values
    turn = tuple(slice(None, None, -1 if flip else 1) for flip in flips)
    affine = np.eye(4)
    affine[:3, :3] = np.diag([0.8, 1.5, 2.5])[:, axes] * np.where(flips, -1, 1)
    turned = [array.transpose(axes)[turn] for array in pair]
    got = measure_case(*[label_map(array, affine, TABLE) for array in turned], classes).values
    for name in classes:
        assert got[name] == pytest.approx(expected[name], nan_ok=True)


@pytest.mark.parametrize("neighbors", [1, 150])
def test_far_voxels_are_found_by_tree_as_exactly_as_near_ones(monkeypatch, neighbors):
    monkeypatch.setattr(nearest, "NEIGHBORS", neighbors)
    rng = np.random.default_rng(0)
    shape, spacing = (30, 41, 52), (2.5, 0.7, 1.1)
    sets = [np.sort(rng.choice(int(np.prod(shape)), 150, replace=False)).astype(np.int64) for _ in range(2)]
    got = nearest_distances(*sets, shape, Steps.between_voxels(spacing=spacing))
    points = [np.stack(np.unravel_index(s, shape), axis=-1) * spacing for s in sets]
    np.testing.assert_allclose(got, cdist(*points).min(axis=1), rtol=1e-12)


@settings(max_examples=60)
@given(pair=pairs(), wide=st.sampled_from([1, 256, 40000]))
def test_joint_histogram(pair, wide):
    a, b = (array.astype(np.uint16) * wide for array in pair) if wide > 1 else pair
    counts = confusion(a, b)
    present = sorted({0, *np.unique(a), *np.unique(b)})
    assert list(counts.values) == present
    assert counts.counts.tolist() == [[int(((a == i) & (b == j)).sum()) for j in present] for i in present]


@settings(max_examples=60)
@given(pair=pairs())
def test_border_of_every_class_in_slabs_of_any_thickness(pair):
    for voxels in (1, 30, 1 << 20):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(overlap, "SLAB_VOXELS", voxels)
            found = border_voxels(pair[0])
        for value in (1, 2, 3):
            got = found.get(value, np.zeros(0, np.int64))
            np.testing.assert_array_equal(got, np.flatnonzero(plain_border(pair[0] == value)))


def test_boundary_of_wide_bands_does_not_leave_the_image():
    mask = np.ones((3, 3, 3), np.uint8)
    border = border_voxels(mask)[1]
    members = np.array([False, True])
    assert boundary_iou((mask, mask), members, (border, border), Steps.between_voxels(spacing=(1, 1, 1)), 9.0) == 1
