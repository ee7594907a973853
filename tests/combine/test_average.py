"""An ensemble: composites whose parts' probabilities are averaged."""

import numpy as np
import pytest
import torch
from combine_packages import composite, part

from medseg.combine.segment import open_model, segment_scan
from medseg.errors import FormatLimitation, UsageError
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.models.card import NetworkCard
from medseg.models.package import write_package
from medseg.models.registry import build_network
from medseg.prepare.card import ChannelCard, InputCard, NormalizationCard
from medseg.types import Geometry, Scan

AVERAGE = {"merge": "average"}


def flat_part(folder, name, classes=("a", "b"), seed=5):
    """A 2D network beside 3D ones, on the scan's own spacing."""
    card = part(folder, f"{name}-3d", classes).card
    plain = NormalizationCard(scheme="rescale", lower=-100.0, upper=100.0)
    card = card.model_copy(
        update={
            "input": InputCard(
                channels=(ChannelCard(name="CT", modality="CT", normalization=plain),),
                patch=(8, 8, 1),
                spacing=(2.0, 2.0, None),
            ),
            "network": NetworkCard(name="unet", dimensions=2, arguments={"features": [4, 8]}),
        }
    )
    torch.manual_seed(seed)
    network = build_network("unet", channels=1, classes=len(classes) + 1, dimensions=2, arguments={"features": [4, 8]})
    return write_package(folder / name, card, network.state_dict())


@pytest.fixture
def scan():
    array = np.random.default_rng(0).normal(0, 60, (1, 14, 12, 10)).astype(np.float32)
    affine = np.array([[0.0, -1.5, 0, 20], [1.2, 0, 0, -5], [0, 0, 2.0, 3], [0, 0, 0, 1]])
    return Scan(array, Geometry(affine, array.shape[1:]), "CT")


def test_labels_are_those_of_the_mean_of_a_3d_and_a_2d_network(tmp_path, scan):
    """The second part has the classes in another order, by other values."""
    packages = [part(tmp_path, "three", ("a", "b"), seed=1), flat_part(tmp_path, "two", ("b", "a"))]
    parts = [{"model": "three"}, {"model": "two"}]
    both = composite(tmp_path, **AVERAGE, parts=parts)
    options = InferOptions(probabilities=True, device="cpu")
    first, second = (Predictor(package, options).segment(scan).probabilities for package in packages)
    mean = first + second[[0, 2, 1]]
    prediction = segment_scan(open_model(both, InferOptions(device="cpu")), scan)
    assert np.array_equal(prediction.labels.array, mean.argmax(0))
    assert prediction.labels.geometry == scan.geometry
    assert len(np.unique(prediction.labels.array)) > 1
    assert not np.array_equal(first.argmax(0), mean.argmax(0))
    assert prediction.probabilities is None


def test_one_part_alone_is_what_it_is_without_a_composite(tmp_path, scan):
    package = part(tmp_path, "three", ("a", "b"), seed=1)
    one = composite(tmp_path, **AVERAGE, parts=[{"model": "three"}])
    found, expected = (
        segment_scan(open_model(which, InferOptions(device="cpu")), scan).labels.array for which in (one, package)
    )
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("second", "changes", "message"),
    [
        (("a", "c"), {}, "does not give each class"),
        (("a",), {}, "does not give each class"),
        (("a", "b"), {"grid": {"spacing": 2.0}}, "on a grid of their own"),
        (("a", "b"), {"locator": {"part": "one", "classes": ["a"]}}, "on a grid of their own"),
    ],
)
def test_parts_that_cannot_be_averaged_are_refused(tmp_path, second, changes, message):
    part(tmp_path, "one", ("a", "b"))
    part(tmp_path, "other", second, seed=1)
    with pytest.raises(UsageError, match=message):
        composite(tmp_path, **AVERAGE, parts=[{"model": "one"}, {"model": "other"}], **changes)


def test_regions_that_may_overlap_are_refused(tmp_path):
    part(tmp_path, "one", ("a", "b"))
    card = part(tmp_path, "plain", ("a", "b")).card.model_copy(update={"regions": (1, 2)})
    network = build_network("unet", channels=1, classes=2, dimensions=3, arguments={"features": [4, 8]})
    write_package(tmp_path / "other", card, network.state_dict())
    with pytest.raises(FormatLimitation, match="'other' has regions"):
        composite(tmp_path, **AVERAGE, parts=[{"model": "one"}, {"model": "other"}])
