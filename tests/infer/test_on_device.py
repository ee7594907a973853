"""On a GPU everything stays there; the same code on the CPU must give what the streaming one gives."""

import numpy as np
import pytest
import torch
from networks_for_tests import Analytic, Resident, bands, package, smooth

from medseg.infer.axis_map import AxisMap
from medseg.infer.decision import Decision
from medseg.infer.on_device import label_on_device
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.infer.sliding_window import WindowOptions
from medseg.prepare.resample import resample
from medseg.types import Geometry, Scan

WINDOWS = WindowOptions((16, 16, 16))


@pytest.mark.parametrize("shape", [(24, 30, 41), (16, 16, 16), (9, 40, 17), (50, 12, 3)])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 1.9, 1.0), (0.8, 0.8, 5.0)])
@pytest.mark.parametrize("batch", [1, 3])
def test_labels_are_those_of_the_streaming_way(monkeypatch, shape, spacing, batch):
    scan = Scan(smooth(shape)[None], Geometry(np.diag([*spacing, 1.0]), shape))
    streaming = Predictor(package(classes=4), InferOptions(mirror="none"), engine=Analytic(bands(4)))
    expected = streaming.segment(scan).labels.array

    def on_device(self, job, offset, out):
        options = WindowOptions((16, 16, 16), batch=batch)
        label_on_device(job.prepared.array, Resident(bands(4)), job.maps, offset, self.decision, out, options)
        return True

    monkeypatch.setattr(Predictor, "_on_device", on_device)
    got = streaming.segment(scan).labels.array
    assert (got != expected).mean() < 1e-3  # ties


def test_mirrored_windows_are_averaged():
    """A network that is not symmetric gives the mean over its mirrored copies."""
    array = smooth((16, 16, 16))[None]

    def ramp(windows):
        x = np.linspace(-1, 1, 16, dtype=np.float32)[:, None, None]
        return np.stack([0 * windows[:, 0], x + 0 * windows[:, 0] + 1e-3], axis=1)

    maps = [AxisMap.between(16, 16)] * 3
    out = np.zeros((16, 16, 16), np.uint8)
    mirrored = WindowOptions((16, 16, 16), mirror=(0,))
    label_on_device(array, Resident(ramp), maps, (0, 0, 0), Decision((0, 1)), out, WINDOWS)
    assert not out[:8].any()
    label_on_device(array, Resident(ramp), maps, (0, 0, 0), Decision((0, 1)), out, mirrored)
    assert out.all()


def test_an_engine_may_write_its_scores_to_the_same_memory_again():
    class Reusing(Resident):
        memory = torch.empty(1, 2, 16, 16, 16)

        def compute(self, windows):
            return self.memory.copy_(super().compute(windows))

    def turned(windows):
        x = np.linspace(-1, 1, 16, dtype=np.float32)[:, None, None]
        return np.stack([0 * windows[:, 0], x + windows[:, 0]], axis=1)

    array = np.zeros((1, 16, 16, 40), np.float32)  # air, which is computed once, around a body
    array[..., 12:30] = smooth((16, 16, 18)) / 15 - 1
    results = []
    for engine in (Resident(turned), Reusing(turned)):
        for mirror in ((), (0,)):
            out = np.zeros(array.shape[1:], np.uint8)
            maps = [AxisMap.between(n, n) for n in out.shape]
            options = WindowOptions((16, 16, 16), mirror=mirror)
            label_on_device(array, engine, maps, (0, 0, 0), Decision((0, 1)), out, options)
            results.append(out)
    plain, mirrored, plain_again, mirrored_again = results
    assert not np.array_equal(plain, mirrored)
    assert np.array_equal(plain, plain_again)
    assert np.array_equal(mirrored, mirrored_again)


def test_regions_and_values_are_those_of_the_decision():
    array = np.linspace(-1, 1, 4096, dtype=np.float32).reshape(1, 16, 16, 16)

    def two(windows):
        return np.stack([windows[:, 0], windows[:, 0] - 0.5], axis=1)

    out = np.zeros((16, 16, 16), np.uint16)
    maps = [AxisMap.between(16, 16)] * 3
    decision = Decision((0, 7, 300), regions=True)
    label_on_device(array, Resident(two), maps, (0, 0, 0), decision, out, WINDOWS)
    assert np.array_equal(out, np.where(array[0] > 0.5, 300, np.where(array[0] > 0, 7, 0)))


@pytest.mark.parametrize("regions", [False, True])
def test_probabilities_are_interpolated_where_the_card_says_so(regions):
    array = smooth((16, 16, 16))[None] / 10 - 1
    values = (0, 1, 2, 3) if regions else (0, 1, 2)

    def three(windows):
        return np.stack([windows[:, 0], 3 - 2 * windows[:, 0], 0.2 + 0 * windows[:, 0]], axis=1)

    decision = Decision(values, regions, interpolated="probabilities")
    out = np.zeros((29, 11, 40), np.uint8)
    maps = [AxisMap.between(16, n) for n in out.shape]
    label_on_device(array, Resident(three), maps, (0, 0, 0), decision, out, WINDOWS)
    shares = decision.to_interpolate(three(array[None])[0])
    fine = np.stack([resample(np.ascontiguousarray(share), out.shape, 1) for share in shares])
    assert (out != np.array(values)[decision.outcome(fine)]).mean() < 1e-3


def test_scores_that_are_not_numbers_are_refused():
    array = np.zeros((1, 16, 16, 16), np.float32)
    maps = [AxisMap.between(16, 16)] * 3
    out = np.zeros((16, 16, 16), np.uint8)
    with pytest.raises(Exception, match="not numbers"):
        label_on_device(
            array, Resident(lambda w: np.stack([w[:, 0] * np.nan] * 2, 1)), maps, (0, 0, 0), Decision((0, 1)), out,
            WINDOWS,
        )  # fmt: skip
