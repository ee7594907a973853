import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from networks_for_tests import Analytic, bands, package

from medseg import threads
from medseg.errors import ResourceLimit
from medseg.infer import labels_from_scores, memory
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.prepare import blockwise
from medseg.prepare.resample import resample
from medseg.types import Geometry, Scan

NARROW = {"patch": (16, 16, 16)}


def scan_of(shape, spacing, dtype=np.int16):
    coarse = np.random.default_rng(0).uniform(0, 30, (3, 3, 3)).astype(np.float32)
    array = np.asfortranarray(resample(coarse, shape, 1).astype(dtype))
    return Scan(array[None], Geometry(np.diag([*spacing, 1.0]), shape))


class Watched(Predictor):
    """Keeps what was predicted and in how many strips the case was done."""

    def _parts(self, route, rows, *given, in_memory):
        self.parts = super()._parts(route, rows, *given, in_memory=in_memory)
        self.need = memory.predict_need(
            route,
            channels=self.package.card.channels,
            decision=self.decision,
            patch=self.package.card.input.patch,
            batch=1,
            network=0,
            kept=self.options.probabilities * self.decision.channels,
            strips=self.parts,
        )
        return self.parts


@pytest.fixture
def small_blocks(monkeypatch):
    """Fixed working memory small beside these small scans, as the real one is beside real ones; two cores."""
    monkeypatch.setattr(blockwise, "BLOCK", 1 << 15)
    monkeypatch.setattr(labels_from_scores, "BLOCK", 1 << 16)
    monkeypatch.setattr(memory, "GATHERING", 6 << 20)
    monkeypatch.setattr("medseg.infer.mixed_cells.GATHERED", 1 << 17)
    for module in (memory, threads):
        monkeypatch.setattr(module, "CORES", 2)
    with ThreadPoolExecutor(2) as pool:
        monkeypatch.setattr(threads, "_pool", lambda: pool)
        yield


@pytest.mark.parametrize(
    ("shape", "spacing", "classes", "options"),
    [
        ((96, 96, 60), (1.0, 1.0, 1.0), 20, {}),
        ((128, 128, 100), (0.6, 0.6, 0.6), 10, {}),
        ((60, 160, 60), (1.7, 1.6, 1.9), 6, {}),
        ((128, 128, 60), (0.7, 0.7, 3.5), 4, {}),
        ((100, 96, 90), (1.3, 1.0, 0.8), 5, {"probabilities": True}),
        ((90, 160, 60), (1.0, 1.0, 1.0), 20, {"memory_gb": 0.03}),
    ],
)
def test_prediction_holds_and_is_not_wildly_over(small_blocks, shape, spacing, classes, options):
    scan = scan_of(shape, spacing)
    predictor = Watched(package(classes, **NARROW), InferOptions(**options), engine=Analytic(bands(classes)))
    predictor.segment(scan_of((20, 20, 20), (1, 1, 1)))  # imports and caches are not the case's
    tracemalloc.start()
    predictor.segment(scan)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.05 * predictor.need.total
    assert predictor.need.total < 2.5 * peak


def test_a_case_too_large_is_cut_and_gives_the_same_labels(small_blocks):
    scan = scan_of((60, 150, 60), (0.9, 1.1, 1.2))
    whole = Watched(package(20, **NARROW), engine=Analytic(bands(20)))
    cut = Watched(package(20, **NARROW), InferOptions(memory_gb=0.021), engine=Analytic(bands(20)))
    expected, got = whole.segment(scan).labels.array, cut.segment(scan).labels.array
    assert len(whole.parts) == 1
    assert len(cut.parts) > 2
    assert np.array_equal(expected, got)


def test_a_case_too_large_for_strips_is_refused_with_the_numbers():
    engine = Analytic(bands(20))
    predictor = Predictor(package(20), InferOptions(memory_gb=0.02), engine=engine)
    with pytest.raises(ResourceLimit, match=r"needs about [\d.]+ [GM]B \(.*labels [\d.]+ [GM]B.*\) of memory, 20 MB"):
        predictor.segment(scan_of((100, 100, 100), (1, 1, 1)))
    assert engine.batches == []


def test_the_network_counts():
    engine = Analytic(bands(3))
    engine.working_bytes = 10**12
    with pytest.raises(ResourceLimit, match=r"network 1000\.0 GB"):
        Predictor(package(3), engine=engine).segment(scan_of((20, 20, 20), (1, 1, 1)))


def test_available_memory_is_what_the_system_says():
    assert 10**7 < memory.available_bytes() < 10**14
