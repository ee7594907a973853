"""An ensemble: composites whose parts' probabilities are averaged."""

import numpy as np
import pytest
import torch
from combine_packages import composite, part

from medseg.combine import mean_probability
from medseg.combine.predictor import check_runnable
from medseg.combine.segment import open_model, segment_scan
from medseg.errors import FormatLimitation, ResourceLimit, UsageError
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.models.card import NetworkCard
from medseg.models.package import write_card, write_package
from medseg.models.registry import build_network
from medseg.models.validation_card import ValidationCard
from medseg.models.volume_interval_card import VolumeIntervalCard
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


def test_a_mean_that_memory_does_not_hold_is_refused_before_any_part_runs(tmp_path, scan, monkeypatch):
    part(tmp_path, "one", ("a", "b"))
    both = composite(tmp_path, **AVERAGE, parts=[{"model": "one"}])
    monkeypatch.setattr(mean_probability, "available_bytes", lambda: 3 * 14 * 12 * 10 * 4 - 1)
    with pytest.raises(ResourceLimit, match="the mean of probabilities needs"):
        segment_scan(open_model(both, InferOptions(device="cpu")), scan)


def test_what_the_card_says_of_the_mean_is_said_of_its_volumes(tmp_path, scan):
    """Ranges and intervals of the parts are of other labels; those on the composite's card are of these."""
    known = {"split": "all", "cases": 3, "dice": {"a": 0.5}, "mean_dice": 0.5, "volume_range_ml": {"a": (1.0, 2.0)}}
    card = part(tmp_path, "one", ("a", "b")).card
    write_card(tmp_path / "one", card.model_copy(update={"validation": ValidationCard(**known)}))
    part(tmp_path, "two", ("a", "b"), seed=1)
    both = composite(tmp_path, **AVERAGE, parts=[{"model": "one"}, {"model": "two"}])
    silent = segment_scan(open_model(both, InferOptions(device="cpu")), scan)
    assert silent.volume_range_ml == {}
    assert silent.interval_rule is None
    measured = ValidationCard(**{**known, "volume_range_ml": {"b": (3.0, 4.0)}})
    interval = VolumeIntervalCard(power=0.5, half_width={"b": 0.25}, cases={"b": 30})
    both = write_card(both.folder, both.card.model_copy(update={"validation": measured, "volume_interval": interval}))
    found = segment_scan(open_model(both, InferOptions(device="cpu")), scan)
    assert found.volume_range_ml == {"b": (3.0, 4.0)}
    assert found.interval_rule == interval.to_rule()


def test_the_mean_and_how_uncertain_it_is_come_with_the_labels(tmp_path, scan):
    packages = [part(tmp_path, "three", ("a", "b"), seed=1), flat_part(tmp_path, "two", ("b", "a"))]
    both = composite(tmp_path, **AVERAGE, parts=[{"model": "three"}, {"model": "two"}])
    wanted = InferOptions(device="cpu", probabilities=True, entropy=True)
    found = segment_scan(open_model(both, wanted), scan)
    options = InferOptions(device="cpu", probabilities=True)
    first, second = (Predictor(package, options).segment(scan).probabilities for package in packages)
    members = [first, second[[0, 2, 1]]]
    mean = np.mean(members, axis=0)
    assert found.probabilities == pytest.approx(mean, abs=1e-6)
    entropy = -(mean * np.log(mean)).sum(axis=0) / np.log(3)
    assert found.entropy == pytest.approx(entropy, abs=1e-5)
    labels = found.labels.array
    for value in (1, 2):
        along, dice = [], []
        for axis in range(3):
            later = np.arange(1, labels.shape[axis])
            before, after = np.take(labels, later - 1, axis), np.take(labels, later, axis)
            borders = (before != after) & ((before == value) | (after == value))
            along += list(np.take(entropy, later, axis)[borders])
        for member in members:
            own, both_have = member.argmax(axis=0) == value, labels == value
            dice.append(2 * (own & both_have).sum() / (own.sum() + both_have.sum()))
        assert found.uncertainty[value].boundary_entropy == pytest.approx(np.mean(along), abs=1e-5)
        assert found.uncertainty[value].ensemble_dice == pytest.approx(np.mean(dice))
    plain = segment_scan(open_model(both, InferOptions(device="cpu")), scan)
    assert (plain.probabilities, plain.entropy) == (None, None)
    assert plain.uncertainty == found.uncertainty
    check_runnable(both, wanted)


def test_every_orientation_of_a_scan_gives_the_same(tmp_path, scan):
    part(tmp_path, "three", ("a", "b"), seed=1)
    flat_part(tmp_path, "two")
    model = open_model(
        composite(tmp_path, **AVERAGE, parts=[{"model": "three"}, {"model": "two"}]), InferOptions(device="cpu")
    )
    expected = segment_scan(model, scan).labels.array
    assert len(np.unique(expected)) > 1
    for axes, flips in (((2, 0, 1), (0,)), ((1, 0, 2), (1, 2)), ((0, 2, 1), ())):
        back = np.eye(4)[[*axes, 3]].T
        for axis in flips:
            back[:, 3] += back[:, axis] * (scan.geometry.shape[axes[axis]] - 1)
            back[:, axis] *= -1
        array = np.flip(scan.array.transpose(0, *(axis + 1 for axis in axes)), [axis + 1 for axis in flips])
        turned = scan.with_array(np.ascontiguousarray(array), Geometry(scan.geometry.affine @ back, array.shape[1:]))
        found = segment_scan(model, turned).labels.array
        assert (np.flip(expected.transpose(axes), flips) == found).mean() >= 0.9999
