import numpy as np
import pytest

from medseg.prepare.card import NormalizationCard
from medseg.prepare.intensity import filled_nonzero, finite, normalizer, statistics

RNG = np.random.default_rng(0)


def run(card, volume, mask=None):
    return normalizer(card, volume, mask)(finite(volume), slice(0, len(volume)))


def test_statistics_survive_a_large_offset():
    volume = (RNG.normal(size=(20, 30, 30)) + 1e6).astype(np.float32)
    mean, std = statistics(volume)
    assert mean == pytest.approx(volume.astype(float).mean(), rel=1e-9)
    assert std == pytest.approx(volume.astype(float).std(), rel=1e-6)


def test_zscore_of_a_constant_scan_is_zero():
    assert not run(NormalizationCard(), np.full((3, 4, 5), 7, np.int16)).any()


def test_clip_zscore_is_nnunets_ct_scheme():
    volume = RNG.integers(-1024, 3000, (5, 6, 7)).astype(np.int16)
    card = NormalizationCard(scheme="clip_zscore", lower=-900, upper=1200, mean=80, std=140)
    assert np.allclose(run(card, volume), (np.clip(volume.astype(float), -900, 1200) - 80) / 140, atol=1e-5)


def test_rescale_and_range():
    volume = RNG.integers(10, 200, (5, 6, 7)).astype(np.uint8)
    assert np.allclose(run(NormalizationCard(scheme="rescale", lower=0, upper=255), volume), volume / 255, atol=1e-6)
    ranged = run(NormalizationCard(scheme="range"), volume)
    assert (ranged.min(), ranged.max()) == (0, 1)


def test_nonzero_only_leaves_the_outside_alone_and_fills_holes():
    volume = np.zeros((9, 9, 9), np.float32)
    volume[2:7, 2:7, 2:7] = RNG.normal(50, 9, (5, 5, 5))
    volume[4, 4, 4] = 0  # a hole counts as inside
    mask = filled_nonzero(volume[None])
    inside = np.zeros((9, 9, 9), bool)
    inside[2:7, 2:7, 2:7] = True
    assert np.array_equal(mask, inside)
    result = run(NormalizationCard(nonzero_only=True), volume, mask)
    assert not result[~inside].any()
    assert np.allclose(result[inside], (volume[inside] - volume[inside].mean()) / volume[inside].std(), atol=1e-5)


@pytest.mark.parametrize("values", [{"scheme": "rescale"}, {"scheme": "none", "nonzero_only": True}])
def test_incomplete_or_contradictory_cards_are_refused(values):
    with pytest.raises(ValueError, match="scheme"):
        NormalizationCard(**values)
