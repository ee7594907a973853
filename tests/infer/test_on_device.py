"""On a GPU everything stays there; the same code on the CPU must give what the streaming one gives."""

import numpy as np
import pytest
import torch
from networks_for_tests import Analytic, Resident, bands, package, smooth

from medseg.infer.axis_map import AxisMap
from medseg.infer.decision import Decision
from medseg.infer.labeling import Labeling
from medseg.infer.on_device import label_on_device
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.infer.sliding_window import WindowOptions
from medseg.prepare.resample import resample
from medseg.types import Geometry, Scan

TWO = Decision((0, 1))


def labeled(array, engine, decision=TWO, shape=None, dtype=np.uint8, **options):
    out = np.zeros(shape or array.shape[1:], dtype)
    maps = [AxisMap.between(n, m) for n, m in zip(array.shape[1:], out.shape, strict=True)]
    label_on_device(array, engine, maps, (0, 0, 0), decision, out, WindowOptions((16, 16, 16), **options))
    return out


@pytest.mark.parametrize("shape", [(24, 30, 41), (16, 16, 16), (9, 40, 17), (50, 12, 3)])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 1.9, 1.0), (0.8, 0.8, 5.0)])
@pytest.mark.parametrize("batch", [1, 3])
def test_labels_are_those_of_the_streaming_way(monkeypatch, shape, spacing, batch):
    scan = Scan(smooth(shape)[None], Geometry(np.diag([*spacing, 1.0]), shape))
    streaming = Predictor(package(classes=4), InferOptions(mirror="none"), engine=Analytic(bands(4)))
    expected = streaming.segment(scan).labels.array

    def on_device(self, offset, out):
        options = WindowOptions((16, 16, 16), batch=batch)
        label_on_device(self.prepared.array, Resident(bands(4)), self.maps, offset, self.decision, out, options)
        return True

    monkeypatch.setattr(Labeling, "_on_device", on_device)
    got = streaming.segment(scan).labels.array
    assert (got != expected).mean() < 1e-3  # ties


def test_mirrored_windows_are_averaged():
    """A network that is not symmetric gives the mean over its mirrored copies."""
    array = smooth((16, 16, 16))[None]

    def ramp(windows):
        x = np.linspace(-1, 1, 16, dtype=np.float32)[:, None, None]
        return np.stack([0 * windows[:, 0], x + 0 * windows[:, 0] + 1e-3], axis=1)

    assert not labeled(array, Resident(ramp))[:8].any()
    assert labeled(array, Resident(ramp), mirror=(0,)).all()


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
    plain, mirrored, plain_again, mirrored_again = (
        labeled(array, engine, mirror=mirror) for engine in (Resident(turned), Reusing(turned)) for mirror in ((), (0,))
    )
    assert not np.array_equal(plain, mirrored)
    assert np.array_equal(plain, plain_again)
    assert np.array_equal(mirrored, mirrored_again)


def test_regions_and_values_are_those_of_the_decision():
    array = np.linspace(-1, 1, 4096, dtype=np.float32).reshape(1, 16, 16, 16)

    def two(windows):
        return np.stack([windows[:, 0], windows[:, 0] - 0.5], axis=1)

    out = labeled(array, Resident(two), Decision((0, 7, 300), regions=True), dtype=np.uint16)
    assert np.array_equal(out, np.where(array[0] > 0.5, 300, np.where(array[0] > 0, 7, 0)))


@pytest.mark.parametrize("regions", [False, True])
def test_probabilities_are_interpolated_where_the_card_says_so(regions):
    array = smooth((16, 16, 16))[None] / 10 - 1
    values = (0, 1, 2, 3) if regions else (0, 1, 2)

    def three(windows):
        return np.stack([windows[:, 0], 3 - 2 * windows[:, 0], 0.2 + 0 * windows[:, 0]], axis=1)

    decision = Decision(values, regions, interpolated="probabilities")
    out = labeled(array, Resident(three), decision, (29, 11, 40))
    shares = decision.to_interpolate(three(array[None])[0])
    fine = np.stack([resample(np.ascontiguousarray(share), out.shape, 1) for share in shares])
    assert (out != np.array(values)[decision.outcome(fine)]).mean() < 1e-3


def test_scores_that_are_not_numbers_are_refused():
    with pytest.raises(Exception, match="not numbers"):
        labeled(np.zeros((1, 16, 16, 16), np.float32), Resident(lambda w: np.stack([w[:, 0] * np.nan] * 2, 1)))
