import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from objects_for_tests import ORDERS, scan_of
from skimage.transform import resize

from medseg.errors import GeometryMismatch, ModelError
from medseg.prepare.card import ChannelCard, InputCard, NormalizationCard, ResamplingCard
from medseg.prepare.route import prepare, prepare_labels
from medseg.types import Geometry, LabelMap, LabelTable, Scan
from medseg.types.axis_order import AxisOrder


def card(**changes):
    values = {"channels": (ChannelCard(name="MR"),), "patch": (8, 8, 8), **changes}
    return InputCard(**values)


def stored(scan, order):
    return Scan(order.apply(scan.array), order.geometry(scan.geometry))


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(ORDERS),
    st.tuples(*[st.integers(1, 20)] * 3),
    st.tuples(*[st.sampled_from([0.6, 1.0, 1.3, 4.1])] * 3),
    st.booleans(),
)
def test_stored_orientation_does_not_change_one_bit(order, shape, spacing, crop):
    rng = np.random.default_rng(0)
    array = rng.integers(-5, 200, size=shape).astype(np.int16)
    scan = scan_of(array, spacing)
    wanted = card(spacing=(1.1, 0.9, 1.2), crop_to_nonzero=crop)
    expected, got = prepare(scan, wanted), prepare(stored(scan, order), wanted)
    assert np.array_equal(expected.array, got.array)
    assert np.allclose(expected.route.geometry.affine, got.route.geometry.affine)


def test_header_noise_changes_neither_grid_nor_decision():
    rng = np.random.default_rng(0)
    scan = scan_of(rng.normal(size=(20, 21, 9)), (1.5, 1.0, 3.0))
    affine = scan.geometry.affine + rng.uniform(-1e-6, 1e-6, (4, 4)) * [[1], [1], [1], [0]]
    noisy = Scan(scan.array, Geometry(affine, scan.geometry.shape))
    wanted = card(spacing=(1.0, 1.0, 3.0))
    expected, got = prepare(scan, wanted), prepare(noisy, wanted)
    assert expected.route.size == got.route.size == (30, 21, 9)
    assert expected.route.separate is got.route.separate is None
    assert np.array_equal(expected.array, got.array)


def test_network_grid_lies_where_the_scan_lies():
    """A scan whose intensity is its own world position keeps telling the truth after every step."""
    affine = np.array([[0, 0, 2.0, -10], [0.8, 0, 0, 4], [0, -1.25, 0, 30], [0, 0, 0, 1]])
    geometry = Geometry(affine, (40, 32, 20))
    world = geometry.to_world(np.stack(np.indices(geometry.shape), axis=-1))
    # Offset so that nothing is 0 and the crop keeps all.
    array = np.moveaxis(world, -1, 0) + 1000
    array[:, :5] = 0
    channels = tuple(ChannelCard(name=n, normalization=NormalizationCard(scheme="none")) for n in "xyz")
    wanted = card(channels=channels, spacing=(1.0, 1.0, 1.0), crop_to_nonzero=True, patch=(8, 64, 8))
    prepared = prepare(Scan(array, geometry), wanted)
    inner = prepared.route.inner
    where = prepared.route.geometry.to_world(np.stack(np.indices(prepared.array.shape[1:]), axis=-1))
    error = np.abs(np.moveaxis(prepared.array, 0, -1)[inner] - 1000 - where[inner])
    assert prepared.array.shape[2] == 64
    assert prepared.route.padding[1] != (0, 0)
    # Splines bend within a few voxels of an edge, where the edge voxel repeats.
    assert error[4:-4, 4:-4, 4:-4].max() < 0.05


def test_padding_is_zero_after_normalization_and_half_on_each_side():
    prepared = prepare(scan_of(np.random.default_rng(0).normal(5, 2, (3, 8, 13))), card())
    assert prepared.array.shape == (1, 8, 8, 13)
    assert prepared.route.padding == ((2, 3), (0, 0), (0, 0))
    assert not prepared.array[0, :2].any()
    assert not prepared.array[0, 5:].any()
    inside = prepared.array[0][prepared.route.inner]
    assert abs(inside.mean()) < 1e-5
    assert abs(inside.std() - 1) < 1e-5


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("separate", [False, True])
def test_streamed_planes_equal_the_whole_at_once(order, separate, monkeypatch):
    monkeypatch.setattr("medseg.prepare.route.BLOCK", 100)
    array = np.random.default_rng(0).integers(-900, 900, (17, 12, 9)).astype(np.int16)
    wanted = card(spacing=(1.0, 1.0, 1.0), resampling=ResamplingCard(order=order, separate_slices=separate))
    prepared = prepare(scan_of(array, (1.2, 0.7, 2.5)), wanted)
    values = (array - array.mean()) / array.std()
    size = (20, 8, 22)
    if separate:
        slices = np.stack(
            [resize(values[..., k], size[:2], order=order, mode="edge", anti_aliasing=False) for k in range(9)], axis=-1
        )
        expected = slices[..., np.floor((np.arange(22) + 0.5) * 9 / 22).astype(int)]
    else:
        expected = resize(values, size, order=order, mode="edge", anti_aliasing=False)
    assert prepared.array.shape[1:] == size
    assert np.abs(prepared.array[0] - expected).max() < 1e-4


