import numpy as np
import pytest
from objects_for_tests import input_card, scan_of
from skimage.transform import resize

from medseg.errors import ModelError
from medseg.prepare.card import ResamplingCard
from medseg.prepare.prepared import prepare


def test_padding_is_zero_after_normalization_and_half_on_each_side():
    prepared = prepare(scan_of(np.random.default_rng(0).normal(5, 2, (3, 8, 13))), input_card())
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
    monkeypatch.setattr("medseg.prepare.blockwise.BLOCK", 100)
    array = np.random.default_rng(0).integers(-900, 900, (17, 12, 9)).astype(np.int16)
    wanted = input_card(spacing=(1.0, 1.0, 1.0), resampling=ResamplingCard(order=order, separate_slices=separate))
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


def test_empty_scan_is_kept_whole_and_finite():
    prepared = prepare(scan_of(np.zeros((9, 9, 9), np.uint8)), input_card(crop_to_nonzero=True))
    assert prepared.array.shape == (1, 9, 9, 9)
    assert not prepared.array.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_count_as_0_and_are_reported(bad):
    array = np.random.default_rng(0).normal(size=(9, 9, 9)).astype(np.float32)
    clean = array.copy()
    array[0, 0, :3], clean[0, 0, :3] = bad, 0
    prepared = prepare(scan_of(array), input_card())
    assert np.array_equal(prepared.array, prepare(scan_of(clean), input_card()).array)
    assert "3 voxels" in prepared.warnings[0]


def test_wrong_number_of_channels_is_an_error_that_names_them():
    with pytest.raises(ModelError, match=r"2 channels, the model needs 1 \(MR\)"):
        prepare(scan_of(np.zeros((2, 9, 9, 9))), input_card())
