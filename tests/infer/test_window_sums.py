"""Sums of windows as nnU-Net keeps them, beside nnU-Net's own way in PyTorch."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks_for_tests import Analytic, Resident, position_dependent
from scipy.ndimage import gaussian_filter

from medseg.errors import ConfigError
from medseg.infer.axis_map import AxisMap
from medseg.infer.blend import windows_along
from medseg.infer.decision import Decision
from medseg.infer.on_device import label_on_device
from medseg.infer.sliding_window import WindowOptions, stream_scores
from medseg.infer.window_sums import HalfRounding, half_weights

PATCH = (8, 10, 12)


def nnunet_weights(patch):
    """`compute_gaussian` of nnunetv2/inference/sliding_window_prediction.py, 2.8.1."""
    tmp = np.zeros(patch)
    tmp[tuple(n // 2 for n in patch)] = 1
    found = torch.from_numpy(gaussian_filter(tmp, [n / 8 for n in patch], 0, mode="constant", cval=0))
    found /= torch.max(found) / 10
    found = found.to(torch.float16)
    found[found == 0] = found[found != 0].min()
    return found


def nnunet_scores(array, run, classes, patch, overlap):
    """`_internal_predict_sliding_window_return_logits` of nnunetv2, whose array is (Z, Y, X): Z is its first axis."""
    logits = torch.zeros((classes, *array.shape[1:]), dtype=torch.half)
    counts = torch.zeros(array.shape[1:], dtype=torch.half)
    weights = nnunet_weights(patch)
    starts = [windows_along(n, p, overlap).starts for n, p in zip(array.shape[1:], patch, strict=True)]
    for z, y, x in itertools.product(starts[2], starts[1], starts[0]):
        where = tuple(slice(a, a + n) for a, n in zip((x, y, z), patch, strict=True))
        prediction = torch.from_numpy(run(np.ascontiguousarray(array[(slice(None), *where)])[None])[0])
        prediction *= weights
        logits[(slice(None), *where)] += prediction
        counts[where] += weights
    return torch.div(logits, counts, out=logits)


@given(st.floats(-60000, 60000, width=32))
def test_numbers_are_rounded_as_by_a_cast(value):
    values = np.array([value, value * 2.0**-14, value * 2.0**-24, value * 2.0**-30], np.float32)
    assert np.array_equal(HalfRounding(values.size).round(values.copy()), values.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("patch", [(128, 128, 128), (112, 128, 96), PATCH, (5, 7, 9)])
def test_the_weights_are_those_of_nnunet(patch):
    assert np.array_equal(half_weights(patch), nnunet_weights(patch).float().numpy())


@pytest.mark.parametrize("shape", [PATCH, (8, 17, 40), (20, 21, 13), (13, 10, 31)])
@pytest.mark.parametrize("overlap", [0.2, 0.5])
def test_scores_are_those_of_nnunet_to_the_last_digit(shape, overlap):
    array = (100 * np.random.default_rng(0).normal(size=(1, *shape))).astype(np.float32)
    run = Analytic(position_dependent).run
    options = WindowOptions(PATCH, overlap, half=True)
    slabs = [
        slab.scores[..., 0 if number == 0 else 1 :].copy()
        for number, slab in enumerate(stream_scores(array, run, 2, options))
    ]
    expected = nnunet_scores(array, run, 2, PATCH, overlap).float().numpy()
    assert np.array_equal(np.concatenate(slabs, axis=-1), expected)
    exactly = np.concatenate(
        [
            s.scores[..., 0 if n == 0 else 1 :].copy()
            for n, s in enumerate(stream_scores(array, run, 2, WindowOptions(PATCH, overlap)))
        ],
        axis=-1,
    )
    assert not np.array_equal(exactly, expected)


def test_strips_sum_as_the_whole():
    array = np.random.default_rng(1).normal(size=(1, 12, 30, 20)).astype(np.float32)
    run, options = Analytic(position_dependent).run, WindowOptions(PATCH, 0.5, half=True)
    whole = [slab.scores.copy() for slab in stream_scores(array, run, 2, options)]
    strip = [slab.scores.copy() for slab in stream_scores(array, run, 2, options, rows=slice(7, 19))]
    assert all(np.array_equal(a[:, :, 7:19], b) for a, b in zip(whole, strip, strict=True))


def test_labels_on_the_device_are_those_of_nnunet():
    array = np.random.default_rng(2).normal(size=(1, 20, 21, 30)).astype(np.float32)
    out = np.zeros(array.shape[1:], np.uint8)
    maps = [AxisMap.between(n, n) for n in out.shape]
    options = WindowOptions(PATCH, 0.5, half=True)
    label_on_device(array, Resident(position_dependent), maps, (0, 0, 0), Decision((0, 1)), out, options)
    expected = nnunet_scores(array, Analytic(position_dependent).run, 2, PATCH, 0.5).argmax(0).numpy()
    assert np.array_equal(out, expected)


def test_a_cascade_is_not_summed_so():
    from medseg.config.load import build
    from medseg.models.card import ModelCard
    from medseg.models.package import load_package

    card = load_package("hippocampus").card.model_dump(mode="json")
    card |= {"sums": "float16", "low_resolution_stage": {"folder": "low", "sha256": "0" * 64, "labels": [1]}}
    with pytest.raises(ConfigError, match="float16 are not for a cascade"):
        build(ModelCard, card)
