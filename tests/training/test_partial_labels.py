"""Training on cases that annotate some of the classes: the loss by its definition, and whole runs."""

import json

import nibabel as nib
import numpy as np
import pytest
import torch
from tiny_dataset import make_case, train_config, write_msd

from medseg.models.card_text import card_text
from medseg.models.package import load_package
from medseg.training.config import LossConfig
from medseg.training.losses import SMOOTH, Counted, in_background, region_loss, segmentation_loss
from medseg.training.run import train
from medseg.training.samples.patches import Patches
from medseg.training.selection.post_choice import RuleTable

CE, DICE = LossConfig(dice=0.0), LossConfig(cross_entropy=0.0)
# Of two samples with three classes, the second does not annotate the last.
ANNOTATED = torch.tensor([[True, True, True], [True, True, False]])


def scores_and_labels(seed=0):
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (2, 4, 5, 3), generator=draw)
    labels[1][labels[1] == 2] = 0
    return torch.randn(2, 3, 4, 5, 3, generator=draw, dtype=torch.float64), labels


def merged_by_hand(scores):
    """Probabilities in which the second sample's last class is part of the background."""
    p = np.exp(scores.numpy())
    p /= p.sum(1, keepdims=True)
    p[1, 0] += p[1, 2]
    p[1, 2] = 0
    return p


@pytest.mark.parametrize("soft", [False, True])
def test_the_loss_is_that_of_the_joined_probabilities(soft):
    scores, labels = scores_and_labels()
    p = merged_by_hand(scores)
    one_hot = np.stack([labels.numpy() == k for k in range(3)], 1)
    target = torch.from_numpy(one_hot).float() if soft else labels
    entropy = -np.log((p * one_hot).sum(1)).mean()
    assert float(segmentation_loss(scores, target, CE, annotated=ANNOTATED)) == pytest.approx(entropy, rel=1e-5)
    overlap, total = (p * one_hot).sum((0, 2, 3, 4)), (p + one_hot).sum((0, 2, 3, 4))
    dice = ((2 * overlap + SMOOTH) / (total + SMOOTH))[1:].mean()
    assert float(segmentation_loss(scores, target, DICE, annotated=ANNOTATED)) == pytest.approx(1 - dice, rel=1e-5)


def test_where_all_is_annotated_nothing_changes():
    scores, labels = scores_and_labels()
    everything = torch.ones(2, 3, dtype=torch.bool)
    for given in (scores, [scores, scores[..., ::2, ::2, ::2]]):
        assert torch.equal(segmentation_loss(given, labels, annotated=everything), segmentation_loss(given, labels))
    assert torch.equal(in_background(scores, everything), scores.float())


def test_a_class_that_is_not_annotated_is_neither_punished_nor_missed():
    """Wherever the network sees it in the background the loss is 0, and no gradient moves it."""
    labels = torch.zeros(1, 4, 4, 4, dtype=torch.long)
    labels[0, 0] = 1
    scores = torch.full((1, 3, 4, 4, 4), -20.0)
    scores[0, 1, 0] = 20.0
    scores[0, 2, 1:3] = 20.0
    scores[0, 0, 3] = 20.0
    scores.requires_grad_()
    loss = segmentation_loss(scores, labels, annotated=ANNOTATED[1:])
    assert loss.item() == pytest.approx(0, abs=1e-5)
    loss.backward()
    assert float(scores.grad.abs().max()) < 1e-5
    assert segmentation_loss(scores, labels).item() > 1


