"""The shipped model does on cases it was not trained on what its card says."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medseg.models.package import load_package

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "hippocampus"


def test_the_card_says_what_a_user_must_know() -> None:
    package = load_package("hippocampus")
    card = package.card
    assert package.weights(), "the weights are there and have the hash of the card"
    assert (package.folder / card.weights_file).stat().st_size <= 16e6
    assert "not a medical device" in card.notice
    assert all(c.code is not None and c.code.scheme == "SCT" for c in card.classes)
    assert card.validation is not None
    assert card.validation.cases == len(card.training.held_out)
    assert card.validation.mean_dice >= 0.88
    assert card.training.licence
    assert card.limits


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the hippocampus dataset is not at ../shared/data")
def test_dice_on_held_out_cases_is_the_card_s(medseg, tmp_path: Path) -> None:
    card = load_package("hippocampus").card
    assert card.validation is not None
    images = [DATA / "imagesTr" / f"{case}.nii.gz" for case in card.training.held_out]
    out = tmp_path / "out"
    done = medseg("predict", *images, "--model", "hippocampus", "--out", out, "--format", "nifti")
    assert done.returncode == 0, done.stderr
    dice = []
    for case, path in zip(card.training.held_out, images, strict=True):
        source, result = nib.load(path), nib.load(out / case / "labels.nii.gz")
        assert result.shape == source.shape
        assert np.array_equal(result.affine, source.affine)
        labels, reference = np.asarray(result.dataobj), np.asarray(nib.load(DATA / "labelsTr" / path.name).dataobj)
        for value in (1, 2):
            a, b = labels == value, reference == value
            dice.append(2 * (a & b).sum() / (a.sum() + b.sum()))
    print(f"mean Dice over {len(images)} cases and both classes: {np.mean(dice):.4f}")
    assert np.mean(dice) >= card.validation.mean_dice - 0.01
