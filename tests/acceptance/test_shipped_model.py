"""The shipped models do what their cards say: on cases they have not seen, where there are such."""

import nibabel as nib
import numpy as np
import pytest
from shared_data import DATA

from medseg.evaluation.metrics.detection import count_overlaps, match
from medseg.io.read import read_labels
from medseg.models.package import load_package

needs_data = pytest.mark.needs_data("data/hippocampus", "data/nuclei")


@pytest.mark.parametrize("name", ["hippocampus", "nuclei"])
def test_the_card_says_what_a_user_must_know(name):
    package = load_package(name)
    card = package.card
    assert package.weights(), "the weights are there and have the hash of the card"
    assert (package.folder / card.weights_file).stat().st_size <= 16e6
    assert "not a medical device" in card.notice
    assert all(c.code is not None and c.code.scheme == "SCT" for c in card.classes if c.name != "border")
    assert card.validation.notes
    assert "/" not in card.training.command.replace("runs/", "")
    assert card.training.license
    assert card.limits
    assert card.precisions["bfloat16"].agreement is not None


def test_the_hippocampus_says_that_another_model_was_measured_for_it():
    card = load_package("hippocampus").card
    assert card.training.cases == len(card.training.trained_on) == 208
    assert card.validation.cases == 52
    assert not card.training.held_out
    assert "made the same way" in card.validation.notes
    assert "no case is left to measure them on" in card.validation.notes
    assert card.validation.mean_dice >= 0.89


def test_a_crop_of_the_usual_size_is_one_window_of_the_hippocampus_model():
    card = load_package("hippocampus").card
    sizes = zip(card.input.patch, card.locate.extent_mm, strict=True)
    assert all(side >= mm / card.locate.spacing_mm for side, mm in sizes)


@pytest.mark.slow
@needs_data
def test_the_hippocampus_is_found_where_it_is(medseg, tmp_path):
    """The weights have seen these cases, so that this holds the package to its training and says nothing of others."""
    images = sorted((DATA / "hippocampus" / "imagesTr").glob("[!.]*.nii.gz"))[::8]
    out = tmp_path / "out"
    done = medseg("predict", *images, "--model", "hippocampus", "--out", out, "--format", "nifti")
    assert done.returncode == 0, done.stderr
    dice = []
    for path in images:
        source, result = nib.load(path), nib.load(out / path.name.removesuffix(".nii.gz") / "labels.nii.gz")
        assert result.shape == source.shape
        assert np.array_equal(result.affine, source.affine)
        reference = np.asarray(nib.load(DATA / "hippocampus" / "labelsTr" / path.name).dataobj)
        labels = np.asarray(result.dataobj)
        for value in (1, 2):
            a, b = labels == value, reference == value
            dice.append(2 * (a & b).sum() / (a.sum() + b.sum()))
    print(f"mean Dice over {len(images)} cases and both classes: {np.mean(dice):.4f}")
    assert np.mean(dice) >= load_package("hippocampus").card.validation.mean_dice


@pytest.mark.slow
@needs_data
def test_nuclei_of_pictures_not_trained_on_are_counted_as_the_card_says(medseg, tmp_path):
    cases = load_package("nuclei").card.training.held_out
    images = [DATA / "nuclei" / "images" / f"{case}.png" for case in cases]
    out = tmp_path / "out"
    done = medseg("predict", *images, "--model", "nuclei", "--out", out, "--format", "nifti", "--keep-names")
    assert done.returncode == 0, done.stderr
    quality = hits = there = found = 0.0
    for case in cases:
        reference = read_labels(DATA / "nuclei" / "instances" / f"{case}.png").array
        overlaps = count_overlaps(reference, np.asarray(nib.load(out / case / "instances.nii.gz").dataobj))
        iou = overlaps.iou[match(overlaps, 0.5)]
        quality, hits = quality + float(iou.sum()), hits + len(iou)
        there, found = there + len(overlaps.reference_sizes), found + len(overlaps.prediction_sizes)
    pq, ap = 2 * quality / (there + found), hits / (there + found - hits)
    print(f"over {len(cases)} pictures: PQ {pq:.4f}, AP at 0.5 {ap:.4f}")
    assert pq == pytest.approx(0.764, abs=0.01)
    assert ap == pytest.approx(0.822, abs=0.015)
