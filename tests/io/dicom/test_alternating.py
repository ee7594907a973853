"""Slices of several acquisitions are told by their pixels, and no single acquisition is taken for several."""

import numpy as np
import pytest
from shared_data import DATA

from medseg.io.dicom.alternating import REFUSED, alternation
from medseg.io.read import load_scan


def smooth(n_slices):
    """Return a volume that changes slowly along every axis, with some noise."""
    x, y, z = np.meshgrid(np.arange(40), np.arange(50), np.arange(n_slices), indexing="ij")
    noise = np.random.default_rng(0).normal(0, 5, x.shape)
    return (100 * np.sin(x / 9) + 80 * np.cos(y / 7) + 20 * np.sin(z / 5) + noise).astype(np.float32)


@pytest.mark.parametrize("period", [2, 3, 4])
def test_told(period):
    volume = smooth(6 * period)
    for n in range(period):
        volume[..., n::period] += 60 * n**1.3
    found, ratio = alternation(volume)
    assert found == period
    assert ratio > REFUSED


@pytest.mark.parametrize(("offset", "jitter", "refused"), [(15, 0.0, True), (-15, 0.0, True), (15, 4.0, False)])
@pytest.mark.parametrize("n_slices", [9, 18])
def test_told_by_an_offset_less_than_what_slices_differ_by(offset, jitter, refused, n_slices):
    """Slices follow each other 22 apart."""
    volume = np.zeros((20, 20, 1)) + np.linspace(0, 300, 20)[:, None, None] + 22.0 * np.arange(n_slices)
    volume += np.random.default_rng(0).normal(0, 0.1 + jitter, n_slices)
    volume[..., 1::2] += offset
    found, ratio = alternation(volume)
    assert found == 2
    assert (ratio >= REFUSED) is refused


@pytest.mark.parametrize(
    "volume",
    [
        smooth(24),
        smooth(5),
        smooth(1),
        np.random.default_rng(1).normal(size=(30, 30, 30)),
        np.zeros((9, 9, 9)),
        np.where(np.arange(24) < 12, 0, 500) + smooth(24),  # two stretches, one above the other
    ],
    ids=["smooth", "few", "one", "noise", "empty", "stretches"],
)
def test_not_told(volume):
    assert alternation(volume) == (1, 0.0)


@pytest.mark.needs_data("data/sarcoma")
def test_no_real_scan_alternates():
    for path in sorted((DATA / "sarcoma" / "nifti").glob("*/*_image.nii.gz"))[:6]:
        for axis in (1, 2, 3):
            assert alternation(np.moveaxis(load_scan(path).array, axis, 3)[0]) == (1, 0.0)
