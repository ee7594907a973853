import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks_for_tests import Analytic, Cascaded, bands, package, smooth
from objects_for_tests import ORDERS, scan_of

from medseg.errors import ModelError
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.models.card import LowResolutionCard
from medseg.types import Geometry, Scan


def check_bands(labels, array, margin=1e-3):
    """Labels are the bands of the intensity but near their borders; return the share of voxels that are not."""
    clear = np.abs(array / 10 - np.rint(array / 10)) > margin
    assert np.array_equal(labels[clear], (array[clear] // 10).astype(int))
    return clear.mean()


@settings(max_examples=30)
@given(
    st.sampled_from(ORDERS),
    st.tuples(*[st.integers(3, 40)] * 3),
    st.tuples(*[st.sampled_from([0.7, 1.0, 1.9, 3.5])] * 3),
)
def test_labels_are_the_same_in_all_48_orders(order, shape, spacing):
    scan = scan_of(smooth(shape), spacing)
    stored = Scan(np.ascontiguousarray(order.apply(scan.array)), order.geometry(scan.geometry))
    predictor = Predictor(package(), engine=Analytic(bands(3)))
    expected = predictor.segment(scan).labels
    got = predictor.segment(stored).labels
    assert got.geometry is stored.geometry
    assert np.array_equal(order.undo(got.array), expected.array)
    assert expected.array.dtype == np.uint8


@settings(max_examples=30)
@given(st.tuples(*[st.integers(1, 40)] * 3))
def test_known_answer_on_the_models_own_grid(shape):
    array = smooth(shape)
    got = Predictor(package(), engine=Analytic(bands(3))).segment(scan_of(array)).labels.array
    check_bands(got, array)


def test_known_answer_across_spacings():
    """A ramp along each axis in turn stays a ramp under interpolation, so every label is known away from the edges."""
    for axis in range(3):
        spacing = (0.8, 1.7, 2.2)
        shape = (60, 40, 30)
        world = (np.arange(shape[axis]) + 0.5) * spacing[axis]
        values = np.moveaxis(np.broadcast_to(world[:, None, None], [shape[axis], 30, 30]), 0, axis)[:60, :40, :30]
        scan = scan_of(values * (30 / world.max()), spacing)
        got = Predictor(package(), engine=Analytic(bands(3))).segment(scan).labels.array
        assert check_bands(got, scan.array[0], margin=0.1) > 0.7


def test_thick_slices_of_the_network_are_not_interpolated_between():
    """A class in one slice of the network's grid, far stronger there than its neighbors are against it: on the scan
    it fills that slice, and a linear weight would carry it into the next ones."""
    scan = scan_of(np.zeros((8, 8, 32)))

    def one_slice(windows):
        strong = np.where(np.arange(8) == 3, 10, -1).astype(np.float32) + 0 * windows[:, :1]
        return np.concatenate([0 * strong, strong], axis=1)

    thick = package(2, spacing=(1.0, 1.0, 4.0), patch=(8, 8, 8))
    labels = Predictor(thick, engine=Analytic(one_slice)).segment(scan).labels.array
    assert np.flatnonzero(labels.any(axis=(0, 1))).tolist() == [12, 13, 14, 15]
    assert labels[:, :, 12:16].all()


def test_thick_slices_of_the_scan_take_the_nearest_of_the_networks():
    """Slice 1's middle is half-way between the network's 5th and 6th; a half goes up."""
    scan = scan_of(np.zeros((8, 8, 4)), (1, 1, 4))
    for plane, found in [(5, []), (6, [1])]:

        def one_slice(windows, plane=plane):
            weak = np.where(np.arange(16) == plane, 1, -10).astype(np.float32) + 0 * windows[:, :1]
            return np.concatenate([0 * weak, weak], axis=1)

        thin = package(2, spacing=(1.0, 1.0, 1.0), patch=(8, 8, 16))
        labels = Predictor(thin, engine=Analytic(one_slice)).segment(scan).labels.array
        assert np.flatnonzero(labels.any(axis=(0, 1))).tolist() == found


def test_header_noise_does_not_move_labels():
    scan = scan_of(smooth((35, 36, 20)), (1.5, 1.5, 3.0))
    affine = scan.geometry.affine * (1 + np.random.default_rng(0).uniform(-1e-6, 1e-6, (4, 4)))
    affine[3] = (0, 0, 0, 1)
    predictor = Predictor(package(), engine=Analytic(bands(3)))
    noisy = predictor.segment(Scan(scan.array, Geometry(affine, scan.geometry.shape)))
    assert np.array_equal(noisy.labels.array, predictor.segment(scan).labels.array)


def test_outside_the_crop_is_background():
    array = np.zeros((40, 40, 40), np.float32)
    array[10:30, 12:28, 5:33] = 25
    got = Predictor(package(crop_to_nonzero=True), engine=Analytic(bands(3))).segment(scan_of(array)).labels.array
    assert np.array_equal(got, np.where(array > 0, 2, 0))


def test_scores_sum_to_1_and_agree_with_the_labels():
    scan = scan_of(smooth((20, 24, 18)), (1.5, 0.8, 1.2))
    predictor = Predictor(package(), InferOptions(probabilities=True), engine=Analytic(bands(3)))
    prediction = predictor.segment(scan)
    assert prediction.probabilities.shape == (3, 20, 24, 18)
    assert prediction.probabilities.dtype == np.float32
    assert np.allclose(prediction.probabilities.sum(axis=0), 1, atol=1e-5)
    top = np.sort(prediction.probabilities, axis=0)
    clear = top[-1] - top[-2] > 1e-4
    assert np.array_equal(prediction.probabilities.argmax(axis=0)[clear], prediction.labels.array[clear])
    assert Predictor(package(), engine=Analytic(bands(3))).segment(scan).probabilities is None


def test_two_dimensional_networks_see_slices():
    engine = Analytic(bands(3))
    scan = scan_of(smooth((30, 40, 5)), (1, 1, 8))
    got = Predictor(package(patch=(16, 16, 1), spacing=(1.0, 1.0, None)), engine=engine).segment(scan)
    check_bands(got.labels.array, scan.array[0])
    assert all(shape[2:] == (16, 16, 1) for shape in engine.batches)


def test_wrong_channels_are_an_error_and_other_differences_are_notes():
    model = package(
        expected_spacing=((0.9, 0.9, 0.9), (1.1, 1.1, 1.1)), expected_extent_mm=((20, 20, 20), (60, 60, 60))
    )
    predictor = Predictor(model, engine=Analytic(bands(3)))
    with pytest.raises(ModelError, match="2 channels"):
        predictor.segment(scan_of(np.zeros((2, 20, 20, 20))))
    assert predictor.segment(scan_of(np.zeros((30, 30, 30)))).warnings == ()
    notes = predictor.segment(scan_of(np.zeros((30, 30, 9)), (1, 1, 1.3))).warnings
    assert "Spacing 1 x 1 x 1.3 mm" in notes[0]
    assert "Field of view 30 x 30 x 11.7 mm" in notes[1]


def test_modality_the_model_does_not_know_is_noted():
    model = package()
    channel = model.card.input.channels[0].model_copy(update={"modality": "MR"})
    inputs = model.card.input.model_copy(update={"channels": (channel,)})
    model = type(model)(None, model.card.model_copy(update={"input": inputs}))
    predictor = Predictor(model, engine=Analytic(bands(3)))
    notes = predictor.segment(scan_of(np.zeros((20, 20, 20)), modality="CT")).warnings
    assert notes == ("The scan is CT; the model was trained on MR.",)
    assert predictor.segment(scan_of(np.zeros((20, 20, 20)), modality="MR")).warnings == ()


def test_the_way_to_labels_imports_neither_torch_nor_monai():
    code = (
        "import sys, medseg.infer.predictor, medseg.prepare.prepared; "
        "print([m for m in ('torch', 'monai', 'skimage') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"


def test_the_second_stage_of_a_cascade_is_shown_what_the_first_found():
    """Of three classes the first finds, the second is to keep what it is shown: each as a channel of 0 and 1."""
    scan = scan_of(smooth((30, 24, 20)), spacing=(1.4, 0.8, 2.0))
    first = Predictor(package(classes=4, spacing=(2.0, 2.0, 2.0)), engine=Analytic(bands(4, width=8.0)))
    second = package(classes=4)
    card = second.card.model_copy(update={"low_resolution_stage": LowResolutionCard(sha256="0" * 64, labels=(1, 2, 3))})

    def repeat(windows):
        assert windows.shape[1] == 4
        assert set(np.unique(windows[:, 1:])) <= {0.0, 1.0}
        assert windows[:, 1:].sum(axis=1).max() <= 1
        return np.concatenate([np.full_like(windows[:, :1], 0.5), windows[:, 1:]], axis=1)

    predictor = Predictor(Cascaded(None, card), engine=Analytic(repeat))
    predictor.low_resolution_stage = first
    found = first.segment(scan).labels.array
    kept = predictor.segment(scan).labels.array
    assert len(np.unique(found)) == 4
    assert (found == kept).mean() > 0.9  # but for borders, which go to the finer grid and back
    same = np.array([[(found[1:-1, 1:-1, 1:-1] == np.roll(found, s, a)[1:-1, 1:-1, 1:-1]) for s in (-1, 1)]
                     for a in range(3)]).all(axis=(0, 1))  # fmt: skip
    assert (found == kept)[1:-1, 1:-1, 1:-1][same].mean() > 0.98


@pytest.mark.parametrize("orientation", ["LPS", "SAR", "PIL"])
def test_any_orientation_a_card_names(orientation):
    """A network that answers with where it is along its first axis shows which way that axis runs."""
    scan = scan_of(smooth((12, 14, 16)))
    along = np.broadcast_to(np.arange(16, dtype=np.float32)[:, None, None], (16, 16, 16))
    predictor = Predictor(
        package(2, orientation=orientation), engine=Analytic(lambda w: np.stack([7.5 - along, along - 7.5])[None])
    )
    labels = predictor.segment(scan).labels.array
    axis = "RLAPSI".index(orientation[0]) // 2
    profile = labels.mean(axis=tuple(a for a in range(3) if a != axis))
    assert set(np.unique(profile)) == {0.0, 1.0}
    assert (profile[-1] == 1) == (orientation[0] in "RAS")


def test_windows_done_are_heard(monkeypatch):
    """Every one here; no more than two a second otherwise, and always the last."""
    predictor = Predictor(package(), engine=Analytic(bands(3)))
    scan = scan_of(smooth((40, 30, 50)))
    monkeypatch.setattr("medseg.infer.skipped_windows.EVERY", 0.0)
    heard = []
    prediction = predictor.segment(scan, on_windows=lambda done, total: heard.append((done, total)))
    total = prediction.computed.windows.total
    assert total > 4
    assert heard == [(done, total) for done in range(1, total + 1)]
    monkeypatch.setattr("medseg.infer.skipped_windows.EVERY", 60.0)
    del heard[:]
    predictor.segment(scan, on_windows=lambda done, total: heard.append((done, total)))
    assert heard == [(1, total), (total, total)]
