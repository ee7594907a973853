"""Sampling axis by axis against SciPy's general way."""

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from medseg.infer.clicks.grids import sampled


@pytest.mark.parametrize(("order", "mode"), [(0, "constant"), (1, "nearest")])
def test_straight_and_oblique_grids_are_sampled_as_scipy_does(order, mode):
    array = np.random.default_rng(0).random((10, 11, 12))
    straight = np.diag([1.3, -0.7, 1.0, 1.0])
    straight[:3, 3] = [-1.2, 8.1, 0.4]
    oblique = straight.copy()
    oblique[0, 1] = 0.2
    for matrix in (straight, oblique):
        expected = affine_transform(
            array, matrix[:3, :3], offset=matrix[:3, 3], output_shape=(8, 9, 10), order=order, mode=mode
        )
        assert np.allclose(sampled(array, matrix, (8, 9, 10), order=order), expected)
