import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks_for_tests import Analytic, blended, position_dependent

from medseg.infer import window_sums
from medseg.infer.sliding_window import WindowOptions, mirror_combinations, stream_scores

RNG = np.random.default_rng(0)


def collect(array, run, classes, **options):
    planes = []
    for slab in stream_scores(array, run, classes, WindowOptions(**options)):
        assert slab.first == (sum(p.shape[-1] for p in planes) - 1 if planes else 0)
        if planes:
            assert np.array_equal(slab.scores[..., 0], planes[-1][..., -1])
        planes.append(slab.scores[..., 1 if planes else 0 :].copy())
    return np.concatenate(planes, axis=-1)


def window_count(shape, patch, overlap):
    return math.prod(len(axis.starts) for axis in WindowOptions(patch, overlap).along_axes(shape))


@settings(max_examples=40)
@given(
    st.tuples(*[st.integers(1, 9)] * 3),
    st.tuples(*[st.integers(0, 14)] * 3),
    st.sampled_from([0.0, 0.25, 0.5, 0.8, 0.9]),
    st.integers(1, 5),
)
def test_a_voxelwise_network_comes_out_as_if_there_were_no_windows(patch, more, overlap, batch):
    array = RNG.normal(size=(2, *(p + m for p, m in zip(patch, more, strict=True)))).astype(np.float32)
    engine = Analytic(lambda w: np.stack([w[:, 0] + w[:, 1], w[:, 0] * w[:, 1], -w[:, 0]], axis=1))
    got = collect(array, engine.run, classes=3, patch=patch, overlap=overlap, batch=batch)
    assert np.allclose(got, np.stack([array[0] + array[1], array[0] * array[1], -array[0]]), atol=1e-5)
    assert max(shape[0] for shape in engine.batches) <= batch
    assert sum(shape[0] for shape in engine.batches) == window_count(array.shape[1:], patch, overlap)


@pytest.mark.parametrize(
    ("shape", "overlap"),
    [((10, 12, 31), 0.5), ((24, 9, 9), 0.5), ((8, 8, 8), 0.5), ((9, 17, 50), 0.5), ((9, 8, 21), 0.9)],
)
def test_slabs_equal_dense_blending_and_do_not_depend_on_the_batch(shape, overlap):
    array = RNG.normal(size=(1, *shape)).astype(np.float32)
    run = Analytic(position_dependent).run
    expected, _ = blended(array, run, 2, (8, 8, 8), overlap)
    results = [collect(array, run, classes=2, patch=(8, 8, 8), overlap=overlap, batch=b) for b in (1, 3)]
    assert np.allclose(results[0], expected, atol=1e-4)
    assert np.array_equal(*results)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(("planes", "depth"), [(slice(2, 6), 8), (slice(0, 8), 8), (slice(3, 4), 8), (slice(2, 6), 11)])
def test_planes_that_are_not_wanted_are_omitted_where_one_window_covers_them(planes, depth, half):
    array = RNG.normal(size=(1, 12, 13, depth)).astype(np.float32)
    run, options = Analytic(position_dependent).run, WindowOptions((8, 8, 8), half=half)
    whole = collect(array, run, 2, patch=(8, 8, 8), half=half)
    first, *more = [(slab.first, slab.scores.copy()) for slab in stream_scores(array, run, 2, options, planes=planes)]
    if depth == 8:
        assert not more
        assert first[0] == planes.start
        assert np.array_equal(first[1], whole[..., planes])
    else:
        assert first[0] == 0
        assert more[-1][0] + more[-1][1].shape[-1] == depth


def test_mirroring_averages_over_every_set_of_axes():
    array = RNG.normal(size=(1, 12, 8, 20)).astype(np.float32)
    run = Analytic(position_dependent).run

    def averaged(windows):
        every = [(2,), (4,), (2, 4)]
        turned = [np.flip(run(np.ascontiguousarray(np.flip(windows, axes))), axes) for axes in every]
        return (run(windows) + sum(turned)) / 4

    got = collect(array, run, classes=2, patch=(8, 8, 8), mirror=(0, 2))
    assert np.allclose(got, collect(array, averaged, classes=2, patch=(8, 8, 8)), atol=1e-4)


def test_mirror_combinations():
    assert mirror_combinations(()) == ((),)
    assert set(mirror_combinations((0, 1, 2))) == {(), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)}


def test_threads_that_share_a_window_add_the_same(monkeypatch):
    array = np.random.default_rng(0).normal(size=(1, 20, 20, 20)).astype(np.float32)

    def run(windows):
        return np.concatenate([windows * k for k in range(1, 6)], axis=1)

    expected = collect(array, run, 5, patch=(12, 12, 12))
    monkeypatch.setattr(window_sums, "WORTH_SHARING", 0)
    monkeypatch.setattr(window_sums, "CORES", 3)
    assert np.array_equal(collect(array, run, 5, patch=(12, 12, 12)), expected)


def test_windows_of_one_value_are_computed_once_and_change_nothing():
    """A small body in a wide field of air: fewer windows are run, and every score is the same to the last bit."""
    array = np.full((2, 40, 36, 30), -1, dtype=np.float32)
    array[1] = 3
    array[:, 14:22, 12:20, 10:18] = RNG.normal(size=(2, 8, 8, 8))
    patch = (8, 8, 6)
    engine, every = Analytic(position_dependent), Analytic(position_dependent)
    got = collect(array, engine.run, classes=2, patch=patch, mirror=(0,))
    expected = collect(array, every.run, classes=2, patch=patch, mirror=(0,), batch=2)  # pairs are not looked at
    assert np.array_equal(got, expected)
    windows = window_count(array.shape[1:], patch, 0.5)
    assert sum(shape[0] for shape in every.batches) == 2 * windows
    assert sum(shape[0] for shape in engine.batches) < windows
    # Another value is another window.
    array[:, :12] = 5
    again = Analytic(position_dependent)
    got = collect(array, again.run, classes=2, patch=patch)
    assert np.array_equal(got, collect(array, every.run, classes=2, patch=patch, batch=3))


class Reusing:
    """An engine that hands out the same memory every time, as runtimes with buffers of their own do."""

    def __init__(self, function):
        self.function = function
        self.memory = {}

    def run(self, windows):
        memory = self.memory.setdefault(len(windows), np.empty((len(windows), 2, *windows.shape[2:]), np.float32))
        memory[...] = self.function(windows)
        return memory


@pytest.mark.parametrize("mirror", [(), (1,), (0, 1, 2)])
@pytest.mark.parametrize("batch", [1, 2])
def test_an_engine_may_write_its_scores_to_the_same_memory_again(mirror, batch):
    """Air, whose windows are computed once, on both sides of a body; along z too, so that it comes again later."""
    array = np.full((1, 24, 8, 40), -1, dtype=np.float32)
    array[:, 8:16, :, 4:20] = RNG.normal(size=(1, 8, 8, 16))
    how = {"classes": 2, "patch": (8, 8, 8), "mirror": mirror, "batch": batch}
    expected = collect(array, Analytic(position_dependent).run, **how)
    assert np.array_equal(collect(array, Reusing(position_dependent).run, **how), expected)
