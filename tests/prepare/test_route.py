import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from objects_for_tests import ORDERS, input_card, scan_of, stored

from medseg.prepare.card import ChannelCard, NormalizationCard
from medseg.prepare.prepared import prepare
from medseg.types import Geometry, Scan
from medseg.types.axis_order import AxisOrder


@settings(max_examples=40)
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
    wanted = input_card(spacing=(1.1, 0.9, 1.2), crop_to_nonzero=crop)
    expected, got = prepare(scan, wanted), prepare(stored(scan, order), wanted)
    assert np.array_equal(expected.array, got.array)
    assert np.allclose(expected.route.geometry.affine, got.route.geometry.affine)


def test_header_noise_changes_neither_grid_nor_decision():
    rng = np.random.default_rng(0)
    scan = scan_of(rng.normal(size=(20, 21, 9)), (1.5, 1.0, 3.0))
    affine = scan.geometry.affine + rng.uniform(-1e-6, 1e-6, (4, 4)) * [[1], [1], [1], [0]]
    noisy = Scan(scan.array, Geometry(affine, scan.geometry.shape))
    wanted = input_card(spacing=(1.0, 1.0, 3.0))
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
    wanted = input_card(channels=channels, spacing=(1.0, 1.0, 1.0), crop_to_nonzero=True, patch=(8, 64, 8))
    prepared = prepare(Scan(array, geometry), wanted)
    inner = prepared.route.inner
    where = prepared.route.geometry.to_world(np.stack(np.indices(prepared.array.shape[1:]), axis=-1))
    error = np.abs(np.moveaxis(prepared.array, 0, -1)[inner] - 1000 - where[inner])
    assert prepared.array.shape[2] == 64
    assert prepared.route.padding[1] != (0, 0)
    # Splines bend within a few voxels of an edge, where the edge voxel repeats.
    assert error[4:-4, 4:-4, 4:-4].max() < 0.05


def test_crop_keeps_what_any_channel_has():
    array = np.zeros((2, 10, 12, 14), np.float32)
    array[0, 3:5, 4:9, 2] = 1
    array[1, 4:7, 5, 1:12] = 2
    wanted = input_card(channels=(ChannelCard(name="a"), ChannelCard(name="b")), crop_to_nonzero=True, patch=(1, 1, 1))
    box = prepare(scan_of(array), wanted).route.box
    assert (box.start, box.stop) == ((3, 4, 1), (7, 9, 12))


def test_stored_axes_and_axis_order_are_taken_as_they_are():
    array = np.random.default_rng(0).normal(size=(10, 11, 12)).astype(np.float32)
    scan = stored(scan_of(array, (1, 1, 1)), AxisOrder((0, 1, 2), (True, False, False)))
    as_stored = prepare(scan, input_card(orientation="stored", axis_order=(2, 0, 1)))
    expected = prepare(scan_of(scan.array.transpose(0, 3, 1, 2)), input_card())
    assert np.allclose(as_stored.array, expected.array, atol=1e-6)
