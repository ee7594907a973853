"""Windows that are not computed: what comes out is what the definition says, whatever the way it is computed."""

import math

import numpy as np
import pytest
from networks_for_tests import Analytic, Cascaded, Resident, bands, blended, package, position_dependent

from medseg.infer.decision import Decision
from medseg.infer.labels_from_scores import AxisMap
from medseg.infer.on_device import label_on_device
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.infer.skipped_windows import FarFromLowResolution, WindowCounter
from medseg.infer.sliding_window import WindowOptions, stream_scores
from medseg.models.card import LowResolutionCard
from medseg.prepare.labels import LowResolutionStage
from medseg.types import Geometry, LabelMap, Scan

RNG = np.random.default_rng(0)
PATCH = (8, 8, 8)


def some(x, y, z):
    """Skip about half of the windows, in clumps, so that voxels are covered wholly, partly and not at all."""
    return (x // 7 + y // 9 + z // 5) % 3 != 0 or z > 24


def dense(array, background):
    total, share = blended(array, position_dependent, 2, PATCH, 0.5, some)
    seen = share > 0
    assert 0.1 < seen.mean() < 0.95
    assert (seen & (share < 0.999)).any()
    return np.where(seen, total / np.where(seen, share, 1), background[:, None, None, None]), share


def collect(array, rows=None, **options):
    slabs = stream_scores(array, Analytic(position_dependent).run, 2, WindowOptions(PATCH, **options), rows=rows)
    return np.concatenate([slab.scores[..., bool(n) :].copy() for n, slab in enumerate(slabs)], axis=3)


@pytest.mark.parametrize("batch", [1, 3])
def test_scores_are_averages_over_the_windows_that_were_run(batch):
    array = RNG.normal(size=(1, 25, 20, 40)).astype(np.float32)
    background = np.array([20, 0], np.float32)
    expected, share = dense(array, background)
    counter = WindowCounter()
    got = collect(array, skip=some, background=background, counter=counter, batch=batch)
    assert np.allclose(got, expected, atol=1e-3)
    whole = share > 1 - 1e-4
    assert np.array_equal(got[:, whole], collect(array, batch=batch)[:, whole])  # to the last bit
    windows = math.prod(len(axis.starts) for axis in WindowOptions(PATCH).along_axes(array.shape[1:]))
    assert counter.computed + counter.skipped == counter.count().total == windows
    assert 0 < counter.skipped < windows
    part = collect(array, skip=some, background=background, rows=slice(6, 15))
    assert np.allclose(part, got[:, :, 6:15], atol=1e-5)


def test_a_gpu_skips_the_same_windows():
    array = RNG.normal(size=(1, 25, 20, 40)).astype(np.float32)
    array[:, 12:] = 1.0  # some windows hold one value
    decision = Decision((0, 1))
    counts = [WindowCounter(), WindowCounter()]
    scores = collect(array, skip=some, background=decision.background, counter=counts[0])
    out = np.zeros(array.shape[1:], np.uint8)
    maps = [AxisMap.between(n, n) for n in out.shape]
    options = WindowOptions(PATCH, skip=some, counter=counts[1])
    label_on_device(array, Resident(position_dependent), maps, (0, 0, 0), decision, out, options)
    assert (out == decision.outcome(scores)).mean() > 0.999  # ties
    assert counts[0] == counts[1]
    assert counts[0].reused > 0


@pytest.mark.parametrize(("output", "regions"), [("logits", False), ("logits", True), ("probabilities", False),
                                                 ("probabilities", True)])  # fmt: skip
def test_background_is_background(output, regions):
    decision = Decision((0, 1, 2), regions, output, "probabilities")
    scores = np.repeat(decision.background[:, None], 3, axis=1)
    assert not decision.outcome(decision.to_interpolate(scores)).any()


@pytest.mark.parametrize(("margin", "near"), [(6.0, range(10, 24)), (5.0, range(10, 24)), (0.0, range(13, 21))])
def test_far_is_measured_in_millimeters_from_the_window(margin, near):
    """6 mm are 3 voxels along x; of 2.5 the third may hold some."""
    found = np.zeros((2, 40, 10, 10), np.float32)
    found[1, 20, 5, 5] = 1
    far = FarFromLowResolution(found, (8, 10, 10), (2.0, 1.0, 1.0), margin=margin)
    assert [x for x in range(33) if not far(x, 0, 0)] == list(near)


def cascade(skip_beyond_mm=None, **options):
    """A second stage that finds all that is bright; its low-resolution stage only what is brighter still."""
    card = package(classes=2).card
    first = LowResolutionCard(sha256="0" * 64, labels=(1,), skip_beyond_mm=skip_beyond_mm)
    second = Cascaded(None, card.model_copy(update={"low_resolution_stage": first}))
    predictor = Predictor(second, InferOptions(**options), engine=Analytic(lambda w: bands(2)(w[:, :1])))
    predictor.low_resolution_stage = Predictor(package(classes=3, spacing=(2.0, 2.0, 2.0)), engine=Analytic(bands(3)))
    return predictor


def blobs():
    """An object both passes see, and far from it one that only the second sees."""
    array = np.zeros((90, 30, 30), np.float32)
    array[10:20, 10:20, 10:20] = 15
    array[70:80, 10:20, 10:20] = 12
    return Scan(array[None], Geometry(np.eye(4), array.shape))


def low_resolution_stage_of(scan, value=15):
    return LowResolutionStage(
        LabelMap((scan.array[0] == value).astype(np.uint8), scan.geometry, package().card.table), (1,)
    )


@pytest.mark.parametrize("memory", [None, 0.0085])
def test_the_second_stage_of_a_cascade_runs_where_the_first_found_something(memory, monkeypatch):
    scan = blobs()
    monkeypatch.setattr(Predictor, "_low_resolution_stage", lambda self, scan: low_resolution_stage_of(scan))
    monkeypatch.setattr("medseg.infer.memory.GATHERING", 0)
    monkeypatch.setattr("medseg.infer.labels_from_scores.BLOCK", 1)
    monkeypatch.setattr("medseg.prepare.blockwise.BLOCK", 1)
    how = {} if memory is None else {"memory_gb": memory}
    every = cascade(**how).segment(scan)
    near = cascade(skip_beyond=5.0, **how).segment(scan)
    assert every.labels.array[75, 15, 15]
    assert every.computed.windows.skipped == 0
    assert not near.labels.array[60:].any()
    # Around what the low-resolution stage found, every window over a voxel is run.
    assert np.array_equal(near.labels.array[:25], every.labels.array[:25])
    assert near.labels.array[15, 15, 15] == 1
    assert near.computed.windows.skipped > 0
    assert near.computed.windows.computed < every.computed.windows.computed


def test_the_card_decides_where_the_user_leaves_it(monkeypatch):
    scan = blobs()
    monkeypatch.setattr(Predictor, "_low_resolution_stage", lambda self, scan: low_resolution_stage_of(scan))
    skipped = [
        cascade(card, **options).segment(scan).computed.windows.skipped > 0
        for card, options in [
            (None, {}),
            (5.0, {}),
            (5.0, {"skip_beyond": "none"}),
            (None, {"skip_beyond": 5.0}),
            (200.0, {}),
        ]
    ]
    assert skipped == [False, True, False, True, False]


def test_a_model_without_a_low_resolution_stage_runs_every_window():
    scan = blobs()
    predictor = Predictor(package(classes=2), InferOptions(skip_beyond=0.0), engine=Analytic(bands(2)))
    assert predictor.segment(scan).computed.windows.skipped == 0