@pytest.mark.parametrize("soft", [False, True])
def test_a_region_that_is_not_annotated_does_not_count(soft):
    draw = torch.Generator().manual_seed(3)
    regions = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    labels = torch.randint(0, 3, (2, 4, 4, 4), generator=draw)
    scores = torch.randn(2, 2, 4, 4, 4, generator=draw)
    target = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float() if soft else labels
    annotated = torch.tensor([[True, True], [True, False]])
    changed = scores.clone()
    changed[1, 1] = 7.0
    a, b = (region_loss(s, target, regions, counted=Counted(annotated=annotated)) for s in (scores, changed))
    assert torch.equal(a, b)
    p = torch.sigmoid(scores)
    truth = torch.stack([labels > 0, labels > 1], 1).float()
    known = annotated[..., None, None, None].expand_as(p)
    each = -(truth * p.log() + (1 - truth) * (1 - p).log())[known]
    assert float(region_loss(scores, target, regions, CE, counted=Counted(annotated=annotated))) == pytest.approx(
        float(each.mean()), rel=1e-5
    )


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """Eight cases, of which every other annotates one of the balls only, and two complete ones to measure."""
    folder = write_msd(tmp_path_factory.mktemp("halves") / "set", cases=10)
    rows = []
    for number in range(10):
        name = f"case_{number:02}"
        annotated = "" if number < 2 else ("bright", "dark")[number % 2]
        if annotated:
            _, labels = make_case(number)
            labels[labels != {"bright": 1, "dark": 2}[annotated]] = 0
            nib.save(nib.Nifti1Image(labels, np.eye(4)), folder / "labelsTr" / f"{name}.nii.gz")
        split = "test" if number < 2 else "train"
        rows.append(f"{name},imagesTr/{name}.nii.gz,labelsTr/{name}.nii.gz,{split},{annotated}")
    (folder / "dataset.csv").write_text("\n".join(["case,MR,label,split,annotated", *rows]) + "\n")
    (folder / "dataset.yaml").write_text(json.dumps({"labels": {"bright": 1, "dark": 2}, "cases": "dataset.csv"}))
    return folder / "dataset.yaml"


def test_a_model_learns_both_classes_from_cases_that_annotate_one_each(halves, tmp_path):
    network = {"name": "unet", "arguments": {"features": [6, 12]}}
    config = train_config(epochs=25, network=network, split={"folds": 4})
    train(halves, tmp_path, config=config, device="cpu")
    card = load_package(tmp_path / "model").card
    assert min(card.test.dice.values()) > 0.8
    counts = card.training.annotated
    assert sum(counts.values()) == card.training.cases == 6
    assert f"{counts['dark']} of them annotate 'dark'." in card_text(card)
    assert "counts only in cases that annotate it" in card.validation.notes
    assert min(low for low, _ in card.validation.volume_range_ml.values()) > 0
    table = [row.split(",") for row in (tmp_path / "validation.csv").read_text().splitlines()[1:]]
    for case_id, name, _, value in table:
        assert (value == "nan") == (name != ("bright", "dark")[int(case_id[-2:]) % 2])


def test_batches_say_what_their_samples_annotate(tmp_path):
    from tiny_dataset import write_prepared

    from medseg.training.config import SamplingConfig
    from medseg.training.samples.prepared import PreparedCase

    image, labels = np.zeros((1, 8, 8, 8), np.float32), np.zeros((8, 8, 8), np.uint8)
    full = write_prepared(tmp_path / "full", image, labels)
    part = PreparedCase("part", full.folder, full.facts, annotated=(True, False))
    plain = Patches([full], (8, 8, 8), SamplingConfig(batch=2), seed=0)
    assert plain.batch(0).annotated is None
    mixed = Patches([full, part], (8, 8, 8), SamplingConfig(batch=2), seed=0).batch(0).annotated
    assert sorted(mixed.tolist()) == [[True, False], [True, True]]


def test_a_class_that_is_not_annotated_has_no_say_in_the_choice_of_a_clean_up():
    from medseg.types import Geometry, LabelClass, LabelMap, LabelTable

    table = LabelTable((LabelClass(1, "bright"), LabelClass(2, "dark")))
    geometry = Geometry(np.eye(4), (4, 4, 4))
    labels = LabelMap(np.full((4, 4, 4), 2, np.uint8), geometry, table)
    rules = RuleTable()
    rules.add("a", {"bright": 0.5, "dark": float("nan")}, None, labels, labels)
    assert all(np.isnan(value) for value in rules.cases["a"]["dark"].values())
