"""Scores and entropy streamed to the scan's grid, against the dense computation."""

import nibabel as nib
import numpy as np
import pytest
from networks_for_tests import Analytic, package
from scipy.special import softmax

from medseg.infer.decision import Decision
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.infer.probability_stream import entropy
from medseg.io.files.scratch import Scratch
from medseg.io.nifti import read_scan, write_probabilities
from medseg.prepare.prepared import prepare
from medseg.prepare.resample import resample
from medseg.prepare.route import plan_route
from medseg.types import Geometry, Scan
from medseg.types.axis_order import AxisOrder

CENTERS = np.array([-15.0, 0.0, 15.0], dtype=np.float32)[:, None, None, None]


def scores_of(windows):
    return -((windows[:, :1] - CENTERS) ** 2) / 40


AS_IT_IS = AxisOrder()


def scan_of(shape, order=AS_IT_IS, spacing=(1.3, 0.8, 2.4)):
    rng = np.random.default_rng(1)
    coarse = rng.normal(0, 12, [max(2, n // 5) for n in shape]).astype(np.float32)
    array = resample(coarse, shape, 1)
    geometry = Geometry(np.diag([*spacing, 1.0]), shape)
    return Scan(np.ascontiguousarray(order.apply(array))[None], order.geometry(geometry))


def dense(scan, card):
    """Interpolate every class everywhere, then take shares: the definition."""
    route = plan_route(scan, card)
    prepared = prepare(scan, card, route).array[None]
    scores = scores_of(prepared)[0][(slice(None), *route.inner)]
    boxed = np.stack([resample(np.ascontiguousarray(s), route.box.shape, 1, route.separate_back) for s in scores])
    whole = np.zeros((3, *route.order.geometry(route.source).shape), dtype=np.float32)
    whole[0] = 1
    whole[(slice(None), *route.box.slices)] = softmax(boxed, axis=0)
    return route.order.undo(whole)


@pytest.mark.parametrize("order", [AxisOrder(), AxisOrder((2, 0, 1), (True, False, True))])
@pytest.mark.parametrize("memory", [None, 0.135])
@pytest.mark.parametrize("on_disk", [False, True])
def test_shares_and_entropy_are_the_definitions(tmp_path, order, memory, on_disk):
    scan = scan_of((50, 60, 33), order)
    options = InferOptions(probabilities=True, entropy=True, memory_gb=memory)
    predictor = Predictor(package(3), options, engine=Analytic(scores_of))
    found = predictor.segment(scan, Scratch(tmp_path if on_disk else None))
    expected = dense(scan, predictor.package.card.input)
    assert found.probabilities.dtype == (np.float16 if on_disk else np.float32)
    tolerance = 1e-3 if on_disk else 1e-5
    np.testing.assert_allclose(found.probabilities, expected, atol=tolerance)
    known = np.where(expected > 0, -expected * np.log(np.maximum(expected, 1e-30)), 0).sum(axis=0) / np.log(3)
    np.testing.assert_allclose(found.entropy, known, atol=tolerance)
    sure = np.sort(expected, axis=0)[-1] - np.sort(expected, axis=0)[-2] > 1e-3
    assert (found.labels.array == expected.argmax(axis=0))[sure].all()
    assert not list(tmp_path.iterdir()), "scratch files have no names"


def test_outside_the_part_that_is_shown_it_is_background():
    scan = scan_of((40, 40, 30))
    scan.array[:, :9] = 0
    predictor = Predictor(
        package(3, crop_to_nonzero=True), InferOptions(probabilities=True, entropy=True), engine=Analytic(scores_of)
    )
    found = predictor.segment(scan)
    assert (found.probabilities[0, :9] == 1).all()
    assert (found.entropy[:9] == 0).all()
    np.testing.assert_allclose(found.probabilities, dense(scan, predictor.package.card.input), atol=1e-5)


def test_entropy_of_what_is_known():
    exclusive, regions = Decision((0, 1, 2)), Decision((0, 1, 2), regions=True)
    shares = np.array([[1, 1 / 3, 0.5], [0, 1 / 3, 0.5], [0, 1 / 3, 0]], dtype=np.float32)
    np.testing.assert_allclose(entropy(shares, exclusive), [0, 1, np.log(2) / np.log(3)], atol=1e-6)
    np.testing.assert_allclose(
        entropy(np.array([[1, 0.5, 0.9], [0, 0, 0.5]], np.float32), regions), [0, 1, 1], atol=1e-6
    )


def test_border_doubt_is_the_mean_entropy_where_classes_meet():
    """Blurred borders are uncertain and sharp ones are not; whether done in strips or not."""
    scan = scan_of((50, 60, 33))
    soft, sharp = ((lambda w, f=f: f * scores_of(w)) for f in (0.3, 30.0))
    found = [Predictor(package(3), engine=Analytic(f)).segment(scan).uncertainty for f in (soft, sharp)]
    assert found[0][1].boundary_entropy > 0.6 > 0.3 > found[1][1].boundary_entropy
    strips = Predictor(package(3), InferOptions(memory_gb=0.135), engine=Analytic(soft)).segment(scan).uncertainty
    assert strips[1].boundary_entropy == pytest.approx(found[0][1].boundary_entropy, rel=1e-6)
    assert found[0][1].ensemble_dice is None


def test_maps_are_written_as_any_reader_scales_them(tmp_path):
    shares = softmax(np.random.default_rng(0).normal(size=(3, 7, 6, 5)), axis=0).astype(np.float16)
    geometry = Geometry(np.diag([2.0, 3.0, 4.0, 1.0]), (7, 6, 5))
    write_probabilities(shares, geometry, tmp_path / "probabilities.nii.gz")
    image = nib.load(tmp_path / "probabilities.nii.gz")
    assert image.get_data_dtype() == np.uint8
    np.testing.assert_allclose(np.moveaxis(image.get_fdata(), 3, 0), shares, atol=0.5 / 255 + 1e-3)
    assert np.array_equal(image.affine, geometry.affine)
    write_probabilities(shares[0], geometry, tmp_path / "entropy.nii.gz")
    assert read_scan(tmp_path / "entropy.nii.gz").geometry.matches(geometry)