def test_crop_keeps_what_any_channel_has():
    array = np.zeros((2, 10, 12, 14), np.float32)
    array[0, 3:5, 4:9, 2] = 1
    array[1, 4:7, 5, 1:12] = 2
    wanted = card(channels=(ChannelCard(name="a"), ChannelCard(name="b")), crop_to_nonzero=True, patch=(1, 1, 1))
    box = prepare(scan_of(array), wanted).route.box
    assert (box.start, box.stop) == ((3, 4, 1), (7, 9, 12))


def test_empty_scan_is_kept_whole_and_finite():
    prepared = prepare(scan_of(np.zeros((9, 9, 9), np.uint8)), card(crop_to_nonzero=True))
    assert prepared.array.shape == (1, 9, 9, 9)
    assert not prepared.array.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_count_as_0_and_are_reported(bad):
    array = np.random.default_rng(0).normal(size=(9, 9, 9)).astype(np.float32)
    clean = array.copy()
    array[0, 0, :3], clean[0, 0, :3] = bad, 0
    prepared = prepare(scan_of(array), card())
    assert np.array_equal(prepared.array, prepare(scan_of(clean), card()).array)
    assert "3 voxels" in prepared.warnings[0]


def test_wrong_number_of_channels_is_an_error_that_names_them():
    with pytest.raises(ModelError, match=r"2 channels, the model needs 1 \(MR\)"):
        prepare(scan_of(np.zeros((2, 9, 9, 9))), card())


@pytest.mark.parametrize("order", ORDERS[::7])
def test_reference_and_scan_stay_together(order):
    labels = np.zeros((18, 20, 12), np.uint8)
    labels[4:12, 5:14, 3:9] = 2
    labels[6:9, 7:11, 5:8] = 1
    # The scan is its own label, so after any way in the two must agree but for the blurred border.
    scan = stored(scan_of(labels.astype(np.float32) + 10, (1.0, 1.4, 2.0)), order)
    reference = LabelMap(order.apply(labels).copy(), scan.geometry, LabelTable.unnamed([1, 2]))
    channel = ChannelCard(name="MR", normalization=NormalizationCard(scheme="none"))
    wanted = card(channels=(channel,), spacing=(1.0, 1.0, 1.0), resampling=ResamplingCard(order=1), patch=(24, 8, 8))
    prepared = prepare(scan, wanted)
    got = prepare_labels(reference, prepared.route)
    values = prepared.array[0] - 10
    pure = np.isin(values, (0, 1, 2))
    assert got.shape == values.shape
    assert pure[prepared.route.inner].mean() > 0.5
    assert np.array_equal(got[pure], values[pure])
    assert not got[values < -5].any()


def test_reference_on_another_grid_is_refused():
    prepared = prepare(scan_of(np.zeros((9, 9, 9))), card())
    moved = LabelMap(np.zeros((9, 9, 9), np.uint8), Geometry(np.diag([1, 1, 2, 1]), (9, 9, 9)), LabelTable(()))
    with pytest.raises(GeometryMismatch):
        prepare_labels(moved, prepared.route)


def test_stored_axes_and_axis_order_are_taken_as_they_are():
    array = np.random.default_rng(0).normal(size=(10, 11, 12)).astype(np.float32)
    scan = stored(scan_of(array, (1, 1, 1)), AxisOrder((0, 1, 2), (True, False, False)))
    as_stored = prepare(scan, card(orientation="stored", axis_order=(2, 0, 1)))
    expected = prepare(scan_of(scan.array.transpose(0, 3, 1, 2)), card())
    assert np.allclose(as_stored.array, expected.array, atol=1e-6)
